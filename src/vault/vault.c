/* vault.c - the vault role: keeps the DKIM keys and the upstreams' passwords, signs digests and answers challenges. It parses nothing
 * that comes from outside; the signatures are made on the loop, which has nothing else to do. */
#include "keyring.h"
#include "posthouse/log.h"
#include "posthouse/role.h"
#include "upstream.h"

#include <stdlib.h>

static struct vault {
	struct keyring *keys, *next;
	struct arena why; /* of configure's verdict */
	const struct config *config;
	uint64_t signatures, failures, answers;
} vault;

static struct verdict configure(struct role *r, const struct config *c)
{
	struct verdict v;

	arena_reset(&vault.why);
	keyring_free(vault.next);
	vault.next = keyring_new(&vault.why, c, &v);
	return v;
}

static void apply(struct role *r)
{
	if (vault.next) {
		keyring_free(vault.keys);
		vault.keys = vault.next;
		vault.next = NULL;
		log_info(NULL, "keys.loaded", kv("keys", keyring_count(vault.keys)));
	}
	vault.config = role_config(r);
}

static void abandon(struct role *r)
{
	keyring_free(vault.next);
	vault.next = NULL;
}

/* All signatures or none: a message goes out with every one of its configured keys. */
static void handle_sign(void *ctx, struct channel *ch, const struct msg_sign *m, int fd)
{
	struct msg_signatures answer = { .call = m->call, .verdict = temp(451, S("4.7.5"), S("no signing keys yet")) };
	struct arena a = { 0 };

	if (vault.keys) {
		answer.verdict = ok();
		answer.signatures.at = ARENA_ARRAY(&a, struct rec_signature, m->digests.n + 1);
	}
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

static void handle_upstream_step(void *ctx, struct channel *ch, const struct msg_upstream_step *m, int fd)
{
	struct msg_upstream_reply answer = { .call = m->call, .verdict = temp(454, S("4.7.0"), S("not configured yet")) };
	struct secret response = { 0 };
	bool done = false;

	if (vault.config)
		answer.verdict = upstream_answer(vault.config, m, &response, &done);
	if (answer.verdict.class == OK)
		vault.answers++;
	else
		log_error(NULL, "upstream.unanswered", kv("upstream", m->upstream), kv("mechanism", m->mechanism),
			  kv("reason", answer.verdict.text));
	answer.response = secret_view(&response);
	answer.done = done;
	ipc_send_upstream_reply(ch, &answer, -1);
	secret_fini(&response);
}

static void stats(struct role *r)
{
	role_stat(r, S("keys"), vault.keys ? keyring_count(vault.keys) : 0, S(""));
	role_stat(r, S("signatures"), vault.signatures, S(""));
	role_stat(r, S("signatures_failed"), vault.failures, S(""));
	role_stat(r, S("upstream_answers"), vault.answers, S(""));
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = {
		.sign = handle_sign,
		.upstream_step = handle_upstream_step,
	};
	static const struct role_ops ops = {
		.id = ROLE_VAULT,
		.configure = configure,
		.apply = apply,
		.abandon = abandon,
		.stats = stats,
		.handlers = &handlers,
	};

	return role_main(argc, argv, &ops);
}
