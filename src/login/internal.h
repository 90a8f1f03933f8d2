/* internal.h - shared by the files that use Cyrus. */
#ifndef POSTHOUSE_LOGIN_INTERNAL_H
#define POSTHOUSE_LOGIN_INTERNAL_H

#include "backend.h"
#include "directory.h"

/* For Cyrus a login is one text, "alice@example.org" or "alice@example.org/phone". Split it into name and device (views). */
void login_split(struct str login, struct str *name_out, struct str *device_out);

/* The back-end given to cyrus_start(), and its further realms. */
const struct backend *cyrus_backend(void);
struct str cyrus_realms(void);

/* ---- plugin.c ---- */
/* Add the plug-in of this program to Cyrus, which has been started. Returns a result of Cyrus. */
int plugin_add(struct directory *d);

/* The plug-in of the back-end, which this plug-in asks; copied. */
struct sasl_auxprop_plug;
void plugin_asks(const struct sasl_auxprop_plug *backend);

#endif
