/* upstreams.h - what the checks of upstreams share. */
#ifndef POSTHOUSE_DOCTOR_UPSTREAMS_H
#define POSTHOUSE_DOCTOR_UPSTREAMS_H

#include "doctor.h"

/* For each upstream that some route names. */
void upstreams_each(struct doctor *d, void (*check)(struct doctor *d, const struct cfg_upstream *u));

/* Some of its addresses, of the families that are used; *pending_out is set when not all are known, and left alone otherwise. */
struct str_list upstream_addresses(struct doctor *d, const struct cfg_upstream *u, bool *pending_out);
/* A dialogue with one of them, by its port and TLS, without a login. */
const struct fact_probe *upstream_try(struct doctor *d, const struct cfg_upstream *u, struct str address);
/* All of them. */
struct upstream_tries {
	size_t n, bad;
	bool pending;
	struct str address, fault; /* of the first bad one */
};
struct upstream_tries upstream_try_all(struct doctor *d, const struct cfg_upstream *u);

bool upstream_needs_tls(const struct cfg_upstream *u);

/* For a remedy: its entry in the configuration with these keys. */
struct str upstream_entry(struct doctor *d, const struct cfg_upstream *u, const char *keys);

#endif
