/* submission.c - deeds of a submission process, which meets strangers first. Its index is 1; process 0 is honest. */
#include "rogue.h"

#include "posthouse/id.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t new_id(unsigned worker)
{
	static struct id_source ids;

	ids.worker = worker;
	return id_next(&ids, (uint64_t)time(NULL) * 1000);
}

static struct msg_envelope envelope(uint64_t transaction)
{
	return (struct msg_envelope){ .transaction = transaction,
				      .id = new_id(rogue_index),
				      .token = 1,
				      .envelope = { .sender = S("alice@example.org"), .priority = 9 } };
}

/* What the queue must not take: the channel ends. */
static void expect_closed(const char *what, int *queue)
{
	tell("%s: %s", what, is_closed(*queue) ? "closed" : "TAKEN");
	*queue = rogue_again(ROLE_QUEUE, 0);
}

/* ---- more and more ---- */

static void grow_transactions(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	uint64_t n = 0;

	for (struct msg_envelope m; n < 1000000; n++) {
		m = envelope(n);
		if (!say(queue, MSG_envelope, 0, &m, -1))
			break;
	}
	tell("transactions: %s", n < 100000 ? "closed" : "TAKEN");
}

static void grow_recipients(void)
{
	static struct rec_recipient many[100];
	struct msg_envelope m = envelope(1);
	int queue = rogue_peer(ROLE_QUEUE, 0), n = 0;

	for (size_t i = 0; i < 100; i++)
		many[i] = (struct rec_recipient){ .n = i, .address = S("bob@example.net") };
	say(queue, MSG_envelope, 0, &m, -1);
	while (n < 10000 &&
	       say(queue, MSG_recipients, 0, &(struct msg_recipients){ .transaction = 1, .recipients = { many, 100 } }, -1))
		n++;
	tell("recipients: %s", n < 10000 ? "closed" : "TAKEN");
}

static void grow_sessions(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	uint64_t n = 0;

	while (n < 1000000 && say(queue, MSG_admit, n + 1, &(struct msg_admit){ .session = n, .client = S("192.0.2.1") }, -1))
		n++;
	tell("sessions: %s", n < 1000000 ? "closed" : "TAKEN");
}

/* Questions whose answers nobody reads. */
static void read_nothing(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0), login = rogue_peer(ROLE_LOGIN, 0);
	uint64_t n = 0;

	while (n < 3000000 && say(queue, MSG_admit, n + 1, &(struct msg_admit){ .session = 1, .client = S("") }, -1))
		n++;
	tell("questions to queue: %s", n < 3000000 ? "closed" : "TAKEN");
	for (n = 0; n < 10000; n++) {
		struct msg_login_start m = { .session = n, .mechanism = S("PLAIN"), .initial = S("\0x\0y"), .tls_bits = 256 };

		if (!say(login, MSG_login_start, n + 1, &m, -1))
			break;
	}
	tell("questions to login: asked"); /* and an honest client logs in beside them */
}

/* ---- what is not true ---- */

static void lie_in_envelopes(void)
{
	static char much[5000];
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct rec_recipient bad = { .address = S("bob@example.net>\r\nRCPT TO:<eve@example.net") };
	struct msg_envelope m = envelope(1);

	m.id = new_id(0); /* of the honest process */
	say(queue, MSG_envelope, 0, &m, -1);
	expect_closed("the id of another process", &queue);
	m = envelope(2);
	say(queue, MSG_envelope, 0, &m, -1);
	say(queue, MSG_recipients, 0, &(struct msg_recipients){ .transaction = 2, .recipients = { &bad, 1 } }, -1);
	expect_closed("a recipient with a command", &queue);
	memset(much, 'a', sizeof much);
	m = envelope(3);
	m.envelope.sender = str_make(much, sizeof much);
	say(queue, MSG_envelope, 0, &m, -1);
	expect_closed("a long sender", &queue);
	m = envelope(4);
	say(queue, MSG_envelope, 0, &m, open("/dev/null", O_RDONLY | O_CLOEXEC));
	expect_closed("a descriptor that nobody asked for", &queue);
	m = envelope(5);
	say(queue, MSG_envelope, 0, &m, -1);
	say(queue, MSG_submit, 1, &(struct msg_submit){ .transaction = 5, .size = 1ull << 60, .place = 1 }, -1);
	expect_closed("a text that is not there", &queue);
}

/* Messages of other edges: each ends its channel. */
static void speak_for_others(void)
{
	int login = rogue_peer(ROLE_LOGIN, 0), queue = rogue_peer(ROLE_QUEUE, 0);

	say(login, MSG_account_change, 1, &(struct msg_account_change){ .operation = 1, .name = S("eve") }, -1);
	tell("account_change: %s", is_closed(login) ? "closed" : "TAKEN");
	say(queue, MSG_queue_alter, 1, &(struct msg_queue_alter){ .operation = 2 }, -1);
	expect_closed("queue_alter", &queue);
	say(queue, MSG_result, 0, &(struct msg_result){ .lease = 1 }, -1);
	expect_closed("result", &queue);
	say(queue, MSG_resign, 1, &(struct msg_resign){ .lease = 1 }, -1);
	expect_closed("resign", &queue);
}

/* Bytes that are no message, and the halves of one. */
static void speak_nonsense(void)
{
	static char noise[1000];
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct msg_envelope m = envelope(1);
	struct buf b;

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)random();
	say_bytes(queue, str_make(noise, sizeof noise), -1);
	expect_closed("noise", &queue);
	buf_init(&b, IPC_DATAGRAM_MAX);
	ipc_encode(&b, MSG_envelope, 0, &m);
	say_bytes(queue, str_head(buf_view(&b), b.n / 2), -1);
	expect_closed("half a message", &queue);
	say(queue, MSG_hello, 0, &(struct msg_hello){ .role = ROLE_CONSOLE, .table_hash = ipc_table_hash() }, -1);
	expect_closed("another hello", &queue);
	buf_fini(&b);
}

const struct deed deeds_of_submission[] = {
	{ "transactions", grow_transactions }, { "recipients", grow_recipients },
	{ "sessions", grow_sessions },         { "reads-nothing", read_nothing },
	{ "envelopes", lie_in_envelopes },     { "for-others", speak_for_others },
	{ "nonsense", speak_nonsense },        { NULL, NULL },
};
