/* dsn_form.h - the forms of DSNs and notifications. A next hop can refuse such a message for what it is; its reply decides
 * whether the message is written again, smaller or under another sender. The form is kept with the message, so that there is an
 * end to this. It does not change who is told of the message's own failure. */
#ifndef QUEUE_DSN_FORM_H
#define QUEUE_DSN_FORM_H

#include "posthouse/config.h"
#include "posthouse/verdict.h"

enum report_size { REPORT_AS_WISHED, REPORT_HEADERS, REPORT_WORDS };
/* The address in From, and in the envelope where that is not null: the relay's, that of the account at the upstream, the
 * recipient's own. */
enum reporter { REPORTER_USUAL, REPORTER_ACCOUNT, REPORTER_RECIPIENT };

struct report_form {
	enum report_size size;
	enum reporter reporter;
};

/* Read the form from a message's options. / The bits for the options. */
struct report_form form_read(uint64_t options);
uint64_t form_options(struct report_form form);

const char *form_name(struct report_form form); /* for the log */

/* The next form for a message that `route` refused in this form, with a reply that means this (meaning.h). False: there is none
 * in which it could pass. */
bool form_next(const struct config *c, struct report_form form, struct str route, struct verdict refusal, uint64_t meaning,
	       struct report_form *next_out);

/* The author: the address in From; and the envelope's sender, "" = null. RFC 3464 2: DSNs have the null sender, except for
 * upstreams that do not take it. route: the one that refused the message; "": it was not refused. */
struct report_author {
	struct str from, sender;
};
struct report_author report_author(struct arena *a, const struct config *c, enum reporter reporter, struct str route,
				   struct str recipient);

/* The only author, also of the envelope, that the next hop `route` takes; "": any. A view of the configuration. */
struct str own_address_of(const struct config *c, struct str route);

/* The envelope's sender, towards this upstream, of a message that is stored with the null sender. */
struct str report_sender(const struct config *c, const struct cfg_upstream *u);

#endif
