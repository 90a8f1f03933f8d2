/* probe.c - `posthouse upstream test`: a session with an upstream as for a delivery, up to the login and QUIT. It has a pool of
 * its own, so that neither the limits of connections nor the state of the upstream count, and none of these changes. */
#include "connection.h"
#include "relay.h"

#include "posthouse/role.h"

#include <stdio.h>
#include <stdlib.h>

struct probe {
	struct channel *console; /* NULL: answered */
	uint64_t call;
	struct arena arena;
	struct str tls, extensions, mechanism; /* of the last session that got so far */
	uint64_t size;
};

static void refuse(struct channel *console, uint64_t call, struct verdict v)
{
	ipc_send_upstream_tested(console, &(struct msg_upstream_tested){ .call = call, .verdict = v }, -1);
}

void probe_begin(struct relay *relay, struct channel *console, const struct msg_upstream_test *m)
{
	const struct cfg_upstream *u = config_upstream(role_config(relay->role), m->upstream);
	struct pool *pool;

	if (!u || relay->stopping) {
		refuse(console, m->call,
		       u ? temp(421, S("4.3.2"), S("the relay is being stopped"))
			 : perm(550, S("5.3.5"), S("no such upstream is configured")));
		return;
	}
	pool = nexthop_outside(relay, u);
	pool->probe = NEW(struct probe);
	pool->probe->console = console;
	pool->probe->call = m->call;
	connection_open(pool);
}

static struct str tls_text(struct connection *c, struct arena *a)
{
	struct stream_tls_info tls = { .version = "", .cipher = "" };

	if (c->stream)
		stream_tls_info(c->stream, &tls);
	if (!tls.on)
		return str_of(tls_result_failed(c->tls_result) ? tls_result_word(c->tls_result) : "");
	return arena_printf(a, "%s/%s, %s", tls.version, tls.cipher,
			    c->tls.level == TLS_LEVEL_VERIFY ? "certificate verified" : "certificate not verified");
}

void probe_note(struct connection *c)
{
	struct probe *p = c->pool->probe;
	const struct smtp_peer *peer = c->client ? smtp_client_peer(c->client) : NULL;

	p->tls = tls_text(c, &p->arena);
	p->mechanism = arena_str(&p->arena, c->mechanism);
	if (!peer)
		return;
	p->extensions = smtp_peer_keywords(&p->arena, peer);
	p->size = peer->size;
}

static void answer(struct connection *c, struct msg_upstream_tested m)
{
	struct probe *p = c->pool->probe;

	m.call = p->call;
	m.tls = p->tls;
	m.mechanism = p->mechanism;
	m.extensions = p->extensions;
	m.size = p->size;
	m.transcript = connection_transcript(c, &p->arena);
	if (p->console && p->console == role_peer(c->relay->role, ROLE_CONSOLE, 0))
		ipc_send_upstream_tested(p->console, &m, -1);
	p->console = NULL;
}

void probe_ended(struct connection *c, bool open)
{
	const struct failure *f = &c->failure;

	if (open)
		probe_note(c);
	answer(c,
	       open ? (struct msg_upstream_tested){ .verdict = ok(), .step = STEP_AUTH, .remote = str_of(c->remote) }
		    : (struct msg_upstream_tested){
			      .verdict = f->verdict, .step = f->step, .meaning = meaning_pack(f->meaning), .remote = f->remote });
}

void probe_free(struct connection *c)
{
	struct probe *p = c->pool->probe;

	if (p->console)
		answer(c, (struct msg_upstream_tested){ .verdict = temp(421, S("4.3.2"), S("the test was broken off")) });
	arena_fini(&p->arena);
	free(p);
	c->pool->probe = NULL;
}
