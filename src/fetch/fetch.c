/* fetch.c - the fetch role: HTTPS requests for other roles, and their answers' JSON or text. It has no secret but those of the
 * requests in hand. */
#include "json.h"
#include "request.h"

#include "posthouse/role.h"

static struct requests requests, texts;

static void handle_fetch(void *ctx, struct channel *ch, const struct msg_fetch *m, int fd)
{
	request_add(&requests, ch, m);
}

static void handle_fetch_text(void *ctx, struct channel *ch, const struct msg_fetch_text *m, int fd)
{
	request_add_text(&texts, ch, m);
}

static void peer_down(struct role *r, struct channel *ch)
{
	requests_drop(&requests, ch);
	requests_drop(&texts, ch);
}

static void busy(void *ctx, int change)
{
	role_busy(ctx, change);
}

static void apply(struct role *r)
{
	requests.ca_pem = role_config(r)->https.ca_pem;
}

static struct verdict start(struct role *r)
{
	struct client *client = client_new(role_loop(r));

	if (!client)
		return temp(0, S(""), S("libcurl cannot be initialised"));
	json_start();
	requests_init(&requests, role_loop(r), client, busy, r);
	requests_init(&texts, role_loop(r), client, busy, r);
	role_set_data(r, &requests);
	return ok();
}

static void stats(struct role *r)
{
	role_stat(r, METRIC_FETCH_REQUESTS, requests.came + texts.came);
	role_stat(r, METRIC_FETCH_FAILURES, requests.failures + texts.failures);
	role_stat(r, METRIC_FETCH_RUNNING, requests.running_n + requests.waiting_n + texts.running_n + texts.waiting_n);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .fetch = handle_fetch, .fetch_text = handle_fetch_text };
	static const struct role_ops ops = {
		.id = ROLE_FETCH, .start = start, .apply = apply, .peer_down = peer_down, .stats = stats, .handlers = &handlers
	};

	return role_main(argc, argv, &ops);
}
