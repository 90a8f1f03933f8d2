/* vault.c - the vault role: keeps the DKIM keys and the upstreams' passwords and tokens, signs digests and answers challenges. Of
 * what comes from outside it parses the two messages of a SCRAM server and nothing else; signatures are made on the loop, which
 * has nothing else to do. */
#include "client_keys.h"
#include "keyring.h"
#include "sign_in.h"
#include "token_logins.h"
#include "token_store.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <stdlib.h>

static struct vault {
	struct keyring *keys, *next;
	struct client_keys *client_keys, *next_client_keys;
	struct arena why; /* of configure's verdict */
	struct upstream_logins logins;
	struct token_logins token_logins;
	struct tokens *tokens;
	struct sign_ins *sign_ins;
	int directory; /* of refresh tokens; an errno as a negative number: it cannot be opened */
	uint64_t signatures, failures, answers, handshakes;
} vault;

/* With the first configuration, since later there is no way to it. */
static struct verdict open_tokens(const struct config *c)
{
	if (!vault.tokens)
		vault.directory = token_store_open(&vault.why, c->state_dir);
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (c->upstreams[i].oauth.provider != OAUTH_NONE && c->upstreams[i].oauth.grant == GRANT_REFRESH_TOKEN &&
		    vault.directory < 0)
			return temp(
				451, S("4.3.5"),
				arena_printf(&vault.why, "%.*s/tokens: %s", STR_ARG(c->state_dir), strerror(-vault.directory)));
	return ok();
}

static void abandon(struct role *r)
{
	keyring_free(vault.next);
	client_keys_free(vault.next_client_keys);
	vault.next = NULL;
	vault.next_client_keys = NULL;
}

static struct verdict configure(struct role *r, const struct config *c)
{
	struct verdict v;

	arena_reset(&vault.why);
	v = open_tokens(c);
	if (v.class != OK)
		return v;
	abandon(r);
	vault.next = keyring_new(&vault.why, c, &v);
	if (vault.next)
		vault.next_client_keys = client_keys_new(&vault.why, c, &v);
	return v;
}

static void apply(struct role *r)
{
	if (vault.next && vault.next_client_keys) {
		keyring_free(vault.keys);
		client_keys_free(vault.client_keys);
		vault.keys = vault.next;
		vault.client_keys = vault.next_client_keys;
		vault.next = NULL;
		vault.next_client_keys = NULL;
		log_info(NULL, "keys.loaded", kv("keys", keyring_count(vault.keys)));
	}
	tokens_apply(vault.tokens, role_config(r));
}

/* All signatures or none: a message is signed with all its configured keys, or is not sent. */
static void handle_sign(void *ctx, struct channel *ch, const struct msg_sign *m, int fd)
{
	struct msg_signatures answer = { .call = m->call, .verdict = temp(451, S("4.7.5"), S("no signing keys yet")) };
	struct arena a = { 0 };

	if (vault.keys)
		answer.verdict = keyring_check_number(vault.keys, m->domain, m->digests.n);
	if (answer.verdict.class == OK)
		answer.signatures.at = ARENA_ARRAY(&a, struct rec_signature, m->digests.n + 1);
	else
		log_error(&(struct log){ .message = m->message }, "signature.failed", kv("domain", m->domain),
			  kv("reason", answer.verdict.text));
	for (size_t i = 0; answer.verdict.class == OK && i < m->digests.n; i++) {
		const struct rec_digest *digest = &m->digests.at[i];
		struct rec_signature *signature = &answer.signatures.at[i];

		signature->selector = digest->selector;
		signature->algorithm = digest->algorithm;
		answer.verdict = keyring_sign(vault.keys, &a, m->domain, digest, &signature->signature);
		if (answer.verdict.class == OK) {
			answer.signatures.n++;
			vault.signatures++;
		} else {
			vault.failures++;
			log_error(&(struct log){ .message = m->message }, "signature.failed", kv("domain", m->domain),
				  kv("selector", digest->selector), kv("reason", answer.verdict.text));
		}
	}
	if (answer.verdict.class != OK)
		answer.signatures.n = 0;
	ipc_send_signatures(ch, &answer, -1);
	arena_fini(&a);
}

static void handle_dkim_sample(void *ctx, struct channel *ch, const struct msg_dkim_sample *m, int fd)
{
	struct msg_dkim_sampled answer = { .call = m->call, .verdict = temp(451, S("4.7.5"), S("no signing keys yet")) };
	struct arena a = { 0 };

	if (vault.keys)
		answer.verdict = keyring_sample(vault.keys, &a, m->domain, m->selector, &answer.signature);
	ipc_send_dkim_sampled(ch, &answer, -1);
	arena_fini(&a);
}

static void handle_tls_sign(void *ctx, struct channel *ch, const struct msg_tls_sign *m, int fd)
{
	struct msg_tls_signed answer = { .call = m->call };
	struct arena a = { 0 };

	answer.verdict = client_keys_sign(vault.client_keys, &a, m, &answer.signature);
	if (answer.verdict.class == OK)
		vault.handshakes++;
	else
		log_error(NULL, "upstream.unsigned", kv("upstream", m->upstream), kv("reason", answer.verdict.text));
	ipc_send_tls_signed(ch, &answer, -1);
	arena_fini(&a);
}

/* Every answer to an upstream goes out here. */
static void answer_upstream(struct channel *ch, uint64_t call, struct str upstream, struct verdict v, struct str response,
			    bool done)
{
	struct msg_upstream_reply answer = { .call = call, .verdict = v, .response = response, .done = done };

	if (v.class == OK)
		vault.answers++;
	else
		log_at(str_eq(v.enhanced, S("4.7.0")) ? LOG_WARNING : LOG_ERROR, NULL, "upstream.unanswered",
		       kv("upstream", upstream), kv("reason", v.text));
	ipc_send_upstream_reply(ch, &answer, -1);
}

static void handle_upstream_step(void *ctx, struct channel *ch, const struct msg_upstream_step *m, int fd)
{
	token_login_step(&vault.token_logins, ch, m);
}

static void handle_upstream_refused(void *ctx, struct channel *ch, const struct msg_upstream_refused *m, int fd)
{
	token_refused(vault.tokens, m->upstream);
}

static void handle_upstream_sign_in(void *ctx, struct channel *ch, const struct msg_upstream_sign_in *m, int fd)
{
	sign_in_step(vault.sign_ins, ch, role_config(ctx), m);
}

static void peer_up(struct role *r, struct channel *ch)
{
	if (channel_peer(ch) == ROLE_FETCH)
		tokens_go_on(vault.tokens);
}

static void peer_down(struct role *r, struct channel *ch)
{
	token_logins_drop(&vault.token_logins, ch);
	upstream_logins_drop(&vault.logins, ch);
	sign_ins_drop(vault.sign_ins, ch);
}

static struct verdict start(struct role *r)
{
	role_set_data(r, &vault);
	upstream_logins_init(&vault.logins, role_loop(r), answer_upstream);
	vault.tokens = tokens_new(r, vault.directory);
	vault.sign_ins = sign_ins_new(r, vault.tokens);
	token_logins_init(&vault.token_logins, r, vault.tokens, &vault.logins);
	return ok();
}

static void stats(struct role *r)
{
	role_stat(r, METRIC_VAULT_KEYS, vault.keys ? keyring_count(vault.keys) : 0);
	role_stat(r, METRIC_VAULT_SIGNATURES, vault.signatures);
	role_stat(r, METRIC_VAULT_SIGNATURES_FAILED, vault.failures);
	role_stat(r, METRIC_VAULT_HANDSHAKES, vault.handshakes);
	role_stat(r, METRIC_VAULT_UPSTREAM_ANSWERS, vault.answers);
	role_stat(r, METRIC_VAULT_UPSTREAM_DIALOGUES, vault.logins.n);
	tokens_stats(vault.tokens);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = {
		.sign = handle_sign,
		.dkim_sample = handle_dkim_sample,
		.tls_sign = handle_tls_sign,
		.upstream_step = handle_upstream_step,
		.upstream_refused = handle_upstream_refused,
		.upstream_sign_in = handle_upstream_sign_in,
	};
	static const struct role_ops ops = {
		.id = ROLE_VAULT,
		.start = start,
		.configure = configure,
		.apply = apply,
		.abandon = abandon,
		.peer_up = peer_up,
		.peer_down = peer_down,
		.stats = stats,
		.handlers = &handlers,
	};

	return role_main(argc, argv, &ops);
}
