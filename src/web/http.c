/* http.c - see http.h. In the order they happen: on_connection, on_connection_told, on_request, http_answer, on_request again,
 * on_completed. */
#include "http.h"

#include "posthouse/arena.h"
#include "posthouse/clock.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX   32
#define CONNECTION_MS     10000 /* from the connection to the end of the answer, however slowly bytes come and go */
#define CONNECTION_MEMORY 8192  /* of libmicrohttpd for each connection: bounds the size of a request */
#define SWEEP_MS          1000
#define LISTENERS_MAX     2

struct http {
	uv_loop_t *loop;
	const struct http_ops *ops;
	void *ctx;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;   /* of the daemon's epoll descriptor */
	uv_timer_t wake;  /* the daemon has something to do */
	uv_timer_t sweep; /* runs while there are connections */
	struct listener *listeners[LISTENERS_MAX];
	size_t listeners_n;
	struct list connections;
	size_t connections_n;
	uint64_t answered, refused;
};

struct connection {
	struct list link;
	int fd; /* libmicrohttpd's */
	uint64_t since_mono;
	bool asked; /* its request has come: an answer is on its way */
};

struct http_request {
	struct http *http;
	struct MHD_Connection *connection;
	struct arena arena;
	struct str path;
	bool asked;
	struct MHD_Response *response; /* NULL: not answered */
	unsigned status;
};

/* ---- the daemon on the loop ---- */
static void on_wake(uv_timer_t *timer);

/* Let the daemon work, and wake it when it wants. */
static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(h->daemon);
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
		uv_timer_start(&h->wake, on_wake, ms, 0);
	else
		uv_timer_stop(&h->wake);
}

static void on_wake(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	run(poll->data);
}

/* Later, since the caller can be within a callback of the daemon. */
static void run_soon(struct http *h)
{
	uv_timer_start(&h->wake, on_wake, 0, 0);
}

static void on_log(void *ctx, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void on_log(void *ctx, const char *format, va_list arguments)
{
	char text[200];

	vsnprintf(text, sizeof text, format, arguments);
	log_debug(NULL, "web.http", kv("text", str_trim(str_of(text))));
}

/* ---- connections ---- */
/* Time is up for a connection from here on: the daemon finds it closed. */
static void on_sweep(uv_timer_t *timer)
{
	struct http *h = timer->data;
	uint64_t now = clock_mono_ms();

	LIST_EACH_OF (struct connection, c, &h->connections, link)
		if (now - c->since_mono > CONNECTION_MS)
			shutdown(c->fd, SHUT_RDWR);
	if (h->connections_n == 0)
		uv_timer_stop(timer);
	run(h);
}

static void connection_begun(struct http *h, struct MHD_Connection *connection, void **context)
{
	struct connection *c = NEW(struct connection);

	c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->since_mono = clock_mono_ms();
	list_append(&h->connections, &c->link);
	if (h->connections_n++ == 0)
		uv_timer_start(&h->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	*context = c;
}

static void on_connection_told(void *ctx, struct MHD_Connection *connection, void **context,
			       enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	struct connection *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_begun(h, connection, context);
		return;
	}
	list_remove(&c->link);
	h->connections_n--;
	free(c);
}

/* Clients that are connected and say nothing must not keep away those that ask: the oldest of them has to go. */
static bool has_room(struct http *h)
{
	if (h->connections_n < CONNECTIONS_MAX)
		return true;
	LIST_EACH_OF (struct connection, c, &h->connections, link) {
		if (c->asked)
			continue;
		h->refused++;
		shutdown(c->fd, SHUT_RDWR);
		run(h);
		break;
	}
	return h->connections_n < CONNECTIONS_MAX;
}

static void on_connection(void *ctx, int fd)
{
	struct http *h = ctx;
	struct sockaddr_storage peer;
	socklen_t n = sizeof peer;

	if (getpeername(fd, (struct sockaddr *)&peer, &n) != 0 || !has_room(h)) {
		h->refused++;
		close(fd);
		return;
	}
	if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&peer, n) != MHD_YES)
		h->refused++;
	run_soon(h);
}

/* ---- requests ---- */
static struct MHD_Response *response_new(struct str body, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);

	if (!r)
		return NULL;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	return r;
}

static enum MHD_Result refuse(struct http *h, struct MHD_Connection *connection, unsigned status, struct str words)
{
	struct MHD_Response *r = response_new(words, "text/plain; charset=utf-8");
	enum MHD_Result result;

	h->refused++;
	if (!r)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, r);
	MHD_destroy_response(r);
	return result;
}

/* The header is there; a body can follow, which no page wants. */
static enum MHD_Result begin(struct http *h, struct MHD_Connection *connection, const char *path, const char *method,
			     void **request_out)
{
	struct connection *c = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	struct http_request *q;

	c->asked = true;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(h, connection, MHD_HTTP_METHOD_NOT_ALLOWED, S("only GET and HEAD\n"));
	if (!h->ops->has_page(h->ctx, str_of(path)))
		return refuse(h, connection, MHD_HTTP_NOT_FOUND, S("there is no such page: /metrics, /healthz, /readyz\n"));
	q = NEW(struct http_request);
	q->http = h;
	q->connection = connection;
	q->path = arena_str(&q->arena, str_of(path));
	*request_out = q;
	return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method,
				  const char *version, const char *upload, size_t *upload_n, void **request)
{
	struct http *h = ctx;
	struct http_request *q = *request;

	if (!q)
		return begin(h, connection, path, method, request);
	if (*upload_n > 0) {
		*upload_n = 0; /* dropped */
		return MHD_YES;
	}
	if (q->response)
		return MHD_queue_response(connection, q->status, q->response);
	if (q->asked)
		return MHD_NO;
	q->asked = true;
	MHD_suspend_connection(connection);
	h->ops->asked(h->ctx, q);
	return MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why)
{
	struct http_request *q = *request;

	if (!q)
		return;
	if (q->response)
		MHD_destroy_response(q->response);
	arena_fini(&q->arena);
	free(q);
	*request = NULL;
}

struct str http_path(const struct http_request *q)
{
	return q->path;
}

struct str http_accept(const struct http_request *q)
{
	return str_of(MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
}

void http_answer(struct http_request *q, unsigned status, const char *type, struct str body)
{
	q->status = status;
	q->response = response_new(body, type); /* NULL: no memory; the daemon closes the connection */
	q->http->answered++;
	MHD_resume_connection(q->connection);
	run_soon(q->http);
}

/* ---- life ---- */
struct http *http_new(uv_loop_t *loop, const struct http_ops *ops, void *ctx)
{
	struct http *h = NEW(struct http);
	const union MHD_DaemonInfo *info;

	h->loop = loop;
	h->ops = ops;
	h->ctx = ctx;
	list_init(&h->connections);
	uv_timer_init(loop, &h->wake);
	uv_timer_init(loop, &h->sweep);
	h->poll.data = h->wake.data = h->sweep.data = h;
	h->daemon =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
				 NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_CONNECTION_LIMIT,
				 CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_MS / 1000,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
				 on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection_told, h, MHD_OPTION_END);
	info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info || uv_poll_init(loop, &h->poll, info->epoll_fd) != 0)
		return NULL;
	uv_poll_start(&h->poll, UV_READABLE, on_event);
	return h;
}

void http_listen(struct http *h, int fd)
{
	struct listener *l = h->listeners_n < LISTENERS_MAX ? listener_serve(h->loop, fd, on_connection, h) : NULL;

	if (l)
		h->listeners[h->listeners_n++] = l;
}

void http_stop_listening(struct http *h)
{
	while (h->listeners_n > 0)
		listener_close(h->listeners[--h->listeners_n]);
}

uint64_t http_answered(const struct http *h)
{
	return h->answered;
}

uint64_t http_refused(const struct http *h)
{
	return h->refused;
}
