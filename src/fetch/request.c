/* request.c - one request of another role: look up its host, send it, give back the answer. */
#include "request.h"

#include "json.h"
#include "url.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/secret.h"

#include <stdlib.h>

enum { ADDRESSES_MAX = 16, CONTENT_TYPE_MAX = 256 };

enum request_state {
	REQUEST_WAITING,   /* others run */
	REQUEST_RESOLVING, /* the addresses of its host are looked up */
	REQUEST_RUNNING,
	REQUEST_ENDED, /* the timer is being closed */
};

struct request {
	struct list in_list;
	struct requests *requests;
	enum request_state state;
	struct channel *ch;
	uint64_t call;
	bool is_text;       /* and `addresses` are given */
	struct arena arena; /* of what is no secret */
	struct secret text, body;
	struct str content_type, addresses;
	struct url url;
	uint64_t came_mono, begun_mono;
	struct resolve *resolve;
	struct transfer *transfer;
	uv_timer_t limit; /* of the look-up, and for an answer that must not come from within request_add() */
};

static void begin_next(struct requests *q);

/* ---- the end ---- */
static void on_closed(uv_handle_t *h)
{
	struct request *r = h->data;

	secret_fini(&r->text);
	secret_fini(&r->body);
	arena_fini(&r->arena);
	free(r);
}

/* Whatever is under way ends, and the place is free. */
static void request_end(struct request *r)
{
	struct requests *q = r->requests;

	if (r->state == REQUEST_WAITING)
		q->waiting_n--;
	else
		q->running_n--;
	r->state = REQUEST_ENDED;
	list_remove(&r->in_list);
	resolve_cancel(r->resolve);
	if (r->transfer)
		transfer_cancel(r->transfer);
	uv_close((uv_handle_t *)&r->limit, on_closed);
	q->busy(q->ctx, -1);
	begin_next(q);
}

static void request_fail(struct request *r, struct str why, bool untrusted)
{
	struct verdict v = temp(451, S("4.4.1"), why);

	r->requests->failures++;
	log_info(NULL, "fetch.failed", kv("host", r->url.host), kv("path", r->url.path), kv("reason", why),
		 kv("took_ms", clock_mono_ms() - r->came_mono));
	if (r->is_text)
		ipc_send_text_fetched(r->ch, &(struct msg_text_fetched){ .call = r->call, .verdict = v, .untrusted = untrusted },
				      -1);
	else
		ipc_send_fetched(r->ch, &(struct msg_fetched){ .call = r->call, .verdict = v }, -1);
	request_end(r);
}

static void answer_with_fields(struct request *r, const struct transfer_answer *answer)
{
	struct msg_fetched m = { .call = r->call,
				 .verdict = ok(),
				 .status = answer->status,
				 .date = answer->date,
				 .retry_after_ms = answer->retry_after_ms };
	struct json json;

	json_read(&json, answer->body);
	m.fields.at = json.fields;
	m.fields.n = json.n;
	ipc_send_fetched(r->ch, &m, -1);
	json_fini(&json);
}

static void answer_with_text(struct request *r, const struct transfer_answer *answer)
{
	struct msg_text_fetched m = { .call = r->call,
				      .verdict = ok(),
				      .status = answer->status,
				      .content_type = str_head(answer->content_type, CONTENT_TYPE_MAX),
				      .text = answer->body };

	ipc_send_text_fetched(r->ch, &m, -1);
}

static void on_answer(void *ctx, struct verdict v, const struct transfer_answer *answer)
{
	struct request *r = ctx;

	r->transfer = NULL;
	if (v.class != OK) {
		request_fail(r, v.text, answer->untrusted);
		return;
	}
	log_debug(NULL, "fetch.done", kv("host", r->url.host), kv("path", r->url.path), kv("status", answer->status),
		  kv("took_ms", clock_mono_ms() - r->came_mono));
	if (r->is_text)
		answer_with_text(r, answer);
	else
		answer_with_fields(r, answer);
	request_end(r);
}

/* ---- running ---- */
static void run(struct request *r, const struct sockaddr_storage *addresses, size_t n)
{
	struct transfer_request request = { .url = secret_view(&r->text),
					    .content_type = r->content_type,
					    .accept = r->is_text ? "text/plain, */*;q=0.1" : "application/json",
					    .body = secret_view(&r->body),
					    .host = r->url.host,
					    .port = r->url.port,
					    .addresses = addresses,
					    .addresses_n = n,
					    .ca_pem = r->is_text ? S("") : r->requests->ca_pem };
	uint64_t took = clock_mono_ms() - r->begun_mono, limit = r->is_text ? TEXT_MS : REQUEST_MS;

	request.time_ms = took < limit ? limit - took : 1;
	r->state = REQUEST_RUNNING;
	r->transfer = transfer_new(r->requests->client, &request, on_answer, r);
}

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct request *r = ctx;

	r->resolve = NULL;
	uv_timer_stop(&r->limit);
	if (v.class == OK)
		run(r, addresses, n);
	else
		request_fail(r, arena_printf(&r->arena, "%.*s has no address: %.*s", STR_ARG(r->url.host), STR_ARG(v.text)),
			     false);
}

/* The addresses that came with the request. */
static void run_with_given(struct request *r)
{
	struct sockaddr_storage addresses[ADDRESSES_MAX] = { 0 };
	struct str rest = r->addresses, word;
	size_t n = 0;

	while (n < ADDRESSES_MAX && str_split(&rest, ' ', &word)) {
		const char *text = arena_cstr(&r->arena, word);

		n += uv_ip4_addr(text, (int)r->url.port, (struct sockaddr_in *)&addresses[n]) == 0 ||
		     uv_ip6_addr(text, (int)r->url.port, (struct sockaddr_in6 *)&addresses[n]) == 0;
	}
	run(r, addresses, n);
}

static void on_no_resolver(uv_timer_t *timer)
{
	struct request *r = timer->data;

	request_fail(
		r, arena_printf(&r->arena, "the address of %.*s is not found: no name server has answered", STR_ARG(r->url.host)),
		false);
}

static void on_refused(uv_timer_t *timer)
{
	request_fail(timer->data, S("the URL is not one of https"), false);
}

static void on_too_late(uv_timer_t *timer)
{
	request_fail(timer->data, S("too many requests at once"), false);
}

static void begin(struct request *r)
{
	struct requests *q = r->requests;

	list_remove(&r->in_list);
	list_append(&q->running, &r->in_list);
	q->running_n++;
	q->waiting_n--;
	r->state = REQUEST_RESOLVING;
	r->begun_mono = clock_mono_ms();
	if (!url_read(&r->arena, secret_view(&r->text), &r->url)) {
		uv_timer_start(&r->limit, on_refused, 0, 0);
	} else if (r->begun_mono - r->came_mono > REQUEST_WAIT_MAX_MS) {
		uv_timer_start(&r->limit, on_too_late, 0, 0);
	} else if (r->is_text) {
		run_with_given(r);
	} else {
		uv_timer_start(&r->limit, on_no_resolver, CONNECT_MS, 0);
		r->resolve = resolve_host(q->loop, r->url.host, r->url.port, true, true, on_resolved, r);
	}
}

static void begin_next(struct requests *q)
{
	while (q->running_n < REQUESTS_RUNNING_MAX && !list_empty(&q->waiting))
		begin(CONTAINER_OF(list_first(&q->waiting), struct request, in_list));
}

/* ---- coming and going ---- */
void requests_init(struct requests *q, uv_loop_t *loop, struct client *client, void (*busy)(void *ctx, int change), void *ctx)
{
	q->busy = busy;
	q->ctx = ctx;
	q->loop = loop;
	q->client = client;
	list_init(&q->running);
	list_init(&q->waiting);
}

static struct request *request_new(struct requests *q, struct channel *ch, struct str url, struct str content_type,
				   struct str body)
{
	struct request *r = NEW(struct request);

	r->requests = q;
	r->ch = ch;
	r->came_mono = clock_mono_ms();
	r->content_type = arena_str(&r->arena, content_type);
	secret_set(&r->text, url);
	secret_set(&r->body, body);
	return r;
}

static void add(struct requests *q, struct request *r)
{
	uv_timer_init(q->loop, &r->limit);
	r->limit.data = r;
	list_append(&q->waiting, &r->in_list);
	q->waiting_n++;
	q->came++;
	q->busy(q->ctx, +1);
	if (q->waiting_n > REQUESTS_WAITING_MAX)
		uv_timer_start(&r->limit, on_too_late, 0, 0);
	begin_next(q);
}

void request_add(struct requests *q, struct channel *ch, const struct msg_fetch *m)
{
	struct request *r = request_new(q, ch, m->url, m->content_type, m->body);

	r->call = m->call;
	add(q, r);
}

void request_add_text(struct requests *q, struct channel *ch, const struct msg_fetch_text *m)
{
	struct request *r = request_new(q, ch, m->url, m->content_type, m->body);

	r->call = m->call;
	r->is_text = true;
	r->addresses = arena_str(&r->arena, m->addresses);
	add(q, r);
}

void requests_drop(struct requests *q, const struct channel *ch)
{
	LIST_EACH_OF (struct request, r, &q->waiting, in_list)
		if (r->ch == ch)
			request_end(r);
	LIST_EACH_OF (struct request, r, &q->running, in_list)
		if (r->ch == ch)
			request_end(r);
}
