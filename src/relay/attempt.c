/* attempt.c - tries the addresses of a next hop in turn, until a session is open.
 *
 * After some seconds without an answer the next address is tried, so that a dead server or address family does not cost the
 * whole time limit. When all addresses have failed, those that were cut short are tried once more with the whole time. Addresses
 * that did not answer lately come last. The next address is also tried when a server refuses the session, or has no TLS where
 * TLS is demanded. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/sasl.h"
#include "posthouse/units.h"
#include "posthouse/clock.h"

enum {
	FAMILY_MS = HOUR_MS,  /* how long an address family is avoided after a refusal */
	SESSIONS_MAX = 4,     /* hosts tried per attempt after a session-level refusal */
	SECOND_TURNS_MAX = 2, /* addresses that are tried once more with the whole time */
};

/* For example "smtp.example.net [192.0.2.1]:587". */
static void set_remote(struct connection *c, const struct candidate *t)
{
	char text[INET6_ADDRSTRLEN] = "?";

	uv_ip_name((const struct sockaddr *)&t->address, text, sizeof text);
	snprintf(c->remote, sizeof c->remote, "%.*s [%s]:%u", STR_ARG(str_head(t->host, 255)), text, candidate_port(t));
}

/* By the policy that is decided. */
static void connect_candidate(struct connection *c)
{
	c->config.tls = c->tls.implicit;
	c->config.avoid = c->pool->avoid;
	c->config.use_starttls = c->tls.level != TLS_LEVEL_NONE && !c->tls.implicit;
	c->config.need_tls = c->tls.level >= TLS_LEVEL_ENCRYPT;
	c->client = smtp_client_new(&c->config);
	connection_connect(c, connection_candidate(c));
}

static void try_candidates(struct connection *c);

/* In their order, but doubtful addresses behind the others. */
static void attempt_all(struct connection *c)
{
	const struct pool *pool = c->pool;
	size_t n = 0;

	c->candidates = ARENA_ARRAY(&c->arena, struct candidate, pool->candidates_n);
	for (int doubtful = 0; doubtful < 2; doubtful++) {
		for (size_t i = 0; i < pool->candidates_n; i++) {
			const struct candidate *t = &pool->candidates[(pool->first + i) % pool->candidates_n];

			bool doubts = host_status_doubts(c->relay, &t->address) || attempt_is_refused(pool, t->address.ss_family);

			if (doubts != doubtful)
				continue;
			c->candidates[n] = *t;
			c->candidates[n].end = arena_str(&c->arena, t->end);
			c->candidates[n].domain_end = arena_str(&c->arena, t->domain_end);
			c->candidates[n++].host = arena_str(&c->arena, t->host);
		}
	}
	c->candidates_n = n;
	try_candidates(c);
}

/* ---- what failed ---- */

/* Add a line about the attempt, and its dialogue, to the transcript; text that does not fit is left out. */
static void note_attempt(struct connection *c, struct verdict v)
{
	struct str said = c->client ? smtp_client_transcript(c->client) : S("");
	bool failed = tls_result_failed(c->tls_result);

	buf_printf(&c->attempts, "* %s: %.*s%s%s%s\n", c->remote, STR_ARG(str_head(v.text, 300)), failed ? " (" : "",
		   failed ? tls_result_word(c->tls_result) : "", failed ? ")" : "");
	buf_add(&c->attempts, said);
}

/* Of several failures the most telling one is reported. Of equal ones it is the first, that of the best host. */
static void keep_failure(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault)
{
	c->maybe_fit = c->maybe_fit || !requirements_shows_unfit(v, fault);
	if (c->failure.verdict.class != OK && fault <= c->failure.fault)
		return;
	if (c->pool->probe)
		c->relay->ops->probe_note(c);
	c->failure = (struct failure){ .verdict = verdict_keep(&c->arena, v),
				       .step = step,
				       .fault = fault,
				       .meaning = explain_failure(c, v, step, fault),
				       .tls_result = c->tls_result,
				       .tls_policy = c->state == CONNECTION_RESOLVING && c->candidates_n == 0
							     ? S("")
							     : tls_policy_words(&c->arena, &c->tls),
				       .remote = arena_str(&c->arena, str_of(c->remote)) };
}

/* Abandon the stream and the client machine of this attempt; the stream closes by itself. A peer that broke the protocol gets no
 * QUIT, and its input is not read any more. */
static void drop_attempt(struct connection *c)
{
	ipc_cancel(c->call);
	c->call = 0;
	c->handshaking = false;
	if (c->stream && c->state == CONNECTION_OPENING)
		smtp_client_quit(c->client);
	if (c->stream && smtp_client_output(c->client)->n > 0) {
		connection_flush(c);
		stream_finish(c->stream);
	} else if (c->stream) {
		stream_close(c->stream);
	}
	c->stream = NULL;
	smtp_client_free(c->client);
	c->client = NULL;
}

/* Go to the next address of the first or the second round; false: there is none. */
static bool next_candidate(struct connection *c)
{
	if (c->sessions >= SESSIONS_MAX)
		return false;
	if (++c->tried < c->candidates_n && !c->second_turn)
		return true;
	if (!c->second_turn) {
		c->second_turn = true;
		c->tried = 0;
	}
	while (c->tried < c->candidates_n && !c->candidates[c->tried].cut)
		c->tried++;
	return c->tried < c->candidates_n && c->second_turns++ < SECOND_TURNS_MAX;
}

static void give_up(struct connection *c)
{
	if (c->pool->look) {
		connection_close(c, "looked");
		return;
	}
	pool_connection_failed(c);
	connection_close(c, "failed");
}

/* ---- the policy of TLS ---- */

/* False: the TLSA records of the host are asked for first. */
static bool decide(struct connection *c)
{
	struct tls_facts facts;

	set_remote(c, connection_candidate(c));
	if (!tls_facts_gather(c, &facts))
		return false;
	c->tls = tls_policy_decide(&c->arena, &facts);
	c->tls_result =
		c->tls.fell_back ? host_status_tls_result(c->relay, &connection_candidate(c)->address) : c->tls.refused_as;
	c->tls_counted = c->tls.fell_back && c->handshake_failed; /* that failure is counted, the session in clear text is not */
	c->handshake_failed = false;
	c->by_peer = c->must_prove = c->proven = false;
	return true;
}

/* The policy forbids the host of this candidate: it gets no connection. */
static void skip_candidate(struct connection *c)
{
	struct verdict v = c->tls.refused;

	c->maybe_fit = c->maybe_fit || v.class == TEMP;
	log_debug(&c->log, "connection.failed", kv("remote", c->remote), kv("reason", v.text),
		  kv("tls_result", tls_result_word(c->tls_result)));
	note_attempt(c, v);
	tls_reports_note(c, v.text);
	keep_failure(c, v, STEP_OPENING, FAULT_TLS);
}

/* Connect to the present candidate, or to the next one that the policy allows. */
static void try_candidates(struct connection *c)
{
	do {
		if (!decide(c))
			return;
		if (c->pool->look) {
			c->relay->ops->look_note(c);
			continue;
		}
		if (c->tls.refused.class == OK) {
			connect_candidate(c);
			return;
		}
		skip_candidate(c);
	} while (next_candidate(c));
	give_up(c);
}

void attempt_go_on(struct connection *c)
{
	try_candidates(c);
}

void attempt_lookup_failed(struct connection *c, struct verdict v)
{
	if (v.class == PERM && c->pool->mx) { /* refuse() has ended the waiting deliveries */
		connection_close(c, "no mail server");
		return;
	}
	buf_printf(&c->attempts, "* addresses of %.*s: %.*s\n", STR_ARG(c->pool->host), STR_ARG(v.text));
	keep_failure(c, v, STEP_OPENING, FAULT_CONNECTION);
	give_up(c);
}

/* ---- the addresses ---- */

/* A domain accepts no mail: end all deliveries that wait for it. */
static void refuse(struct pool *pool, struct verdict v)
{
	struct arena a = { 0 };
	struct str transcript = arena_printf(&a, "* mail servers of %.*s: %u %.*s %.*s\n", STR_ARG(pool->name), v.code,
					     STR_ARG(v.enhanced), STR_ARG(v.text));

	if (pool->waiting_n > 0)
		log_debug(&pool->relay->log, "destination.refused", kv("domain", pool->name), kv("code", v.code),
			  kv("enhanced", v.enhanced), kv("reason", v.text));
	pool_refuse_waiting(pool, v, transcript);
	arena_fini(&a);
}

void attempt_begin(struct connection *c)
{
	struct pool *pool = c->pool;

	pool->early = false;
	if (candidates_fresh(pool) && pool->candidates_n > 0) {
		attempt_all(c);
	} else if (candidates_fresh(pool)) {
		if (pool->not_found.class == PERM)
			refuse(pool, pool->not_found);
		attempt_lookup_failed(c, pool->not_found);
	} else {
		candidates_ask(pool);
	}
}

void attempt_resolve_again(struct pool *pool)
{
	bool asked = pool->lookup || pool->asking_policy;

	candidates_forget(pool);
	domain_lookups_answer(pool, false); /* a delivery asks again */
	pool_close_idle(pool, "the name servers have changed");
	if (asked)
		candidates_ask(pool);
}

void attempt_found(struct pool *pool, struct verdict v)
{
	if (pool->mx && v.class == PERM)
		refuse(pool, v);
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool) {
		if (c->state != CONNECTION_RESOLVING)
			continue;
		if (v.class == OK)
			attempt_all(c);
		else
			attempt_lookup_failed(c, v);
	}
	domain_lookups_answer(pool, v.class == OK);
}

/* ---- a server that cannot be used ---- */

/* Does the failure of a handshake suggest that the peer supports only outdated TLS? The words are those of OpenSSL for alerts. */
static bool suggests_old_tls(struct str why)
{
	struct str words = S("the peer ended|unsupported protocol|protocol version|handshake failure|cipher|too small|too weak|"
			     "insufficient|legacy");
	struct str word;

	while (str_split(&words, '|', &word))
		if (str_search(why, word) < why.n)
			return true;
	return false;
}

/* The server refuses the token, or says that the token expires soon: vault gets another one. */
static bool is_token_refused(struct connection *c, struct verdict v, enum smtp_fault fault)
{
	const struct sasl_mechanism *m = sasl_find(c->mechanism);

	return fault == FAULT_AUTH && c->by_peer && m && (m->needs & SASL_TOKEN) &&
	       explain_failure(c, v, STEP_AUTH, fault).trouble == TROUBLE_LOGIN;
}

/* With another token the login is tried once more, after some seconds. False: that was done, and a person must act. */
static bool renew_token(struct connection *c, struct verdict v)
{
	bool again = !c->pool->token_refused && !c->relay->stopping;

	c->pool->token_refused = true;
	ipc_send_upstream_refused(role_peer(c->relay->role, ROLE_VAULT, 0),
				  &(struct msg_upstream_refused){ .upstream = c->pool->name, .connection = c->number }, -1);
	if (!again)
		return false;
	log_info(&c->log, "upstream.renewing", kv("upstream", c->pool->name), kv("code", v.code), kv("reason", v.text));
	drop_attempt(c);
	c->tried = c->sessions = c->second_turns = 0;
	c->second_turn = c->other_mechanism = false;
	connection_enter(c, CONNECTION_WAITING);
	connection_limit(c);
	return true;
}

/* Can the same address be tried again after a failed handshake? First without the session that was offered. Where clear text is
 * allowed, with outdated TLS, which is better, and then in clear text. */
static bool can_try_again(struct connection *c, struct verdict v)
{
	if (!c->handshaking)
		return false;
	if (c->session_offered && !c->whole_handshake && v.class == TEMP) {
		c->whole_handshake = true;
		return true;
	}
	if (c->tls.level != TLS_LEVEL_MAY || c->config.mechanisms.n > 0)
		return false;
	host_status_note_tls(c->relay, !c->tls.old && suggests_old_tls(v.text) ? HOST_OLD_TLS : HOST_NO_TLS,
			     &connection_candidate(c)->address, c->tls_result);
	return true;
}

/* Try the next address, or this one in clear text where that is allowed. After a refused login no other address is tried,
 * because repeated refusals can lock the account. */
void attempt_failed(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault)
{
	v = verdict_keep(&c->arena, v);
	if (fault == FAULT_TLS && c->tls_result == TLS_RESULT_NONE) /* there was no handshake */
		c->tls_result = c->by_peer || str_eq(v.enhanced, S("4.7.4")) ? TLS_RESULT_STARTTLS_NOT_SUPPORTED
									     : TLS_RESULT_VALIDATION_FAILURE;
	log_debug(&c->log, "connection.failed", kv("remote", c->remote), kv("reason", v.text),
		  kv("tls_result", tls_result_word(c->tls_result)));
	note_attempt(c, v);
	if (!(c->handshaking && c->session_offered && v.class == TEMP)) /* else a whole handshake follows, and counts */
		tls_reports_note(c, v.text);
	if (can_try_again(c, v)) {
		c->handshake_failed = true;
		drop_attempt(c);
		try_candidates(c);
		return;
	}
	if (is_token_refused(c, v, fault) && renew_token(c, v))
		return;
	keep_failure(c, v, step, fault);
	if (c->state == CONNECTION_OPENING)
		c->sessions++;
	drop_attempt(c);
	if (!c->pool->mx && c->tried == 0 && !c->second_turn)
		c->pool->first++;
	if (fault != FAULT_AUTH && !(fault == FAULT_LOOP && !c->pool->mx) && !c->relay->stopping && next_candidate(c))
		try_candidates(c);
	else
		give_up(c);
}

bool attempt_is_refused(const struct pool *pool, sa_family_t family)
{
	return pool->refused_family == family && clock_mono_ms() < pool->refused_until;
}

bool attempt_other_family(struct connection *c)
{
	sa_family_t family = connection_candidate(c)->address.ss_family;

	for (size_t i = 0; i < c->candidates_n; i++) {
		if (c->candidates[i].address.ss_family == family)
			continue;
		c->pool->refused_family = family;
		c->pool->refused_until = clock_mono_ms() + FAMILY_MS;
		pool_close_idle(c->pool, "the address family is refused");
		return true;
	}
	return false;
}

/* RFC 5321 5.1: mail must not go in circles. When the best host of a domain is this relay, there is no other way for the mail.
 * When it is another host, a better one can be reachable again later. For an upstream, the administrator has to act. */
void attempt_met_ourselves(struct connection *c)
{
	struct str text = arena_printf(&c->arena, "the server greets by our own name %.*s: the mail would come back to this host",
				       STR_ARG(role_config(c->relay->role)->hostname));

	if (c->pool->mx && str_eq(c->candidates[c->tried].host, c->pool->candidates[0].host))
		pool_refuse_waiting(c->pool, perm(554, S("5.4.6"), text), connection_transcript(c, &c->arena));
	attempt_failed(c, temp(451, S("4.4.6"), text), STEP_OPENING, FAULT_LOOP);
}

bool attempt_mechanism(struct connection *c, struct str mechanism, struct verdict v)
{
	if (c->other_mechanism)
		return false;
	c->other_mechanism = true;
	mechanism = arena_str(&c->arena, mechanism);
	note_attempt(c, v);
	drop_attempt(c);
	c->config.mechanisms = mechanism;
	try_candidates(c);
	return true;
}
