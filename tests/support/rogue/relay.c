/* relay.c - deeds of a relay that parses what strangers' servers say. */
#include "rogue.h"

#include <stdio.h>
#include <string.h>

static struct msg_deliver wait_for_delivery(int queue)
{
	const union ipc_message *m;

	do
		m = hear(queue, MSG_deliver);
	while (!m);
	return m->deliver;
}

/* Results for deliveries that others have, or nobody. */
static void answer_for_others(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct rec_outcome sent = { .verdict = { OK, 250, S("2.0.0"), S("sent") } };
	uint64_t own = wait_for_delivery(queue).lease;

	for (uint64_t lease = 0; lease < 5000; lease++) {
		struct msg_result m = { .lease = lease < 2500 ? lease : own + 1 + lease, .outcomes = { &sent, 1 } };

		if (!say(queue, MSG_result, 0, &m, -1))
			break;
	}
	tell("results of no delivery: %s",
	     say(queue, MSG_result, 0, &(struct msg_result){ .lease = UINT64_MAX }, -1) ? "ignored" : "closed");
}

/* A result with numbers that nobody has: the message must stay in the queue, and be tried again soon. */
static void answer_absurdly(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	static struct rec_outcome many[3000];
	struct msg_result m = { .outcomes = { many, 3000 },
				.gate_meaning = UINT64_MAX,
				.gate_pause_ms = UINT64_MAX,
				.connections = UINT64_MAX,
				.rcptmax = UINT64_MAX,
				.dsn = UINT64_MAX };

	for (size_t i = 0; i < 3000; i++)
		many[i] = (struct rec_outcome){ .n = i ? UINT64_MAX - i : 0,
						.verdict = { TEMP, 65535, S("9.999.999"), S("later\r\nevent=forged") },
						.meaning = UINT64_MAX,
						.scope = UINT64_MAX,
						.pause_ms = UINT64_MAX };
	m.lease = wait_for_delivery(queue).lease;
	say(queue, MSG_result, 0, &m, -1);
	say(queue, MSG_result, 0, &m, -1);
	tell("absurd: said");
}

/* As many signatures as it can get for the message in its hands, and one for a domain that is not the message's. */
static void sign_all(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0), vault = rogue_peer(ROLE_VAULT, 0);
	struct rec_digest digest = { .selector = S("none"), .digest = S("01234567890123456789012345678901") };
	struct msg_resign m = { .lease = wait_for_delivery(queue).lease, .digests = { &digest, 1 } };
	unsigned asked = 0;

	for (uint64_t call = 1; call <= 100; call++) {
		const union ipc_message *answer;

		say(queue, MSG_resign, call, &m, -1);
		answer = hear(queue, MSG_resigned);
		asked += answer && !str_eq(answer->resigned.verdict.text, S("the queue knows no such delivery"));
	}
	tell("asked vault %u times", asked);
	say(vault, MSG_sign, 1, &(struct msg_sign){ .message = 1, .domain = S("example.org"), .digests = { &digest, 1 } }, -1);
	tell("sign: %s", is_closed(vault) ? "closed" : "TAKEN");
}

/* Does vault sign this with the key of our certificate, by any scheme? */
static bool has_handshake_signed(int vault, struct str text)
{
	static const uint16_t schemes[] = { 0x0401, 0x0501, 0x0601, 0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807 };
	char key[32];
	unsigned byte;

	for (size_t i = 0; i < sizeof key && sscanf(rogue_key + 2 * i, "%2x", &byte) == 1; i++)
		key[i] = (char)byte;
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		struct msg_tls_sign m = { .upstream = S("isp"), .key = { key, 32 }, .scheme = schemes[i], .text = text };
		const union ipc_message *answer;

		say(vault, MSG_tls_sign, i + 1, &m, -1);
		answer = hear(vault, MSG_tls_signed);
		if (!answer || answer->tls_signed.verdict.class == OK)
			return true;
	}
	return false;
}

/* Signatures of our certificate's key: a client's handshake is what it can have, and it wants others. */
static void sign_handshakes(void)
{
#define SPACES "                                                                "
	static const struct {
		const char *what, *text;
		size_t n;
	} texts[] = {
#define TEXT(what, text) { what, text, sizeof(text) - 1 }
		TEXT("client", SPACES "TLS 1.3, client CertificateVerify\0"
				      "01234567890123456789012345678901"),
		TEXT("server", SPACES "TLS 1.3, server CertificateVerify\0"
				      "01234567890123456789012345678901"),
		TEXT("document", "I promise to pay the bearer on demand"),
		TEXT("digest", "01234567890123456789012345678901"),
		TEXT("certificate", "\x30\x82\x00\x20"
				    "01234567890123456789012345678901"),
		TEXT("hello", "\x01\x00\x00\x20"
			      "01234567890123456789012345678901"),
	};
	int vault = rogue_peer(ROLE_VAULT, 0);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		tell("%s: %s", texts[i].what,
		     has_handshake_signed(vault, str_make(texts[i].text, texts[i].n)) ? "signed" : "refused");
}

/* Logins at upstreams, whose answers it never reads. */
static void fill_vault(void)
{
	static char challenge[60000];
	int vault = rogue_peer(ROLE_VAULT, 0);
	uint64_t n = 0;

	for (; n < 100000; n++) {
		struct msg_upstream_step m = { .upstream = S("no such upstream"),
					       .connection = n,
					       .mechanism = S("SCRAM-SHA-256"),
					       .first = 1,
					       .challenge = { challenge, sizeof challenge } };

		if (!say(vault, MSG_upstream_step, n + 1, &m, -1))
			break;
	}
	tell("logins at upstreams: %s", n < 100000 ? "closed" : "TAKEN");
}

const struct deed deeds_of_relay[] = {
	{ "results", answer_for_others },  { "absurd", answer_absurdly }, { "signatures", sign_all },
	{ "handshakes", sign_handshakes }, { "upstreams", fill_vault },   { NULL, NULL },
};
