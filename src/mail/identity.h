/* identity.h - which Message-ID, Date and Authentication-Results of a client can stay. A value is the text after the
 * colon. */
#ifndef POSTHOUSE_MAIL_IDENTITY_H
#define POSTHOUSE_MAIL_IDENTITY_H

#include "posthouse/mail.h"

#define MESSAGE_ID_MAX 998

/* One "<left@right>", comments around it allowed. */
bool message_id_valid(struct str value);

/* RFC 5322 3.3, and of 4.3 what clients write: years of two digits, zones by name, comments, no day of the week, no seconds. */
bool date_valid(struct str value);

/* Do Authentication-Results claim to come from this host (RFC 8601 2.2 authserv-id)? Then they are forged (5), since this program
 * makes none. */
bool is_result_of(struct arena *a, struct str value, struct str hostname);

#endif
