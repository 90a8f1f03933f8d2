/* gs2.h - how a SCRAM client's first message begins (RFC 5802 section 7, gs2-header): what it says of channel binding. */
#ifndef POSTHOUSE_LOGIN_GS2_H
#define POSTHOUSE_LOGIN_GS2_H

#include "posthouse/str.h"

enum gs2_binding {
	GS2_MALFORMED,
	GS2_NONE,        /* "n": the client knows no channel binding */
	GS2_NOT_OFFERED, /* "y": it does, and believes that we do not */
	GS2_BOUND,       /* "p=": it binds, by the type that it names */
};

/* `type_out` is a view into the message, "" but for GS2_BOUND. */
enum gs2_binding gs2_read(struct str first, struct str *type_out);

#endif
