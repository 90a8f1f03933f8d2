/* world.c */
#include "world.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *program;

struct world world;

/* ---- resolver ---- */

static void put16(struct buf *b, unsigned v)
{
	char bytes[2] = { (char)(v >> 8), (char)v };

	buf_add(b, str_make(bytes, 2));
}

static void put_name(struct buf *b, struct str name)
{
	struct str label;

	while (str_split(&name, '.', &label)) {
		char n = (char)label.n;

		buf_add(b, str_make(&n, 1));
		buf_add(b, label);
	}
	buf_add(b, str_make("", 1));
}

static void put_answer(struct buf *b, const struct msg_resolve *m, const char *data)
{
	char n = (char)strlen(data);

	put_name(b, m->name);
	put16(b, (unsigned)m->type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 60);
	if (m->type == 16) {
		put16(b, 1 + (unsigned)strlen(data));
		buf_add(b, str_make(&n, 1));
		buf_add(b, str_of(data));
	} else {
		struct sockaddr_in a;

		uv_ip4_addr(data, 0, &a);
		put16(b, 4);
		buf_add(b, str_make((const char *)&a.sin_addr, 4));
	}
}

static void handle_resolve(void *ctx, struct channel *ch, const struct msg_resolve *m, int fd)
{
	struct world *w = &world;
	const char *data = m->type == 16 ? w->record : m->type == 1 ? w->address : NULL;
	struct msg_resolved answer = { .call = m->call };
	struct buf b;

	w->asked++;
	buf_init(&b, 65536);
	put16(&b, 0);
	put16(&b, 0x8180);
	put16(&b, 1);
	put16(&b, data ? 1 : 0);
	put16(&b, 0);
	put16(&b, 0);
	put_name(&b, m->name);
	put16(&b, (unsigned)m->type);
	put16(&b, 1);
	if (data)
		put_answer(&b, m, data);
	if (w->dns_fails)
		answer.rcode = 2;
	else
		answer.packet = buf_view(&b);
	ipc_send_resolved(ch, &answer, -1);
	buf_fini(&b);
}

/* ---- fetch ---- */

void give(struct channel *ch, uint64_t call)
{
	struct world *w = &world;
	struct msg_text_fetched m = { .call = call,
				      .verdict = ok(),
				      .status = w->status,
				      .content_type = str_of(w->content_type),
				      .text = str_of(w->text),
				      .untrusted = w->untrusted };

	if (w->why)
		m = (struct msg_text_fetched){ .call = call,
					       .verdict = temp(451, S("4.4.1"), str_of(w->why)),
					       .untrusted = w->untrusted };
	ipc_send_text_fetched(ch, &m, -1);
}

static void handle_fetch_text(void *ctx, struct channel *ch, const struct msg_fetch_text *m, int fd)
{
	struct world *w = &world;

	snprintf(w->url, sizeof w->url, "%.*s", STR_ARG(m->url));
	snprintf(w->addresses, sizeof w->addresses, "%.*s", STR_ARG(m->addresses));
	w->held[w->fetches++ % 256] = m->call;
	if (!w->silent)
		give(ch, m->call);
}

const struct ipc_handlers no_handlers, resolver_handlers = { .resolve = handle_resolve },
				       fetch_handlers = { .fetch_text = handle_fetch_text };

/* ---- relay ---- */

static void on_found(void *ctx, struct verdict v, const struct msg_sts_found *m, int fd)
{
	struct world *w = &world;

	w->answers++;
	w->last = m ? *m : (struct msg_sts_found){ .verdict = v };
	snprintf(w->id, sizeof w->id, "%.*s", STR_ARG(w->last.id));
	snprintf(w->why_heard, sizeof w->why_heard, "%.*s", STR_ARG(w->last.why));
	snprintf(w->policy, sizeof w->policy, "%.*s", STR_ARG(w->last.text));
	w->mx[0] = '\0';
	for (size_t i = 0; i < w->last.mx.n; i++)
		snprintf(w->mx + strlen(w->mx), sizeof w->mx - strlen(w->mx), "%.*s ", STR_ARG(w->last.mx.at[i].pattern));
}

void ask(const char *domain, bool kept)
{
	struct msg_sts_find m = { .domain = str_of(domain), .kept = kept };

	ipc_call_sts_find(world.role.peers[ROLE_RELAY], &m, -1, on_found, NULL);
}

void ask_and_wait(const char *domain)
{
	unsigned before = world.answers;

	ask(domain, false);
	assert_true(run_until(&world.loop, &world.answers, before + 1));
	assert_int_equal(world.last.verdict.class, OK);
}

void assert_found(const char *domain, unsigned mode, unsigned fetches)
{
	ask_and_wait(domain);
	if (world.last.mode != mode || world.fetches != fetches)
		fail_msg("%s: mode %u after %u fetches: %s", domain, (unsigned)world.last.mode, world.fetches, world.why_heard);
}

/* ---- the world ---- */

void world_start(struct world *w)
{
	w->role = (struct played){ .loop = &w->loop, .role = ROLE_TLSPOLICY, .program = program };
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_RELAY, &no_handlers);
	played_connect(&w->role, ROLE_RESOLVER, &resolver_handlers);
	played_connect(&w->role, ROLE_FETCH, &fetch_handlers);
}

int world_setup(void **state)
{
	struct world *w = &world;
	char path[96];

	*w = (struct world){
		.record = "v=STSv1; id=1;", .address = "192.0.2.7", .text = ENFORCE, .content_type = "text/plain", .status = 200
	};
	*state = w;
	snprintf(w->directory, sizeof w->directory, "/tmp/posthouse-test-tlspolicy-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	assert_true(snprintf(path, sizeof path, "%.63s/tlspolicy", w->directory) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
	uv_loop_init(&w->loop);
	w->config.state_dir = str_of(w->directory);
	w->config.delivery.ipv4 = w->config.delivery.ipv6 = w->config.delivery.uses_mta_sts = true;
	world_start(w);
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	char command[128];

	played_end(&w->role);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	snprintf(command, sizeof command, "rm -rf %.63s", w->directory);
	return uv_loop_close(&w->loop) || system(command);
}

void kill_and_start(struct world *w)
{
	w->role.ready = 0; /* so it is killed */
	played_end(&w->role);
	world_start(w);
}
