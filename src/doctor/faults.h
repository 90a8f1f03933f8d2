/* faults.h - what the daily looks of doctor have found, kept on disk: a fault is told when two looks that are half an hour
 * apart agree, and once; and once when it is mended. */
#ifndef POSTHOUSE_DOCTOR_FAULTS_H
#define POSTHOUSE_DOCTOR_FAULTS_H

#include "posthouse/doctor.h"

#include <jansson.h>

struct faults {
	json_t *known; /* key: { "since": ms, "told": bool, "words": text } */
};

void faults_read(struct faults *f, const char *path);
int faults_write(const struct faults *f, const char *path); /* 0, or an errno */
void faults_free(struct faults *f);

struct faults_news {
	struct str subject, words; /* of a message to the postmaster, in the arena; "": there is nothing to tell */
	json_t *known;             /* what is known when it was told; the caller frees it, or hands it to faults_told() */
	bool waits;                /* a fault was seen once: look again in half an hour */
};
/* Compare the findings of a look with what is known. `apart` ms: how long a fault must have been there. */
struct faults_news faults_compare(struct faults *f, struct arena *a, const struct doctor_finding *findings, size_t n,
				  uint64_t now, uint64_t apart);
void faults_told(struct faults *f, json_t *known); /* takes known */

#endif
