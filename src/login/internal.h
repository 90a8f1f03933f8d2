/* internal.h - what the files about Cyrus share. */
#ifndef POSTHOUSE_LOGIN_INTERNAL_H
#define POSTHOUSE_LOGIN_INTERNAL_H

#include "backend.h"
#include "directory.h"

/* Within Cyrus a login is one text, "alice@example.org" or "alice@example.org/phone": into its parts (views). */
void login_split(struct str login, struct str *name_out, struct str *device_out);

/* The back-end that cyrus_start() was told of, and the further realms that it serves. */
const struct backend *cyrus_backend(void);
struct str cyrus_realms(void);

/* ---- plugin.c ---- */
/* Add our plug-in to Cyrus, which is started; a result of Cyrus. */
int plugin_add(struct directory *d);

/* Whom it asks: the plug-in of the back-end; copied. */
struct sasl_auxprop_plug;
void plugin_asks(const struct sasl_auxprop_plug *backend);

#endif
