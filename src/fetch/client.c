/* client.c - libcurl's multi interface on the loop: its sockets as uv_poll, its one time limit as uv_timer. */
#include "client.h"

#include "transfer.h"
#include "wiped.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct client {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
};

/* A socket of libcurl. */
struct watched {
	uv_poll_t poll;
	struct client *client;
	curl_socket_t fd;
};

/* ---- what has ended ---- */
static void take_finished(struct client *c)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
		void *transfer = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		transfer_finish(transfer, message->data.result);
	}
}

static void act(struct client *c, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(c->multi, fd, events, &running);
	take_finished(c);
}

/* ---- time ---- */
static void on_time(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* Called within libcurl, which must not be called from here: a time of 0 is one turn of the loop away too. */
static int on_timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct client *c = ctx;

	if (ms < 0)
		uv_timer_stop(&c->timer);
	else
		uv_timer_start(&c->timer, on_time, (uint64_t)ms, 0);
	return 0;
}

/* ---- sockets ---- */
static void on_event(uv_poll_t *poll, int status, int events)
{
	const struct watched *w = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(w->client, w->fd, flags);
}

static void on_unwatched(uv_handle_t *h)
{
	free(h->data);
}

static struct watched *watch(struct client *c, curl_socket_t fd)
{
	struct watched *w = NEW(struct watched);

	w->client = c;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init(c->loop, &w->poll, fd) != 0)
		abort(); /* epoll accepts every socket that nobody watches: a refusal is a bug */
	curl_multi_assign(c->multi, fd, w);
	return w;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *watched)
{
	struct client *c = ctx;
	struct watched *w = watched;

	if (what == CURL_POLL_REMOVE) {
		if (w)
			uv_close((uv_handle_t *)&w->poll, on_unwatched);
		curl_multi_assign(c->multi, fd, NULL);
		return 0;
	}
	if (!w)
		w = watch(c, fd);
	uv_poll_start(&w->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_event);
	return 0;
}

/* ---- the client ---- */
static void *openssl_malloc(size_t n, const char *file, int line)
{
	return malloc(n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
	if (n > 0)
		return wiped_realloc(p, n);
	wiped_free(p);
	return NULL;
}

static void openssl_free(void *p, const char *file, int line)
{
	wiped_free(p);
}

struct client *client_new(uv_loop_t *loop)
{
	struct client *c;

	/* refused after OpenSSL's first allocation; bodies have been decrypted into its memory */
	CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiped_free, wiped_realloc, wiped_strdup, calloc) != CURLE_OK)
		return NULL;
	c = NEW(struct client);
	c->loop = loop;
	c->multi = curl_multi_init();
	if (!c->multi)
		abort();
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}

struct transfer *transfer_new(struct client *client, const struct transfer_request *request, transfer_fn done, void *ctx)
{
	return transfer_begin(client->multi, request, done, ctx);
}
