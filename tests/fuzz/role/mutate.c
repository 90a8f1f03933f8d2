/* mutate.c - changes of an input. libFuzzer's own mutations know nothing of messages: here a change is one of a field, a record, a
 * message, the order. */
#include "acts.h"
#include "plan.h"
#include "values.h"
#include "world.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t room, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n, uint8_t *out, size_t room,
				 unsigned seed);
#pragma weak LLVMFuzzerMutate /* a replay has none */

static struct message message;
static struct buf room_of_change;

static struct str written(struct arena *a)
{
	if (!room_of_change.max)
		buf_init(&room_of_change, 1 << 20);
	buf_clear(&room_of_change);
	message_write(&message, &room_of_change);
	return arena_str(a, buf_view(&room_of_change));
}

/* Take a record out of a list, or put one of its records in once more. */
static void change_list(struct message *m, size_t at, struct dice *d)
{
	size_t size = record_tokens(m->at[at].field), n = (size_t)m->at[at].number, k;

	if (n > 0 && roll(d, 2)) {
		k = at + 1 + roll(d, n) * size;
		memmove(&m->at[k], &m->at[k + size], (m->n - k - size) * sizeof *m->at);
		m->n -= size;
		m->at[at].number--;
	} else if (n > 0) {
		for (uint64_t times = roll(d, 4) ? 1 : 1 + roll(d, 60); times > 0 && m->n + size <= TOKENS_MAX; times--) {
			k = at + 1 + roll(d, n) * size;
			memmove(&m->at[k + size], &m->at[k], (m->n - k) * sizeof *m->at);
			m->n += size;
			m->at[at].number++;
		}
	}
}

static void change_message(struct act *act, struct dice *d, struct arena *a)
{
	if (!message_read(&message, act->bytes) || message.n == 0) {
		act->what = (uint8_t)roll(d, PASS_KINDS);
		return;
	}
	for (uint64_t times = 1 + roll(d, 3); times > 0 && message.n > 0; times--) {
		size_t at = roll(d, message.n);

		if (message.at[at].field->kind == TOKEN_COUNT)
			change_list(&message, at, d);
		else
			value_random(&message.at[at], d, a);
	}
	if (roll(d, 20) == 0)
		act->what = (uint8_t)roll(d, PASS_KINDS);
	if (roll(d, 20) == 0)
		message.call = roll(d, 4);
	act->bytes = written(a);
}

static const struct str says[] = {
	S("EHLO pc.example.org\r\n"),
	S("STARTTLS\r\n"),
	S("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n"),
	S("AUTH LOGIN\r\n"),
	S("MAIL FROM:<alice@example.org>"),
	S(" SIZE=10"),
	S(" BODY=8BITMIME"),
	S(" SMTPUTF8"),
	S(" RET=FULL ENVID=x"),
	S("\r\n"),
	S("RCPT TO:<bob@example.net>"),
	S(" NOTIFY=SUCCESS,FAILURE"),
	S("DATA\r\n"),
	S("BDAT 10 LAST\r\n0123456789"),
	S("BDAT 3\r\nabc"),
	S("From: alice@example.org\r\nTo: bob@example.net\r\n\r\nhello\r\n"),
	S("\r\n.\r\n"),
	S("RSET\r\n"),
	S("NOOP\r\n"),
	S("QUIT\r\n"),
	S("*\r\n"),
	S("220 mx ESMTP\r\n"),
	S("250 ok\r\n"),
	S("250-mx\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
	  "250-DSN\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256 XOAUTH2\r\n"),
	S("354 go\r\n"),
	S("334 \r\n"),
	S("235 2.7.0 ok\r\n"),
	S("421 4.3.2 bye\r\n"),
	S("450 4.2.1 later\r\n"),
	S("535 5.7.8 no\r\n"),
	S("550 5.1.1 no\r\n"),
	S("552 5.3.4 "),
	S("PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n"),
	S("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
	S("GET /healthz HTTP/1.0\r\n\r\n"),
	S("MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"),
	S("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
};

static struct str change_bytes(struct str bytes, struct dice *d, struct arena *a)
{
	struct str more = says[roll(d, sizeof says / sizeof *says)];
	uint8_t *to = arena_alloc(a, bytes.n + more.n + 64);
	size_t n = bytes.n, k = roll(d, n + 1);

	memcpy(to, bytes.p, n);
	if (roll(d, 3) && bytes.n < 2000) {
		memmove(to + k + more.n, to + k, n - k);
		memcpy(to + k, more.p, more.n);
		n += more.n;
	} else if (LLVMFuzzerMutate) {
		n = LLVMFuzzerMutate(to, n, n + 64);
	}
	return str_make(to, n);
}

/* A message of a peer at random, with the values that messages have or with odd ones. */
static bool make_message(struct act *act, struct dice *d, struct arena *a)
{
	for (int attempt = 0; attempt < 50; attempt++) {
		unsigned who = (unsigned)roll(d, world_peers_n()), type = (unsigned)roll(d, MSG_COUNT);

		if (!can_send(world_role(), world_peer_role(who), type))
			continue;
		message_make(&message, type, roll(d, 2), d, a);
		*act = (struct act){ ACT_MESSAGE, (uint8_t)who, roll(d, 12) ? PASS_AS_TABLE : (uint8_t)roll(d, PASS_KINDS),
				     written(a) };
		return true;
	}
	return false;
}

static struct str bends(struct dice *d, struct arena *a)
{
	size_t n = 3 * (1 + roll(d, 5));
	char *bytes = arena_alloc(a, n);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i % 3 == 1 ? roll(d, 3) : roll(d, 256));
	return str_make(bytes, n);
}

/* Some columns, as damage.c reads them. */
static struct str make_damage(struct dice *d, struct arena *a)
{
	size_t n = 1 + roll(d, 6);
	char *bytes = arena_alloc(a, 9 * n);

	for (size_t i = 0; i < n; i++) {
		struct token t = { .field = &(struct field){ TOKEN_u64, "", B_ALL, NULL } };

		value_random(&t, d, a);
		bytes[9 * i] = (char)(roll(d, 2) ? roll(d, 8) : roll(d, 256));
		memcpy(bytes + 9 * i + 1, &t.number, sizeof t.number);
	}
	return str_make(bytes, 9 * n);
}

/* What peers say one after the other when all is well: a random order finds these steps late. Names that the table does not have (any
 * more) are passed by. */
static const char *const plans[] = {
	"admit login:authenticated envelope recipients submit signatures",
	"admit reserve leave",
	"admit login:authenticated spool_open envelope recipients submit",
	"envelope recipients abandon_transaction",
	"result result queue_show trace find",
	"resign result",
	"queue_page queue_show queue_text trace find queue_alter",
	"local_client local_user_is host_checked",
	"login_start login_step authorized login_present login_ended login_end",
	"deliver deliver settled withdraw",
	"horizon deliver horizon",
	"node_list node_order node_list",
	"node_is admit login:authenticated envelope recipients submit",
	"upstream_step upstream_step upstream_refused",
	"upstream_sign_in fetched upstream_sign_in",
	"sign sign",
};

static struct act make_act(struct dice *d, struct arena *a)
{
	struct act act = { .who = (uint8_t)roll(d, 4), .what = (uint8_t)roll(d, 256), .bytes = S("") };

	act.kind = role_case.only_outside || (world_has_outside() && roll(d, 2)) ? ACT_OUTSIDE : ACT_MESSAGE;
	if (roll(d, 10) == 0)
		act.kind = (uint8_t)roll(d, ACT_KINDS);
	if (role_case.damage && roll(d, 20) == 0)
		act.kind = ACT_DAMAGE;
	if (act.kind == ACT_OUTSIDE) {
		act.what = (uint8_t)(roll(d, 3) ? OUTSIDE_SAY_TLS : roll(d, OUTSIDE_DEEDS));
		act.bytes = act.what == OUTSIDE_TLS    ? S("")
			    : act.what == OUTSIDE_BENT ? bends(d, a)
						       : says[roll(d, sizeof says / sizeof *says)];
	} else if (act.kind == ACT_DAMAGE) {
		act.bytes = make_damage(d, a);
	} else if (act.kind == ACT_FILE) {
		act.bytes = says[roll(d, sizeof says / sizeof *says)];
	} else if (act.kind == ACT_MESSAGE && !make_message(&act, d, a)) {
		act.kind = ACT_TIME;
	}
	return act;
}

static void insert(struct acts *acts, size_t at, struct act act)
{
	if (acts->n == ACTS_MAX)
		acts->n--;
	if (at > acts->n)
		at = acts->n;
	memmove(&acts->at[at + 1], &acts->at[at], (acts->n - at) * sizeof act);
	acts->at[at] = act;
	acts->n++;
}

static void change_act(struct act *act, struct dice *d, struct arena *a)
{
	if (act->kind == ACT_MESSAGE)
		change_message(act, d, a);
	else if (act->kind == ACT_TIME || roll(d, 5) == 0)
		act->what = (uint8_t)roll(d, 256);
	else
		act->bytes = change_bytes(act->bytes, d, a);
}

static void change(struct acts *acts, struct dice *d, struct arena *a)
{
	size_t at = roll(d, acts->n + 1), other = roll(d, acts->n + 1);
	struct act act;

	if (!role_case.only_outside && roll(d, 12) == 0) {
		plan_add(acts, plans[roll(d, sizeof plans / sizeof *plans)], d, a);
		return;
	}
	if (acts->n == 0 || roll(d, 4) == 0) {
		insert(acts, at, make_act(d, a));
		return;
	}
	at %= acts->n;
	other %= acts->n;
	act = acts->at[at];
	switch (roll(d, 10)) {
	case 0: /* out */
		memmove(&acts->at[at], &acts->at[at + 1], (acts->n - at - 1) * sizeof act);
		acts->n--;
		break;
	case 1: insert(acts, other, act); break; /* once more */
	case 2:                                  /* in another order */
		acts->at[at] = acts->at[other];
		acts->at[other] = act;
		break;
	case 3: acts->flags = (uint8_t)roll(d, FLAGS); break;
	default: change_act(&acts->at[at], d, a); break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t room, unsigned seed)
{
	static struct acts acts;
	struct dice d = { seed };
	struct arena a = { 0 };

	world_begin();
	acts_read(&acts, arena_str(&a, str_make(data, n)), &a);
	for (uint64_t times = 1 + roll(&d, 4); times > 0; times--)
		change(&acts, &d, &a);
	n = acts_write(&acts, data, room);
	arena_fini(&a);
	return n;
}

/* The beginning of one, and the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_n, const uint8_t *two, size_t two_n, uint8_t *out, size_t room,
				 unsigned seed)
{
	static struct acts first, second;
	struct dice d = { seed };
	struct arena a = { 0 };
	size_t from, n;

	acts_read(&first, str_make(one, one_n), &a);
	acts_read(&second, str_make(two, two_n), &a);
	first.n = roll(&d, first.n + 1);
	from = roll(&d, second.n + 1);
	while (from < second.n && first.n < ACTS_MAX)
		first.at[first.n++] = second.at[from++];
	n = acts_write(&first, out, room);
	arena_fini(&a);
	return n;
}
