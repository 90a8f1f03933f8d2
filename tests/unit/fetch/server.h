/* server.h - an HTTPS server on loopback that answers with what the test has said for the path. */
#ifndef POSTHOUSE_TEST_FETCH_SERVER_H
#define POSTHOUSE_TEST_FETCH_SERVER_H

#include "../net/fixture.h"

struct page {
	const char *path;
	const char *answer; /* all of it, from the status line on; NULL: the server is silent */
	struct str more;    /* after `answer` */
	bool open;          /* the connection stays open after the answer */
};

struct server {
	uv_loop_t *loop;
	struct arena arena;
	struct listener *listener;
	unsigned port;
	struct tls_context *tls; /* NULL: it does not begin TLS */
	struct str ca_pem;       /* of its certificate */
	const struct page *pages;
	size_t pages_n;
	unsigned accepted, requests, open, held; /* held: requests without an answer */
	char last[8192];                         /* the last request */
};

/* The certificate is for `name` ("DNS:..." or "IP:...") and ends in so many seconds, 0: after a day. */
void server_start(struct server *s, uv_loop_t *loop, const char *name, long ends_s, const struct page *pages, size_t n);
void server_end(struct server *s);

/* All open connections get this answer, and are closed. */
void server_release(struct server *s, const char *answer);

#endif
