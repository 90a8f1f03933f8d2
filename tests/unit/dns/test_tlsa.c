/* test_tlsa.c - which questions lead to the TLSA records of a server, and what the answers mean (RFC 7672 2.1, 2.2), with a source of
 * answers that is played. */
#include "unit.h"

#include "posthouse/buf.h"
#include "posthouse/dns.h"

#include <string.h>

enum how { SECURE, INSECURE, BOGUS, NO_SERVER, SILENT };

/* What the source says about a name and type; about all others: that there is nothing, securely. */
struct said {
	const char *name;
	unsigned type;
	enum how how;
	const char *alias; /* the name's CNAME; NULL: none */
	bool there;        /* a record, of the name or of the end of the alias */
};

struct row {
	const char *what;
	struct said said[8];
	struct dns_tlsa_query query; /* with the host "mx.test" and port 25, unless it says otherwise */
	int state;
	const char *base;  /* THERE */
	const char *asked; /* all questions, in their order */
};

#define THERE  DNS_TLSA_THERE
#define NONE   DNS_TLSA_NONE
#define FAILED DNS_TLSA_FAILED
#define T      "_25._tcp."

/* clang-format off */
static const struct row rows[] = {
	{ "secure host", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "IPv6 alone", { { "mx.test", DNS_AAAA, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "another port", { { "mx.test", DNS_A, SECURE, NULL, true }, { "_587._tcp.mx.test", DNS_TLSA, SECURE, NULL, true } },
	  { .port = 587 }, THERE, "mx.test", "mx.test/1 mx.test/28 _587._tcp.mx.test/52" },
	{ "no records", { { "mx.test", DNS_A, SECURE, NULL, true } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "records in a zone that is not signed", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, INSECURE, NULL, true } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "records behind a secure alias", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, SECURE, "tlsa.test", true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "mx.test/52" },
	/* 2.2.2: not asked for, since such name servers often do not answer */
	{ "insecure addresses", { { "mx.test", DNS_A, INSECURE, NULL, true }, { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28" },
	{ "one insecure family", { { "mx.test", DNS_A, INSECURE, NULL, true }, { "mx.test", DNS_AAAA, SECURE, NULL, true } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28" },
	{ "no addresses", { { NULL } }, {}, NONE, NULL, "mx.test/1 mx.test/28" },
	/* 2.2.2, "Secure CNAME" */
	{ "records at the end of the alias",
	  { { "mx.test", DNS_A, SECURE, "host.example", true }, { T "host.example", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "host.example", "mx.test/1 mx.test/28 " T "host.example/52" },
	{ "records at the alias itself", { { "mx.test", DNS_A, SECURE, "host.example", true }, { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "host.example/52 " T "mx.test/52" },
	{ "insecure records at the end, secure ones at the alias",
	  { { "mx.test", DNS_A, SECURE, "host.example", true }, { T "host.example", DNS_TLSA, INSECURE, NULL, true },
	    { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "host.example/52 " T "mx.test/52" },
	{ "alias without records", { { "mx.test", DNS_A, SECURE, "host.example", true } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28 " T "host.example/52 " T "mx.test/52" },
	/* 2.2.2, "Insecure CNAME" */
	{ "secure alias of an insecure host",
	  { { "mx.test", DNS_A, INSECURE, "host.example", true }, { "mx.test", DNS_CNAME, SECURE, "host.example", false },
	    { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 mx.test/5 " T "mx.test/52" },
	{ "insecure alias", { { "mx.test", DNS_A, INSECURE, "host.example", true }, { "mx.test", DNS_CNAME, INSECURE, "host.example", false } },
	  {}, NONE, NULL, "mx.test/1 mx.test/28 mx.test/5" },
	{ "alias that has no answer", { { "mx.test", DNS_A, INSECURE, "host.example", true }, { "mx.test", DNS_CNAME, NO_SERVER, NULL, false } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28 mx.test/5" },
	/* 2.1.2: no answer is not "no records" */
	{ "bogus records", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, BOGUS, NULL, true } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "server failure", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, NO_SERVER, NULL, false } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "silence", { { "mx.test", DNS_A, SECURE, NULL, true }, { T "mx.test", DNS_TLSA, SILENT, NULL, false } },
	  { .limit_ms = 50 }, FAILED, NULL, "mx.test/1 mx.test/28 " T "mx.test/52" },
	{ "failure at the end of the alias, records at the alias",
	  { { "mx.test", DNS_A, SECURE, "host.example", true }, { T "host.example", DNS_TLSA, NO_SERVER, NULL, false },
	    { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28 " T "host.example/52" },
	{ "bogus addresses", { { "mx.test", DNS_A, BOGUS, NULL, true }, { "mx.test", DNS_AAAA, SECURE, NULL, true } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28" },
	{ "no answer about addresses", { { "mx.test", DNS_A, NO_SERVER, NULL, false }, { "mx.test", DNS_AAAA, NO_SERVER, NULL, false } },
	  {}, FAILED, NULL, "mx.test/1 mx.test/28" },
	{ "no answer about IPv6", { { "mx.test", DNS_A, SECURE, NULL, true }, { "mx.test", DNS_AAAA, NO_SERVER, NULL, false },
				    { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  {}, THERE, "mx.test", "mx.test/1 mx.test/28 " T "mx.test/52" },
	/* what is known is not asked again */
	{ "known: secure", { { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  { .known = true, .secure = true, .end = { "mx.test", 7 } }, THERE, "mx.test", T "mx.test/52" },
	{ "known: insecure", { { T "mx.test", DNS_TLSA, SECURE, NULL, true } },
	  { .known = true, .end = { "mx.test", 7 } }, NONE, NULL, "" },
	{ "known: secure alias", { { T "host.example", DNS_TLSA, SECURE, NULL, true } },
	  { .known = true, .secure = true, .end = { "host.example", 12 } }, THERE, "host.example", T "host.example/52" },
	{ "known: alias of an insecure host", { { "mx.test", DNS_CNAME, SECURE, "host.example", false } },
	  { .known = true, .end = { "host.example", 12 } }, NONE, NULL, "mx.test/5 " T "mx.test/52" },
	{ "an address", { { NULL } }, { .host = { "[192.0.2.1]", 11 }, .known = true, .end = { "[192.0.2.1]", 11 } }, NONE, NULL, "" },
};
/* clang-format on */

struct world {
	const struct row *row;
	struct arena arena;
	struct str asked;
	struct dns_tlsa found;
	unsigned calls;
};

/* ---- packets (RFC 1035 4.1) ---- */

static void put(struct buf *b, const char *bytes, size_t n)
{
	assert_true(buf_add(b, str_make(bytes, n)));
}

static void put_name(struct buf *b, const char *name)
{
	struct str rest = str_of(name), label;

	while (str_split(&rest, '.', &label)) {
		put(b, (char[]){ (char)label.n }, 1);
		put(b, label.p, label.n);
	}
	put(b, "", 1);
}

static void put_record(struct buf *b, const char *owner, unsigned type, struct str data)
{
	put_name(b, owner);
	put(b, (char[]){ 0, (char)type, 0, 1, 0, 0, 1, 44, 0, (char)data.n }, 10);
	put(b, data.p, data.n);
}

static struct str packet_of(struct world *w, const struct dns_query *q, const struct said *s)
{
	static const char zeros[35] = { 3, 1, 1 };
	struct buf b, target;
	struct str whole;
	const char *owner = arena_cstr(&w->arena, q->name);
	size_t data_n = q->type == DNS_A ? 4 : q->type == DNS_AAAA ? 16 : 35;

	buf_init(&b, 4096);
	buf_init(&target, 512);
	put(&b, (char[]){ 0, 0, (char)0x81, (char)0x80, 0, 1, 0, (char)(s ? !!s->alias + s->there : 0), 0, 0, 0, 0 }, 12);
	put_name(&b, owner);
	put(&b, (char[]){ 0, (char)q->type, 0, 1 }, 4);
	if (s && s->alias) {
		put_name(&target, s->alias);
		put_record(&b, owner, DNS_CNAME, buf_view(&target));
	}
	if (s && s->there)
		put_record(&b, s->alias ? s->alias : owner, q->type, str_make(zeros, data_n));
	whole = arena_str(&w->arena, buf_view(&b));
	buf_fini(&b);
	buf_fini(&target);
	return whole;
}

/* ---- the source ---- */

static void ask(void *ctx, const struct dns_query *q, struct dns_waiter *waiter)
{
	struct world *w = ctx;
	const struct said *s = NULL;
	struct dns_reply reply = { .security = DNS_SECURE };

	w->asked = arena_printf(&w->arena, "%.*s%s%.*s/%u", STR_ARG(w->asked), w->asked.n ? " " : "", STR_ARG(q->name), q->type);
	for (size_t i = 0; i < 8 && w->row->said[i].name; i++)
		if (str_eq(q->name, str_of(w->row->said[i].name)) && w->row->said[i].type == q->type)
			s = &w->row->said[i];
	waiter->question = w;
	if (s && s->how == SILENT)
		return;
	reply.security = !s || s->how == SECURE ? DNS_SECURE : s->how == BOGUS ? DNS_BOGUS : DNS_INSECURE;
	reply.why = s && s->how == BOGUS ? S("a signature is wrong") : S("");
	if (s && s->how == NO_SERVER)
		reply.rcode = 2;
	else
		reply.packet = packet_of(w, q, s);
	waiter->question = NULL;
	waiter->answered(waiter, &reply);
}

static void drop(void *ctx, struct dns_waiter *waiter)
{
	waiter->question = NULL;
}

static void on_tlsa(void *ctx, const struct dns_tlsa *found)
{
	struct world *w = ctx;

	w->calls++;
	w->found = *found;
	w->found.base = arena_str(&w->arena, found->base);
	w->found.why = arena_str(&w->arena, found->why);
	if (found->state == DNS_TLSA_THERE) {
		assert_int_equal(found->n, 1);
		assert_int_equal(found->records[0]->data.n, 35);
	}
}

static void check_row(const struct row *row, bool cancel)
{
	struct world w = { .row = row };
	struct dns_source source = { .ask = ask, .drop = drop, .ctx = &w };
	struct dns_tlsa_query q = row->query;
	struct dns_lookup *l;
	uv_loop_t loop;
	struct dns *d;

	uv_loop_init(&loop);
	d = dns_new(&loop, &source, true, true);
	q.host = q.host.n ? q.host : S("MX.test");
	q.port = q.port ? q.port : 25;
	q.limit_ms = q.limit_ms ? q.limit_ms : 5000;
	l = dns_tlsa(d, &q, on_tlsa, &w);
	assert_int_equal(w.calls, 0);
	if (cancel)
		dns_cancel(l);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(w.calls, cancel ? 0 : 1);
	if (!cancel && ((int)w.found.state != row->state || !str_eq(w.found.base, str_of(row->base ? row->base : "")) ||
			!str_eq(w.asked, str_of(row->asked))))
		fail_msg("%s: state %d, base \"%.*s\", asked %.*s", row->what, (int)w.found.state, STR_ARG(w.found.base),
			 STR_ARG(w.asked));
	assert_int_equal(w.found.why.n > 0, !cancel && row->state == DNS_TLSA_FAILED);
	dns_close(d);
	assert_int_equal(uv_loop_close(&loop), 0);
	arena_fini(&w.arena);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i], false);
}

static void test_cancel(void **state)
{
	check_row(&rows[0], true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_cancel) };

	return cmocka_run_group_tests_name("dns tlsa", tests, NULL, NULL);
}
