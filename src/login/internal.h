/* internal.h - what the two files about Cyrus share. */
#ifndef POSTHOUSE_LOGIN_INTERNAL_H
#define POSTHOUSE_LOGIN_INTERNAL_H

#include "posthouse/str.h"

/* Within Cyrus a login is one text, "alice@example.org" or "alice@example.org/phone": into its parts (views). */
void login_split(struct str login, struct str *name_out, struct str *device_out);

#endif
