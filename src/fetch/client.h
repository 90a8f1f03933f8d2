/* client.h - HTTPS requests on the libuv loop. Only files of this folder know libcurl, and no other folder sees that it is there.
 *
 * A request is one connection of its own: HTTP/1.1, TLS 1.2 or later, a verified certificate; no redirects, proxies, cookies
 * or files of a user. */
#ifndef FETCH_CLIENT_H
#define FETCH_CLIENT_H

#include "posthouse/arena.h"
#include "posthouse/units.h"
#include "posthouse/verdict.h"

#include <sys/socket.h>
#include <uv.h>

#define CONNECT_MS      (10 * SECOND_MS) /* until TLS is established */
#define REQUEST_MS      (30 * SECOND_MS) /* all of it … */
#define TEXT_MS         (60 * SECOND_MS) /* … of a text (RFC 8461 3.3) */
#define ANSWER_MAX      (64 * KIB)
#define ANSWER_HEAD_MAX (32 * KIB)
#define RETRY_AFTER_MAX (366 * DAY_MS) /* a longer time counts as this */

struct client;
struct transfer;

/* What is asked for. All views stay valid until `done` or transfer_cancel(). */
struct transfer_request {
	struct str url, content_type, body; /* body "": GET, else POST */
	const char *accept;                 /* the media type that is wanted */
	struct str host;                    /* of the URL, see url.h */
	unsigned port;
	const struct sockaddr_storage *addresses; /* of the host; only these can be views that end with transfer_new() */
	size_t addresses_n;
	struct str ca_pem; /* "": the CA certificates of the system; can end with transfer_new() */
	uint64_t time_ms;  /* for all of it */
};

struct transfer_answer {
	unsigned status;         /* 0: there is no answer */
	bool untrusted;          /* … because the certificate is not accepted */
	uint64_t date;           /* of the server's clock, ms UTC; 0: it said none */
	uint64_t retry_after_ms; /* RFC 9110 10.2.3; 0: it said none */
	struct str content_type; /* "": it said none */
	struct str body;
};

/* OK and the answer, whatever its status; or TEMP, with the reason as a sentence. Text and answer live until the function
 * returns. It comes once, from the loop; then the transfer has ended. */
typedef void (*transfer_fn)(void *ctx, struct verdict v, const struct transfer_answer *answer);

/* Initialise the libraries; before threads are started. NULL: they refuse. */
struct client *client_new(uv_loop_t *loop);

struct transfer *transfer_new(struct client *client, const struct transfer_request *request, transfer_fn done, void *ctx);
void transfer_cancel(struct transfer *t); /* `done` does not come */

#endif
