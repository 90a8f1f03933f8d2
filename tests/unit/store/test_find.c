/* test_find.c - finding mail by what people know of it. */
#include "engine_under_test.h"

#define MORE 1100 /* so many that an index is worth while */

/* A message of 100 to 107 as the table of cases knows it. */
static const struct {
	uint64_t id;
	const char *login, *sender, *to, *message_id, *subject;
} mail[] = {
	{ 100, "alice", "alice@example.org", "bob@gmail.test carol@corp.test", "<c1@laptop>", "Invoice 17" },
	{ 101, "alice", "Alice+x@example.org", "bob+list@corp.test", "<c2@laptop>", "Re: lunch" },
	{ 102, "web", "shop@example.org", "BOB@gmail.test", "<c3@web>",
	  "Gr\xc3\xb6\xc3\x9f"
	  "e" },
	{ 103, "web", "shop@example.org", "dave@xn--bcher-kva.test", "<c4@web>", "" },
	{ 104, "web", "", "alice@example.org", "<c5@web>", "\xe8\xab\x8b\xe6\xb1\x82\xe6\x9b\xb8" },
	{ 105, "alice", "alice@example.org", "al@x.test", "<c6@laptop>", "an invoice, again" },
	{ 106, "alice", "alice@example.org", "\"a..b\"@x.test", "<c7@laptop>", "x" },
};

/* State by state: 100/1 delivered, 100/2 waits, 101 failed, 102 held, the rest waits. */
static void make(struct fixture *f)
{
	for (size_t i = 0; i < sizeof mail / sizeof mail[0]; i++) {
		struct accepted *m = message(f, mail[i].id, mail[i].to);

		m->received_at = NOW + 1000 * i;
		m->envelope.login = str_of(mail[i].login);
		m->envelope.sender = str_of(mail[i].sender);
		m->envelope.message_id = str_of(mail[i].message_id);
		m->envelope.subject = str_of(mail[i].subject);
		if (mail[i].id == 103)
			((struct new_recipient *)m->recipients)->orcpt = S("rfc822;info+2Bx@old.test");
		assert_int_equal(accept_now(f, m).class, OK);
	}
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 101, 1, RCPT_FAILED, 0).class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_HOLD).count, 1);
}

#define T(text)                                                                                                                  \
	{                                                                                                                        \
		(text), sizeof(text) - 1                                                                                         \
	}
struct find_case {
	struct find find;
	const char *found;
};
static const struct find_case cases[] = {
	/* a whole address, a local part, a domain; a tag; case; patterns */
	{ { .recipient = T("bob@gmail.test") }, "102/1 100/1" },
	{ { .recipient = T("Bob@GMAIL.test") }, "102/1 100/1" },
	{ { .recipient = T("bob") }, "102/1 101/1 100/1" },
	{ { .recipient = T("bob+list") }, "101/1" },
	{ { .recipient = T("bo") }, "" },
	{ { .recipient = T("@gmail.test") }, "102/1 100/1" },
	{ { .recipient = T("gmail.test") }, "102/1 100/1" },
	{ { .recipient = T("mail.test") }, "" },
	{ { .recipient = T("*mail.test") }, "102/1 100/1" },
	{ { .recipient = T("b*") }, "102/1 101/1 100/1" },
	{ { .recipient = T("*o*") }, "104/1 103/1 102/1 101/1 100/1 100/2" },
	{ { .recipient = T("b*@*.test") }, "102/1 101/1 100/1" },
	{ { .recipient = T("@.test"), .user = T("web") }, "103/1 102/1" },
	{ { .recipient = T("al") }, "105/1" },
	{ { .recipient = T("nobody@gmail.test") }, "" },
	{ { .recipient = T("nobody") }, "" },
	{ { .recipient = T("a..b@x.test") }, "106/1" },
	/* U-labels; the address that a message was first for */
	{ { .recipient = T("b\xc3\xbc"
			   "cher.test") },
	  "103/1" },
	{ { .recipient = T("@B\xc3\xbc"
			   "cher.test") },
	  "103/1" },
	{ { .recipient = T("dave@xn--bcher-kva.test") }, "103/1" },
	{ { .recipient = T("info@old.test") }, "103/1" },
	{ { .recipient = T("old.test") }, "103/1" },
	/* senders */
	{ { .sender = T("alice"), .recipient = T("corp.test") }, "101/1 100/2" },
	{ { .sender = T("alice@example.org"), .recipient = T("*") }, "106/1 105/1 101/1 100/1 100/2" },
	{ { .sender = T("<>") }, "104/1" },
	{ { .user = T("web") }, "104/1 103/1 102/1" },
	{ { .user = T("nobody") }, "" },
	/* subjects */
	{ { .subject = T("invoice") }, "105/1 100/1 100/2" },
	{ { .subject = T("voice 17") }, "100/1 100/2" },
	{ { .subject = T("again invoice") }, "105/1" },
	{ { .subject = T("gr\xc3\x96SSE") }, "102/1" },
	{ { .subject = T("gro\xcc\x88sse") }, "102/1" },
	{ { .subject = T("\xe6\xb1\x82") }, "104/1" },
	{ { .subject = T("\xe8\xab\x8b\xe6\xb1\x82") }, "104/1" },
	{ { .subject = T("\xe6\xb1\x83") }, "" },
	{ { .subject = T("re:") }, "101/1" },
	{ { .subject = T("x") }, "106/1" },
	{ { .subject = T("i*e 17") }, "100/1 100/2" },
	{ { .subject = T("zz") }, "" },
	/* Message-ID */
	{ { .message_id = T("<c1@laptop>") }, "100/1 100/2" },
	{ { .message_id = T("C1@laptop") }, "100/1 100/2" },
	{ { .message_id = T("c1@lapto") }, "" },
	/* states, alone and with others */
	{ { .states = 1 << RCPT_FAILED | 1 << RCPT_BOUNCED }, "101/1" },
	{ { .states = 1 << RCPT_HELD }, "102/1" },
	{ { .states = 1 << RCPT_HELD, .user = T("alice") }, "" },
	{ { .states = 1 << RCPT_REMOVED }, "" },
	{ { .states = 1 << RCPT_DELIVERED, .sender = T("alice") }, "100/1" },
	{ { .states = 1 << RCPT_WAITING, .sender = T("alice") }, "106/1 105/1 100/2" },
	{ { .states = 1 << RCPT_WAITING | 1 << RCPT_HELD, .user = T("web") }, "104/1 103/1 102/1" },
	/* times */
	{ { .since = NOW + 5000, .until = NOW + 7000 }, "106/1 105/1" },
	{ { .since = NOW, .until = NOW + 1 }, "100/1 100/2" },
	{ { .until = NOW }, "" },
};

#define CHECK(f, cases, page) check_cases((f), (cases), sizeof(cases) / sizeof *(cases), (page))
static void check_cases(struct fixture *f, const struct find_case *all, size_t n, size_t page)
{
	for (size_t i = 0; i < n; i++) {
		struct str found = find_now(f, all[i].find, page);

		if (!str_eq(found, str_of(all[i].found)))
			fail_msg("case %zu: %.*s instead of %s", i, STR_ARG(found), all[i].found);
	}
}

static void deliver_all(struct fixture *f, uint64_t from, size_t n)
{
	struct outcome *all = ARENA_ARRAY(&f->arena, struct outcome, n);
	struct answer a = { .f = f };

	for (size_t i = 0; i < n; i++)
		all[i] = (struct outcome){ .id = from + i, .n = 1, .state = RCPT_DELIVERED, .at = NOW + 5 };
	settle_begin(f, all, n, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
}

/* Many others, which none of the cases finds. */
static void add_more(struct fixture *f, uint64_t from)
{
	struct accepted *all[MORE];

	for (uint64_t i = 0; i < MORE; i++) {
		all[i] = message(f, from + i, "uuu@elsewhere.example");
		all[i]->received_at = NOW + 100000;
		all[i]->envelope.login = S("other");
		all[i]->envelope.sender = S("other@else.example");
		all[i]->envelope.subject = S("News");
	}
	accept_all(f, all, MORE);
	deliver_all(f, from, MORE);
}

static void by_what_people_know(void **state)
{
	struct fixture *f = *state;

	make(f);
	CHECK(f, cases, 100);
	CHECK(f, cases, 1);
	add_more(f, 1000);
	engine_index(f);
	CHECK(f, cases, 100);
	CHECK(f, cases, 1);
	fixture_reopen(f);
	CHECK(f, cases, 2);
	engine_check(f);
}

static void pages_are_whole(void **state)
{
	struct fixture *f = *state;
	struct find all = { .sender = T("other") };
	struct str one;
	size_t n = 1;

	add_more(f, 1000);
	one = find_now(f, all, 200);
	engine_index(f);
	assert_true(str_eq(one, find_now(f, all, 200)));
	assert_true(str_eq(one, find_now(f, all, 7)));
	for (size_t i = 0; i < one.n; i++)
		n += one.p[i] == ' ';
	assert_int_equal(n, MORE);
	/* a new message is found at once, and first */
	assert_int_equal(accept_to(f, 9000, "z@news.example").class, OK);
	assert_str(find_now(f, (struct find){ .recipient = T("z@news.example") }, 10), "9000/1");
}

static void what_is_forgotten_is_not_found(void **state)
{
	struct fixture *f = *state;

	make(f);
	add_more(f, 1000);
	add_more(f, 3000);
	engine_index(f);
	while (prune_now(f, UINT32_MAX * 1000ull, 500) > 0)
		;
	assert_str(find_now(f, (struct find){ .subject = T("news") }, 100), "");
	assert_str(find_now(f, (struct find){ .recipient = T("carol") }, 100), "100/2");
	engine_check(f);
}

static void all_of_a_recipient_is_told(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .id = 100,
			     .n = 1,
			     .state = RCPT_DELIVERED,
			     .attempted = true,
			     .verdict = { .class = OK, .code = 250, .enhanced = S("2.0.0"), .text = S("OK 17") },
			     .remote = S("mx.gmail.test [192.0.2.26]:25"),
			     .route = S("mx:gmail.test"),
			     .tls = S("TLSv1.3"),
			     .meaning = 7,
			     .at = NOW + 50 };
	struct accepted *m = message(f, 100, "bob@gmail.test");
	const struct found_recipient *r;
	struct answer a = { .f = f };

	m->device = S("phone");
	m->envelope.subject = S("Invoice 17");
	m->envelope.message_id = S("<c1@laptop>");
	assert_int_equal(accept_now(f, m).class, OK);
	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	a = found_now(f, (struct find){ .recipient = T("bob") }, (struct find_place){ 0 }, 10);
	assert_int_equal(a.n, 1);
	r = a.rows;
	assert_str(r->login, "alice");
	assert_str(r->device, "phone");
	assert_str(r->subject, "Invoice 17");
	assert_str(r->message_id, "<c1@laptop>");
	assert_str(r->tls, "TLSv1.3");
	assert_int_equal(r->meaning, 7);
	assert_int_equal(r->recipient.state, RCPT_DELIVERED);
	assert_int_equal(r->recipient.attempts, 1);
	assert_int_equal(r->recipient.verdict.code, 250);
	assert_str(r->recipient.verdict.text, "OK 17");
	assert_str(r->recipient.remote, "mx.gmail.test [192.0.2.26]:25");
	assert_str(r->recipient.route, "mx:gmail.test");
}

/* ---- characters ---- */

static const struct {
	const char *to, *orcpt, *sender, *subject;
} odd_mail[] = {
	{ "a_b@x.test", "", "s_t@x.test", "50% off" }, /* 100 */
	{ "axb@x.test", "", "sxt@x.test", "500 off" },
	{ "a%b@x.test", "", "s%t@x.test", "\\o/ a_b" },
	{ "a.b@x_y.test", "", "s@x.test", "\\\\" },
	{ "J\xc3\xb6rg@xn--bcher-kva.test", "", "J\xc3\x96RG@x.test",
	  "\xe2\x84\xaa" }, /* 104: the sign for Kelvin, which is folded to a k */
	{ "\xe2\x84\xaa@k.test", "", "\xe2\x84\xaa@x.test", "" },
	{ "moved@x.test", "rfc822;Info@Old.test.", "s@x.test", "" },
	{ "moved@x.test", "utf-8;q+2Br%@old.test", "s@x.test", "" },
	{ "moved@x.test", "rfc822;\"q..r\"@old.test", "\"q..r\"@x.test", "" }, /* 108 */
	{ "\"a\\\\b\"@x.test", "", "s@x.test", "\xff%" },
};
static const struct find_case odd_cases[] = {
	{ { .recipient = T("a_b") }, "100/1" },
	{ { .recipient = T("A_B@x.test") }, "100/1" },
	{ { .recipient = T("a%b") }, "102/1" },
	{ { .recipient = T("a*b@x.test") }, "102/1 101/1 100/1" },
	{ { .recipient = T("x_y.test") }, "103/1" },
	{ { .recipient = T("%") }, "" },
	{ { .recipient = T("%@%") }, "" },
	{ { .recipient = T("____.test") }, "" },
	{ { .recipient = T("\"a\\\\b\"@x.test") }, "109/1" },
	{ { .recipient = T("*\\\\*") }, "109/1" },
	{ { .recipient = T("*\\") }, "" },
	{ { .recipient = T("j\xc3\x96rg") }, "104/1" },
	{ { .recipient = T("j\xc3\xb6rg@xn--bcher-kva.test") }, "104/1" },
	{ { .recipient = T("xn--bcher-kva.test") }, "104/1" },
	{ { .recipient = T("k") }, "105/1" },
	{ { .recipient = T("k@k.test") }, "105/1" },
	{ { .recipient = T("info@old.test") }, "106/1" },
	{ { .recipient = T("info@old.test.") }, "106/1" },
	{ { .recipient = T("q+r%@old.test") }, "107/1" },
	{ { .recipient = T("q..r@old.test") }, "108/1" },
	{ { .sender = T("s_t") }, "100/1" },
	{ { .sender = T("s%t@x.test") }, "102/1" },
	{ { .sender = T("j\xc3\xb6rg@x.test") }, "104/1" },
	{ { .sender = T("k"), .recipient = T("*k*") }, "105/1" },
	{ { .sender = T("q..r") }, "108/1" },
	{ { .subject = T("50%") }, "100/1" },
	{ { .subject = T("%") }, "109/1 100/1" },
	{ { .subject = T("_") }, "102/1" },
	{ { .subject = T("a_b \\O") }, "102/1" },
	{ { .subject = T("\\") }, "103/1 102/1" },
	{ { .subject = T("\\\\") }, "103/1" },
	{ { .subject = T("K") }, "104/1" },
	{ { .subject = T("5*f") }, "101/1 100/1" },
};

/* What is a pattern to a database is not one to us, and what it cannot fold is folded all the same. */
static void characters_are_themselves(void **state)
{
	struct fixture *f = *state;
	enum { N = sizeof odd_mail / sizeof *odd_mail };
	struct accepted *all[N];

	for (size_t i = 0; i < N; i++) {
		all[i] = message(f, 100 + i, odd_mail[i].to);
		((struct new_recipient *)all[i]->recipients)->orcpt = str_of(odd_mail[i].orcpt);
		all[i]->envelope.sender = str_of(odd_mail[i].sender);
		all[i]->envelope.subject = str_of(odd_mail[i].subject);
	}
	accept_all(f, all, N);
	CHECK(f, odd_cases, 100);
	CHECK(f, odd_cases, 1);
	add_more(f, 1000);
	engine_index(f);
	CHECK(f, odd_cases, 100);
}

/* Mail of a version that had no index is found by what it has, before and after it is indexed. */
static void older_mail_is_found(void **state)
{
	struct fixture *f = *state;
	struct str found;

	fixture_close(f);
	if (engine_make_older(f) == 0)
		return; /* the engine has no earlier version */
	assert_int_equal(fixture_open(f).class, OK);
	found = find_now(f, (struct find){ .recipient = T("a.org") }, 10);
	assert_true(found.n > 0);
	assert_str(find_now(f, (struct find){ .subject = T("x") }, 10), "");
	assert_int_equal(accept_to(f, 50, "new@a.org").class, OK); /* between the older ones */
	engine_index(f);
	assert_true(str_ends(find_now(f, (struct find){ .recipient = T("a.org") }, 10), found) ||
		    str_starts(find_now(f, (struct find){ .recipient = T("a.org") }, 10), found));
	assert_str(find_now(f, (struct find){ .recipient = T("new@a.org") }, 10), "50/1");
	engine_check(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(by_what_people_know),        CASE(pages_are_whole),     CASE(what_is_forgotten_is_not_found),
		CASE(all_of_a_recipient_is_told), CASE(older_mail_is_found), CASE(characters_are_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
