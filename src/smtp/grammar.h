/* grammar.h - paths and parameters of MAIL and RCPT (RFC 5321 4.1.2), private to smtp/. */
#ifndef POSTHOUSE_SMTP_GRAMMAR_H
#define POSTHOUSE_SMTP_GRAMMAR_H

#include "posthouse/smtp_server.h"

/* Take the path off the front of what follows "FROM:" or "TO:". Tolerated: spaces before it, missing angle brackets, a source route
 * (taken off). The address is not checked. False when brackets or quotes do not close, or something sticks to the bracket. */
bool smtp_parse_path(struct str argument, struct str *address_out, struct str *rest_out);

/* What follows "FROM" and "TO" in "MAIL FROM:<a@b>": false when the keyword or its colon is missing. */
bool smtp_parse_keyword(struct str argument, struct str keyword, struct str *rest_out);

/* RFC 5322 3.2.3: an atom, not empty. */
bool smtp_atom_valid(struct str text);

/* RFC 3461 section 4: xtext, printable ASCII without '+' and '=', or "+" and two upper-case hexadecimal digits. */
bool smtp_xtext_valid(struct str text);

/* Parameters, keyword[=value] with spaces between. PERM 555 5.5.4: not one that extensions.def offers; PERM 501 5.5.4: malformed, or
 * given twice. Sizes are not judged here. */
struct verdict smtp_mail_params(struct str rest, struct smtp_mail_params *params_out);
struct verdict smtp_rcpt_params(struct str rest, struct smtp_rcpt_params *params_out);

#endif
