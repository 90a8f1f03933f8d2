/* gs2.h - the channel binding in the first message of a SCRAM client (RFC 5802 section 7, gs2-header). */
#ifndef POSTHOUSE_LOGIN_GS2_H
#define POSTHOUSE_LOGIN_GS2_H

#include "posthouse/str.h"

enum gs2_binding {
	GS2_MALFORMED,
	GS2_NONE,        /* "n": the client knows no channel binding */
	GS2_NOT_OFFERED, /* "y": the client knows it, and believes that the server does not */
	GS2_BOUND,       /* "p=": the client uses the channel binding that it names */
};

/* `type_out` is a view into the message, "" but for GS2_BOUND. */
enum gs2_binding gs2_read(struct str first, struct str *type_out);

#endif
