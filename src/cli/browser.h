/* browser.h - the browser that comes back to the command line after a person has signed in (RFC 8252 section 7.3, RFC 6749
 * section 4.1.2): what it asks for, and the listener on a loopback address. */
#ifndef POSTHOUSE_CLI_BROWSER_H
#define POSTHOUSE_CLI_BROWSER_H

#include "posthouse/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { BROWSER_REQUEST_MAX = 16384 };

enum browser_request {
	BROWSER_MORE,     /* the request is not complete */
	BROWSER_OTHER,    /* it is something else: an icon, another program, or the answer to another sign-in */
	BROWSER_SIGNED_IN /* code, or error, is set */
};

struct browser_answer {
	struct str code, error; /* error: "access_denied" and others of RFC 6749 section 4.1.2.1 */
};

/* Read "GET /?code=…&state=… HTTP/1.1" and its header. `state`: what the answer must bring. Texts are in the arena. */
enum browser_request browser_read(struct arena *a, struct str request, struct str state, struct browser_answer *answer_out);

/* The value of a parameter of a URL's query, without its percent encoding; "" when it is not there, is there twice, or cannot be
 * read. */
struct str browser_parameter(struct arena *a, struct str query, struct str name);

/* Listen on 127.0.0.1; port 0: a free one. The descriptor; dies when that is not possible. */
int browser_listen(unsigned port, unsigned *port_out);

/* Wait for the answer, until `until_mono` (monotonic ms). All other requests get 404. False: it has not come. */
bool browser_wait(int listener, struct arena *a, struct str state, uint64_t until_mono, struct browser_answer *answer_out);

#endif
