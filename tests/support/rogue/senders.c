/* senders.c - deeds of a submission process at which bob@example.org is logged in: to send as somebody else. */
#include "rogue.h"

#include "posthouse/id.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PASSWORD "correct horse battery staple"
#define HEADER   "From: bob@example.org\r\nSubject: of the stranger\r\n"
#define TEXT     HEADER "\r\nbody\r\n"
#define RECEIVED "Received: by a stranger; Sun, 29 Nov 2026 22:00:00 +0000\r\n"

enum { IN_ROW = 1, IN_FILE = 2 }; /* enum message_place of the store */

static uint64_t last_session, last_transaction;

static uint64_t new_id(void)
{
	static struct id_source ids;

	ids.worker = rogue_index;
	return id_next(&ids, (uint64_t)time(NULL) * 1000);
}

/* A session of a client that this process has made up. */
static uint64_t begin_session(int queue)
{
	struct msg_admit m = { .session = ++last_session, .client = S("192.0.2.1") };

	say(queue, MSG_admit, last_session, &m, -1);
	hear(queue, MSG_admitted);
	return last_session;
}

/* One in which bob logs in. */
static uint64_t log_bob_in(int queue)
{
	int login = rogue_peer(ROLE_LOGIN, 0);
	struct msg_login_start m = { .session = begin_session(queue),
				     .mechanism = S("PLAIN"),
				     .initial = S("\0bob@example.org\0" PASSWORD),
				     .service = S("smtp"),
				     .client = S("192.0.2.1"),
				     .tls_version = 0x0304,
				     .tls_bits = 256 };
	const union ipc_message *answer;

	say(login, MSG_login_start, 1, &m, -1);
	answer = hear(login, MSG_login_reply);
	tell("bob: %s", answer && answer->login_reply.verdict.class == OK ? "logged in" : "not logged in");
	return m.session;
}

/* What queue answers to a message of this session: is it taken? */
static bool submit(int queue, uint64_t session, struct str sender, struct str author, const struct rec_to_sign *signs)
{
	struct rec_recipient to = { .address = S("carol@example.net") };
	struct rec_author from = { author };
	struct msg_envelope envelope = {
		.session = session, .transaction = ++last_transaction, .token = 1, .envelope = { .sender = sender, .priority = 9 }
	};
	struct msg_submit whole = { .transaction = last_transaction,
				    .place = IN_ROW,
				    .size = strlen(TEXT),
				    .header_size = strlen(HEADER),
				    .received = S(RECEIVED),
				    .from = { &from, 1 },
				    .to_sign = { (struct rec_to_sign *)(uintptr_t)signs, signs ? 1 : 0 },
				    .text = S(TEXT) };
	const union ipc_message *answer;

	envelope.id = new_id();
	say(queue, MSG_envelope, 0, &envelope, -1);
	say(queue, MSG_recipients, 0, &(struct msg_recipients){ .transaction = last_transaction, .recipients = { &to, 1 } }, -1);
	say(queue, MSG_submit, last_transaction, &whole, -1);
	answer = hear(queue, MSG_submitted);
	return answer && answer->submitted.verdict.class == OK;
}

static void expect_refused(const char *what, bool taken)
{
	tell("%s: %s", what, taken ? "TAKEN" : "refused");
}

static void send_as_others(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct str alice = S("alice@example.org"), bob = S("bob@example.org");
	struct rec_to_sign elsewhere = { .selector = S("none"),
					 .digest = S("01234567890123456789012345678901"),
					 .field = S("DKIM-Signature: v=1; d=example.com; s=none; b=") };
	uint64_t session;

	expect_refused("a message of nobody", submit(queue, begin_session(queue), alice, alice, NULL));
	expect_refused("a message of no session", submit(queue, 4711, alice, alice, NULL));
	session = log_bob_in(queue);
	expect_refused("bob as alice", submit(queue, session, alice, bob, NULL));
	expect_refused("alice in From", submit(queue, session, bob, alice, NULL));
	expect_refused("a signature of another domain", submit(queue, session, bob, bob, &elsewhere));
	tell("bob as bob: %s", submit(queue, session, bob, bob, NULL) ? "sent" : "not sent");
	say(queue, MSG_leave, 0, &(struct msg_leave){ .session = session }, -1);
	expect_refused("bob who has left", submit(queue, session, bob, bob, NULL));
}

/* Logins that nobody has decided. */
static void forge_logins(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct msg_present m = { .session = 1000,
				 .client = S("192.0.2.1"),
				 .login = S("alice@example.org"),
				 .ticket = S("0123456789012345678901234567890101234567890123456789") };

	say(queue, MSG_present, 0, &m, -1);
	tell("a false ticket: %s", is_closed(queue) ? "closed" : "TAKEN");
}

/* ---- large texts ---- */

enum hold { DESCRIPTOR, DUPLICATE, MAPPING, NOTHING_HELD };

/* Submits a large text, and changes it afterwards by what it has kept. Is it taken? */
static bool submit_text(int queue, enum hold hold)
{
	static char text[100000];
	struct rec_recipient to = { .address = S("carol@example.net") };
	struct rec_author from = { S("bob@example.org") };
	struct msg_envelope envelope = { .session = log_bob_in(queue),
					 .transaction = ++last_transaction,
					 .id = new_id(),
					 .token = 1,
					 .envelope = { .sender = S("bob@example.org"), .priority = 9 } };
	struct msg_submit whole = { .transaction = last_transaction,
				    .place = IN_FILE,
				    .size = sizeof text,
				    .header_size = strlen(HEADER),
				    .received = S(RECEIVED),
				    .from = { &from, 1 } };
	const union ipc_message *answer;
	int fd, other = -1;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	memcpy(text, HEADER "\r\n", strlen(HEADER "\r\n"));
	say(queue, MSG_spool_open, 1, &(struct msg_spool_open){ .transaction = last_transaction, .id = envelope.id }, -1);
	if (!hear_with(queue, MSG_spool_opened, &fd) || fd < 0 || write(fd, text, sizeof text) != sizeof text || fsync(fd) != 0)
		return false;
	if (hold == DUPLICATE)
		other = dup(fd);
	if (hold == MAPPING && mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		return false; /* the descriptor is for writing only */
	if (hold != DESCRIPTOR)
		close(fd);
	say(queue, MSG_envelope, 0, &envelope, -1);
	say(queue, MSG_recipients, 0, &(struct msg_recipients){ .transaction = last_transaction, .recipients = { &to, 1 } }, -1);
	say(queue, MSG_submit, last_transaction, &whole, -1);
	answer = hear(queue, MSG_submitted);
	memset(text + strlen(HEADER "\r\n"), 'Y', 50);
	if (hold != NOTHING_HELD && pwrite(hold == DUPLICATE ? other : fd, text, sizeof text, 0) != sizeof text)
		return false;
	close(other);
	return answer && answer->submitted.verdict.class == OK;
}

static void keep_texts(void)
{
	static const char *const ways[] = { "descriptor", "duplicate", "mapping" };
	int queue = rogue_peer(ROLE_QUEUE, 0);

	for (int hold = DESCRIPTOR; hold < NOTHING_HELD; hold++) {
		tell("a text with a %s left: %s", ways[hold], submit_text(queue, (enum hold)hold) ? "copied" : "refused");
		queue = rogue_again(ROLE_QUEUE, 0);
	}
	tell("a text with nothing left: %s", submit_text(queue, NOTHING_HELD) ? "sent" : "not sent");
}

const struct deed deeds_of_senders[] = {
	{ "texts", keep_texts },
	{ "others", send_as_others },
	{ "logins", forge_logins },
	{ NULL, NULL },
};
