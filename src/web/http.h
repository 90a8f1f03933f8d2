/* http.h - the HTTP server: libmicrohttpd on the loop, without a thread. One request for each connection; GET and HEAD only;
 * connections, their time and the size of a request are bounded. */
#ifndef POSTHOUSE_WEB_HTTP_H
#define POSTHOUSE_WEB_HTTP_H

#include "posthouse/str.h"

#include <uv.h>

struct http;
struct http_request;

struct http_ops {
	/* Is there a page of this path? */
	bool (*has_page)(void *ctx, struct str path);
	/* A request for such a page, which http_answer() ends. */
	void (*asked)(void *ctx, struct http_request *q);
};

/* NULL: libmicrohttpd does not start. */
struct http *http_new(uv_loop_t *loop, const struct http_ops *ops, void *ctx);
void http_listen(struct http *h, int fd);     /* takes the listening socket */
void http_stop_listening(struct http *h);     /* what was asked is still answered */
uint64_t http_answered(const struct http *h); /* requests for pages, since the start */
uint64_t http_refused(const struct http *h);  /* connections and requests, since the start */

/* Views of the request, which live until it is answered. */
struct str http_path(const struct http_request *q);
struct str http_accept(const struct http_request *q); /* the value of the Accept field; "": there is none */

/* Answer with these bytes, which are copied; `type` is a string that stays. */
void http_answer(struct http_request *q, unsigned status, const char *type, struct str body);

#endif
