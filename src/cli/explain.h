/* explain.h - what the parts of `posthouse explain` share. */
#ifndef POSTHOUSE_CLI_EXPLAIN_H
#define POSTHOUSE_CLI_EXPLAIN_H

#include "cli.h"

#include "posthouse/policy.h"

enum explained { EXPLAINED_OK, EXPLAINED_NONE, EXPLAINED_UNKNOWN, EXPLAINED_WAITS, EXPLAINED_HELD, EXPLAINED_REFUSED };

struct explain {
	const struct config *c;
	struct arena arena;
	struct control *control;              /* NULL: no relay runs */
	const struct msg_limits_rows *limits; /* of the login; NULL: not known */
	const struct msg_stats_are *queue;    /* NULL: not known */
	bool json, offline;                   /* offline: ask no name server */
	bool anybody;                         /* only the way to the recipients: nobody was named who sends */
	struct str login, sender, author;     /* sender and author after rewriting; author is that of From */
	struct str_list recipients;
	bool local; /* a user of this machine sends it, who is `user_here` */
	struct local_user user_here;
	struct str system_users; /* names, see local_recipient() */
	uint64_t size;           /* 0: not given */
	enum tls_wish wish;      /* what the message asks of TLS */
	struct str signs;        /* the domain of the signatures; "": there are none */
	bool key_missing;        /* none of their keys is in the DNS */
	enum explained worst;    /* of all steps */
	struct str why;          /* of the first step that is as bad */
	size_t steps;
};

/* One step of the way. `rule` is the entry that decides ("routes[3]"), "" when there is none: its place in the files is shown.
 * `lines` is what is said; further lines are the reasons. */
void explain_step(struct explain *e, const char *step, enum explained verdict, struct str rule, struct str lines);

/* explain_login.c, explain_policy.c, explain_path.c: the steps in their order */
void explain_login(struct explain *e);
void explain_sender(struct explain *e, struct str typed, const char *step);
struct str explain_rewrite(struct explain *e, const char *step, bool is_sender, bool in_header, struct str address);

/* explain_local.c: the login of a user of this machine (name or number), and what its names mean */
void explain_local_user(struct explain *e, const char *text);
struct str explain_local_sender(struct explain *e, struct str address);
struct str explain_local_recipient(struct explain *e, struct str address);

void explain_limits(struct explain *e);
void explain_signature(struct explain *e);
void explain_path(struct explain *e, struct str recipient);

/* explain_tls.c: TLS to the mail servers of a domain (A-labels, lower case), and what the route demands of it */
void explain_domain_tls(struct explain *e, struct str domain, enum tls_require route, struct str route_name);

#endif
