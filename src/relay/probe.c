/* probe.c - `posthouse upstream test`: a session with an upstream as for a delivery, up to the login and QUIT. It has a pool of
 * its own, so that neither the limits of connections nor the state of the upstream count, and none of these changes. */
#include "connection.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/role.h"

#include <stdio.h>
#include <stdlib.h>

struct probe {
	struct channel *console; /* NULL: answered */
	uint64_t call;
	struct arena arena;
	struct str tls, fingerprints, extensions, mechanism; /* of the last session that got so far */
	uint64_t size;
	struct str sender; /* to be tried; "": none, or it was tried */
	struct verdict heard;
	uint64_t meaning;
};

/* The answer to a login that was refused, to be repeated. */
struct refused_probe {
	struct refused_probe *next;
	struct arena arena;
	struct str upstream;
	uint64_t until; /* of the monotonic clock */
	struct msg_upstream_tested answer;
};

#define REPEATED_MS (60 * 60 * 1000)
#define PROBES_MAX  32 /* at once, each with a connection: as many as console has clients */

static void refuse(struct channel *console, uint64_t call, struct verdict v)
{
	ipc_send_upstream_tested(console, &(struct msg_upstream_tested){ .call = call, .verdict = v }, -1);
}

/* ---- logins that were refused ---- */

static struct refused_probe *refused_before(struct relay *relay, struct str upstream)
{
	for (struct refused_probe *r = relay->refused_probes; r; r = r->next)
		if (str_eq(r->upstream, upstream) && r->until > clock_mono_ms())
			return r;
	return NULL;
}

static void remember(struct relay *relay, struct str upstream, const struct msg_upstream_tested *m)
{
	struct refused_probe *r = NEW(struct refused_probe);
	struct arena *a = &r->arena;

	r->upstream = arena_str(a, upstream);
	r->until = clock_mono_ms() + REPEATED_MS;
	r->answer = *m;
	r->answer.verdict = verdict_keep(a, m->verdict);
	r->answer.remote = arena_str(a, m->remote);
	r->answer.tls = arena_str(a, m->tls);
	r->answer.fingerprints = arena_str(a, m->fingerprints);
	r->answer.mechanism = arena_str(a, m->mechanism);
	r->answer.extensions = arena_str(a, m->extensions);
	r->answer.transcript = arena_str(a, m->transcript);
	r->next = relay->refused_probes;
	relay->refused_probes = r;
}

/* The first of the upstream. */
static void forget(struct relay *relay, struct str upstream)
{
	struct refused_probe **at = &relay->refused_probes, *r;

	while (*at && upstream.n > 0 && !str_eq((*at)->upstream, upstream))
		at = &(*at)->next;
	r = *at;
	if (!r)
		return;
	*at = r->next;
	arena_fini(&r->arena);
	free(r);
}

void probes_forget(struct relay *relay)
{
	while (relay->refused_probes)
		forget(relay, S(""));
}

/* ---- a test ---- */

void probe_begin(struct relay *relay, struct channel *console, const struct msg_upstream_test *m)
{
	const struct cfg_upstream *u = config_upstream(role_config(relay->role), m->upstream);
	struct refused_probe *before = m->cautious ? refused_before(relay, m->upstream) : NULL;
	struct pool *pool;

	if (u && before) {
		before->answer.call = m->call;
		ipc_send_upstream_tested(console, &before->answer, -1);
		return;
	}
	if (!u || relay->stopping) {
		refuse(console, m->call,
		       u ? temp(421, S("4.3.2"), S("the relay is being stopped"))
			 : perm(550, S("5.3.5"), S("no such upstream is configured")));
		return;
	}
	if (relay->probes_n >= PROBES_MAX) {
		refuse(console, m->call, temp(451, S("4.3.2"), S("too many tests at once, try again")));
		return;
	}
	pool = nexthop_outside(relay, u);
	relay->probes_n++;
	pool->probe = NEW(struct probe);
	pool->probe->console = console;
	pool->probe->call = m->call;
	pool->probe->sender = arena_str(&pool->probe->arena, m->sender);
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
			    c->tls.level >= TLS_LEVEL_VERIFY ? "certificate verified" : "certificate not verified");
}

static struct str hexadecimal(struct arena *a, const char bytes[TLS_FINGERPRINT])
{
	char digits[2 * TLS_FINGERPRINT + 1];

	for (size_t i = 0; i < TLS_FINGERPRINT; i++)
		snprintf(digits + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
	return arena_str(a, str_of(digits));
}

/* As tls_fingerprints takes them: of the certificate that was seen, accepted or not, and of its key. */
static struct str fingerprints_text(struct connection *c, struct arena *a)
{
	struct tls_fingerprints f;

	if (!c->stream || !stream_tls_fingerprints(c->stream, &f))
		return S("");
	return arena_printf(a, "sha256:%.*s sha256:%.*s", STR_ARG(hexadecimal(a, f.certificate)), STR_ARG(hexadecimal(a, f.key)));
}

void probe_note(struct connection *c)
{
	struct probe *p = c->pool->probe;
	const struct smtp_peer *peer = c->client ? smtp_client_peer(c->client) : NULL;

	p->tls = tls_text(c, &p->arena);
	p->fingerprints = fingerprints_text(c, &p->arena);
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
	m.fingerprints = p->fingerprints;
	m.mechanism = p->mechanism;
	m.extensions = p->extensions;
	m.size = p->size;
	m.transcript = connection_transcript(c, &p->arena);
	forget(c->relay, c->pool->name);
	if (m.verdict.class == PERM && m.step == STEP_AUTH)
		remember(c->relay, c->pool->name, &m);
	if (p->console && p->console == role_peer(c->relay->role, ROLE_CONSOLE, 0))
		ipc_send_upstream_tested(p->console, &m, -1);
	p->console = NULL;
}

bool probe_sender(struct connection *c)
{
	struct probe *p = c->pool->probe;
	struct smtp_transaction t = { .sender = p->sender, .sender_only = true };

	if (p->sender.n == 0)
		return false;
	smtp_client_send(c->client, &t);
	return true;
}

void probe_heard(struct connection *c, struct verdict v)
{
	struct probe *p = c->pool->probe;

	p->sender = S("");
	p->heard = verdict_keep(&p->arena, v);
	c->by_peer = true;
	p->meaning = v.class == OK ? 0 : meaning_pack(explain_failure(c, v, STEP_MAIL, FAULT_NONE));
}

void probe_ended(struct connection *c, bool open)
{
	const struct probe *p = c->pool->probe;
	const struct failure *f = &c->failure;
	bool refused = p->heard.class != OK;

	if (open)
		probe_note(c);
	answer(c,
	       open ? (struct msg_upstream_tested){ .verdict = p->heard,
						    .step = refused ? STEP_MAIL : STEP_AUTH,
						    .meaning = p->meaning,
						    .remote = str_of(c->remote) }
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
	c->relay->probes_n--;
	c->pool->probe = NULL;
}
