/* dsn_form.h - reports and notices arrive also where a next hop refuses them for what they are: what it said decides whether they are
 * written again, smaller or under another sender. The form is kept with the message, so that there is an end to it; and who may be told of a
 * report's own failure does not depend on its sender. */
#ifndef QUEUE_DSN_FORM_H
#define QUEUE_DSN_FORM_H

#include "posthouse/config.h"
#include "posthouse/verdict.h"

enum report_size { REPORT_AS_WISHED, REPORT_HEADERS, REPORT_WORDS };
/* Whose address is in From, and in the envelope where that is not null: ours, the account's at the upstream, the recipient's own. */
enum reporter { REPORTER_USUAL, REPORTER_ACCOUNT, REPORTER_RECIPIENT };

struct report_form {
	enum report_size size;
	enum reporter reporter;
};

/* In the message's options. */
struct report_form form_read(uint64_t options);
uint64_t form_options(struct report_form form);

const char *form_name(struct report_form form); /* for the log */

/* The form in which a report may pass that `route` refused in this form, by words that mean this (meaning.h); false: in no other. */
bool form_next(const struct config *c, struct report_form form, struct str route, struct verdict refusal, uint64_t meaning,
	       struct report_form *next_out);

/* Who writes: the address in From; and the envelope's sender, "" = null. RFC 3464 2: reports have the null sender, but for upstreams that
 * do not take it. `route`: where it was refused, "" for the way that it takes first. */
struct report_author {
	struct str from, sender;
};
struct report_author report_author(struct arena *a, const struct config *c, enum reporter reporter, struct str route,
				   struct str recipient);

/* The envelope's sender through an upstream of a report that is stored with the null sender. */
struct str report_sender(const struct config *c, const struct cfg_upstream *u);

#endif
