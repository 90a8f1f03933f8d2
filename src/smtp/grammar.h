/* grammar.h - paths and parameters of MAIL and RCPT (RFC 5321 4.1.2), private to smtp/. */
#ifndef POSTHOUSE_SMTP_GRAMMAR_H
#define POSTHOUSE_SMTP_GRAMMAR_H

#include "posthouse/smtp_server.h"

#define ADDRESS_MAX 254 /* RFC 5321 4.5.3.1.3: a path has 256 octets with its brackets */

/* Take the path off the front of what follows "FROM:" or "TO:". Tolerated: spaces before it, missing angle brackets, a source
 * route (taken off). The address is not checked. False when a bracket or quote is not closed, or when no space
 * follows the closing bracket. */
bool smtp_parse_path(struct str argument, struct str *address_out, struct str *rest_out);

/* What follows "FROM" and "TO" in "MAIL FROM:<a@b>": false when the keyword or its colon is missing. */
bool smtp_parse_keyword(struct str argument, struct str keyword, struct str *rest_out);

/* RFC 5322 3.2.3: an atom, not empty. */
bool smtp_atom_valid(struct str text);

/* RFC 3461 section 4: xtext, printable ASCII without '+' and '=', or "+" and two upper-case hexadecimal digits. */
bool smtp_xtext_valid(struct str text);

/* Up to the next space or tab; text.n when there is none. */
size_t smtp_word_length(struct str text);

/* Take the next word off the front, and the white space before it. False: there is none. */
bool smtp_next_word(struct str *rest, struct str *word_out);

/* What parameters can ask for now. */
struct smtp_offer {
	bool tls;
	bool utf8;                 /* the message has SMTPUTF8 */
	uint64_t future_release_s; /* 0: FUTURERELEASE is not offered */
	uint64_t now_ms;
	struct arena *arena; /* for values that are not views, and for texts of verdicts */
};

/* Parameters, keyword[=value] with white space between. PERM 555 5.5.4: it is not offered; PERM 501 5.5.4: it is malformed,
 * or given twice; PERM 530 5.7.10: it needs TLS. Sizes are not compared with the limit here. */
struct verdict smtp_mail_params(struct str rest, const struct smtp_offer *offer, struct smtp_mail_params *params_out);
struct verdict smtp_rcpt_params(struct str rest, const struct smtp_offer *offer, struct smtp_rcpt_params *params_out);

/* Append the list of those that are offered, a line each, LF before it. */
void smtp_params_help(struct buf *b, const struct smtp_offer *offer, bool of_rcpt);

#endif
