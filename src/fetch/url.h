/* url.h - the parts of a URL, as libcurl reads them. */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include "posthouse/arena.h"

struct url {
	struct str host; /* in ASCII (IDNA), an IPv6 address in brackets */
	struct str path; /* without the query, which can have a secret */
	unsigned port;
};

/* The parts are in the arena. False: it is no URL, its scheme is not https, or it has a user's name. */
bool url_read(struct arena *a, struct str text, struct url *url_out);

#endif
