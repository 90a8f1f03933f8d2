/* doctor.h - what the parts of `posthouse doctor` share. */
#ifndef POSTHOUSE_CLI_DOCTOR_H
#define POSTHOUSE_CLI_DOCTOR_H

#include "cli.h"

#include "posthouse/doctor.h"

/* doctor_print.c: for people, 80 columns wide; what is good and advice only with `all`. */
void doctor_print(struct doctor_run *run, const struct config *c, bool all);
/* "direct delivery from 203.0.113.25 (delivery.source)", "through smtp.isp.example" */
struct str doctor_situation_text(struct arena *a, const struct doctor *d, const struct config *c);
/* Text with at most 80 columns in a line, and a line end; `at` columns are used of the first one, the others begin with `indent`
 * blanks. A line break in the text stays one. */
void doctor_print_wrapped(struct arena *a, struct str text, size_t at, size_t indent);
/* How many findings have each result. */
void doctor_count(const struct doctor *d, size_t counts_out[DOCTOR_RESULTS]);

/* doctor_json.c: a document for each finding, and the summary. */
void doctor_print_json(struct doctor_run *run, const struct config *c);

/* doctor_send.c: a test message to the address, and what became of it within a minute; returns the exit code. */
int doctor_send(const struct options *o, const char *config_path, const char *address);

#endif
