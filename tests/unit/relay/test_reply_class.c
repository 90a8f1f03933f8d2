/* test_reply_class.c - what providers say, and what it means. */
#include "unit.h"

#include "reply_class.h"
#include "server_words.h"

enum side { MX, UPSTREAM, NULL_SENDER };
enum end { ENDS, WAITS };

static const struct said {
	enum smtp_step step;
	enum side side;
	unsigned code;
	const char *enhanced, *text;
	enum trouble trouble;
	enum scope scope;
	enum end end;
	uint64_t pause_s;
} replies[] = {
#define SAID(step, side, code, enhanced, text, trouble, scope, end, pause)                                                       \
	{ STEP_##step, side, code, enhanced, text, TROUBLE_##trouble, SCOPE_##scope, end, pause },
#include "provider_replies.def"
#undef SAID
};

static struct meaning meaning_of(const struct said *r)
{
	struct place place = { .step = r->step, .mx = r->side == MX, .null_sender = r->side == NULL_SENDER };
	struct verdict v = { .class = r->code >= 500 ? PERM : TEMP,
			     .code = (uint16_t)r->code,
			     .enhanced = str_of(r->enhanced),
			     .text = str_of(r->text) };

	if (r->step == STEP_OPENING || r->step == STEP_AUTH)
		return reply_class_session(place, r->step == STEP_AUTH ? FAULT_AUTH : FAULT_PEER, v, true);
	return reply_class(place, v);
}

static void test_replies(void **state)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		const struct said *r = &replies[i];
		struct meaning m = meaning_of(r);

		if (m.trouble == r->trouble && m.scope == r->scope && m.waits == (r->end == WAITS) &&
		    m.pause_ms == r->pause_s * 1000)
			continue;
		wrong++;
		print_error("%u %s %s: %s, %s, %s, %llu s\n", r->code, r->enhanced, r->text, trouble_name(m.trouble),
			    scope_name(m.scope), m.waits ? "waits" : "ends", (unsigned long long)m.pause_ms / 1000);
	}
	assert_int_equal(wrong, 0);
	assert_true(sizeof replies / sizeof *replies > 280);
}

/* What a person has to know: a reply, and the sentence for it. */
static void test_hints(void **state)
{
	static const struct {
		const char *server;
		enum smtp_step step;
		unsigned code;
		const char *enhanced, *text;
		enum hint hint;
	} rows[] = {
#define HINTED(server, step, code, enhanced, text, hint) { server, STEP_##step, code, enhanced, text, HINT_##hint },
#include "provider_hints.def"
#undef HINTED
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct place place = { .step = rows[i].step, .server = str_of(rows[i].server) };
		struct meaning m = reply_class(place, (struct verdict){ .class = rows[i].code >= 500 ? PERM : TEMP,
									.code = (uint16_t)rows[i].code,
									.enhanced = str_of(rows[i].enhanced),
									.text = str_of(rows[i].text) });

		if (m.hint != rows[i].hint)
			fail_msg("%u %s %s: %s", rows[i].code, rows[i].enhanced, rows[i].text, meaning_hint(meaning_pack(m)));
		if (m.hint != HINT_NONE) {
			const char *sentence = meaning_hint(meaning_pack(m));
			struct str advice = meaning_advice(&a, meaning_pack(m));

			assert_true(str_search(advice, str_of(sentence)) < advice.n);
			assert_int_equal(meaning_trouble(meaning_pack(m)), m.trouble);
			assert_int_equal(meaning_actor(meaning_pack(m)), m.actor);
		}
	}
	arena_fini(&a);
}

/* The numbers are in the databases of users: class in the first byte, actor in the second, since this version a hint above. */
static void test_stored_meanings(void **state)
{
	struct arena a = { 0 };
	uint64_t old = TROUBLE_LOGIN | ACTOR_ADMIN << 8;

	assert_int_equal(meaning_trouble(old), TROUBLE_LOGIN);
	assert_int_equal(meaning_actor(old), ACTOR_ADMIN);
	assert_string_equal(meaning_hint(old), "");
	assert_true(str_starts(meaning_advice(&a, old), S("The next server does not accept this relay's login. Your")));
	assert_string_equal(meaning_hint(UINT64_MAX), "");
	assert_int_equal(HINT_NAME_NOT_FOUND, 1);
	assert_int_equal(HINT_GOOGLE_PASSWORD, 15);
	assert_int_equal(HINT_MICROSOFT_TENANT, 21);
	assert_int_equal(HINT_YAHOO_PASSWORD, 33);
	assert_int_equal(HINT_SES_LOGIN, 48);
	assert_int_equal(HINT_RESEND_LOGIN, 62);
	arena_fini(&a);
}

/* No answer of the server's, or none that it gave itself: nothing is known of the next hop. */
static void test_no_reply(void **state)
{
	struct place data = { .step = STEP_DATA }, ours = { .step = STEP_OURS }, opening = { .step = STEP_OPENING };

	assert_int_equal(reply_class(data, ok_text(250, S("2.0.0"), S("daily limit: 5 left"))).trouble, TROUBLE_NONE);
	assert_int_equal(reply_class(opening, temp(0, S(""), S("daily limit"))).trouble, TROUBLE_NONE);
	assert_true(reply_class(ours, temp(451, S("4.3.0"), S("daily sending quota exceeded"))).waits);
	assert_false(reply_class(ours, perm(550, S("5.6.7"), S("daily sending quota exceeded"))).waits);
	assert_int_equal(
		reply_class_gate(reply_class_session(opening, FAULT_CONNECTION, temp(421, S("4.4.1"), S("our quota")), false)),
		GATE_BUSY);
	assert_int_equal(reply_class_gate(reply_class_session(opening, FAULT_TLS, temp(421, S("4.7.5"), S("not valid")), false)),
			 GATE_OURS);
	assert_int_equal(
		reply_class_gate(reply_class_session(opening, FAULT_TLS, temp(454, S("4.7.0"), S("TLS not available")), true)),
		GATE_OURS);
	assert_int_equal(
		reply_class_gate(reply_class_session(opening, FAULT_AUTH, temp(421, S("4.7.0"), S("no way to log in")), false)),
		GATE_OURS);
	assert_int_equal(reply_class_session(opening, FAULT_AUTH, temp(454, S("4.7.8"), S("sign in again")), false).actor,
			 ACTOR_ADMIN);
	assert_int_equal(reply_class_session(opening, FAULT_AUTH, temp(454, S("4.4.3"), S("no token so far")), false).actor,
			 ACTOR_NOBODY);
}

/* Which gate a next hop gets that says so to everybody. */
static void test_gates(void **state)
{
	static const struct {
		enum trouble trouble;
		enum scope scope;
		enum gate_state gate;
	} rows[] = {
		{ TROUBLE_TEMPORARY, SCOPE_HOP, GATE_BUSY },     { TROUBLE_RATE, SCOPE_HOP, GATE_REFUSES },
		{ TROUBLE_QUOTA, SCOPE_HOP, GATE_REFUSES },      { TROUBLE_REPUTATION, SCOPE_HOP, GATE_REFUSES },
		{ TROUBLE_LOGIN, SCOPE_HOP, GATE_OURS },         { TROUBLE_SETUP, SCOPE_HOP, GATE_OURS },
		{ TROUBLE_DNS, SCOPE_FAMILY, GATE_REFUSES },     { TROUBLE_SETUP, SCOPE_SENDER, GATE_FINE },
		{ TROUBLE_REPUTATION, SCOPE_DOMAIN, GATE_FINE }, { TROUBLE_RATE, SCOPE_RECIPIENT, GATE_FINE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(reply_class_gate((struct meaning){ .trouble = rows[i].trouble, .scope = rows[i].scope }),
				 rows[i].gate);
}

/* Words after which one complaint is enough. */
static void test_plain(void **state)
{
	static const struct {
		enum smtp_step step;
		const char *text;
		bool plain;
	} rows[] = {
		{ STEP_RCPT, "Client host [192.0.2.1] blocked using zen.spamhaus.org", true },
		{ STEP_RCPT, "IP 192.0.2.1 is blocked", true },
		{ STEP_RCPT, "you are on our denylist", true },
		{ STEP_RCPT, "Blocked", false },
		{ STEP_RCPT, "spam is not welcome", false },
		{ STEP_RCPT, "account blocked", false },
		{ STEP_DATA, "SMTP relay temporarily suspended due to abuse", true },
		{ STEP_DATA, "Message rejected: Sending paused for this account", true },
		{ STEP_DATA, "low reputation of the sending IP address", true },
		{ STEP_DATA, "Relay access denied", false },
		{ STEP_DATA, "bad reputation", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (reply_class_is_plain(rows[i].step, perm(550, S(""), str_of(rows[i].text))) != rows[i].plain)
			fail_msg("%s", rows[i].text);
}

static void test_words(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "Rate-limit exceeded.Please wait", " rate limit exceeded please wait " },
		{ "<quota@limit.example>: isn't here", " isn t here " },
		{ "the \"daily limit\" of quota.exceeded.zip and https://limit.example/quota?x", " the of and " },
		{ "host mx.example[192.0.2.1] said: 550 daily limit", " host " },
		{ "Refused 'daily limit' it's", " refused it s " },
		{ "\"Daily limit exceeded\"", " daily limit exceeded " },
		{ "Blocked (Subject: daily limit exceeded; see rules)", " blocked see rules " },
		{ "rejected ;filename=x", " rejected " },
		{ "virus: subject=a;filename=b.exe;quota", " virus quota " },
		{ "no (;subject: daily limit; see rules", " no see rules " },
		{ "file: ;; ;file:;", " " },
		{ "STOREDRV.Submission.Exception:Quota; x", " storedrv submission exception quota x " },
		{ "\xe2\x80\x9c"
		  "daily limit\xe2\x80\x9d refused",
		  " refused " },
		{ "", " " },
		{ "\"", " " },
	};
	char copy[SERVER_WORDS_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct str words = server_words(str_of(rows[i].text), copy);

		if (!str_eq(words, str_of(rows[i].words)))
			fail_msg("%s: \"%.*s\"", rows[i].text, STR_ARG(words));
	}
	assert_true(server_words_fit(S(" rate limit "), "speed|rate&limit"));
	assert_false(server_words_fit(S(" corporate limit "), "rate&limit"));
	assert_false(server_words_fit(S(" rate limit for hours "), "rate&!hour"));
	assert_false(server_words_fit(S(" spammer "), "spam "));
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t s;
	} rows[] = {
		{ "Greylisted for 60 seconds", 60 },
		{ "Greylisted for 5 minutes (see http://isg.ee.ethz.ch/tools/postgrey/)", 300 },
		{ "please come back in 00:04:59", 299 },
		{ "try again in 1 hour", 3600 },
		{ "try again in an hour", 3600 },
		{ "retry after 90", 90 },
		{ "wait at least 10m", 600 },
		{ "please wait 2 min", 120 },
		{ "in about 30 secs", 30 },
		{ "100 messages per 60 minutes", 0 },
		{ "try again in 5 parsecs", 0 },
		{ "try again later", 0 },
		{ "in 99999999999999999999 seconds", 0 },
	};
	char copy[SERVER_WORDS_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (server_words_wait_ms(server_words(str_of(rows[i].text), copy)) != rows[i].s * 1000)
			fail_msg("%s", rows[i].text);
}

static void test_too_many(void **state)
{
	assert_true(reply_class_too_many(STEP_RCPT, temp(452, S("4.5.3"), S(""))));
	assert_true(reply_class_too_many(STEP_RCPT, perm(552, S("5.5.3"), S(""))));
	assert_true(reply_class_too_many(STEP_RCPT, perm(550, S("5.5.3"), S("Too many recipients for this sender"))));
	assert_true(reply_class_too_many(STEP_RCPT, temp(451, S("4.5.3"), S("not now"))));
	assert_true(reply_class_too_many(STEP_RCPT, temp(450, S(""), S("maximum number of recipients per message reached"))));
	assert_true(reply_class_one_domain(
		STEP_RCPT, temp(451, S("4.3.0"), S("Multiple destination domains per transaction is unsupported"))));
	assert_false(reply_class_too_many(STEP_RCPT, temp(452, S(""), S("Too many recipients received this hour"))));
	assert_false(reply_class_too_many(STEP_RCPT, temp(452, S("4.2.2"), S("mailbox full"))));
	assert_false(reply_class_too_many(STEP_DATA, temp(452, S("4.5.3"), S(""))));
	assert_false(reply_class_too_many(STEP_RCPT, ok_text(250, S("2.5.3"), S("too many recipients? no"))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),  cmocka_unit_test(test_hints), cmocka_unit_test(test_stored_meanings),
		cmocka_unit_test(test_no_reply), cmocka_unit_test(test_gates), cmocka_unit_test(test_plain),
		cmocka_unit_test(test_words),    cmocka_unit_test(test_times), cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
