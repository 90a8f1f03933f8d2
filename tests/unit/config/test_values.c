/* test_values.c - durations, sizes, rates, formats; and the table's own soundness. */
#include "unit.h"

#include "schema.h"

#include "posthouse/ipc.h"

#define BAD UINT64_MAX

/* Rows without bounds, whose targets are single numbers. */
static const struct key time_row = { .path = "time", .type = CFG_TIME }, size_row = { .path = "size", .type = CFG_SIZE };

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {
		{ "30s", 30000 },
		{ "5m", 300000 },
		{ "4h", 14400000 },
		{ "5d", 432000000 },
		{ "250ms", 250 },
		{ "0s", 0 },
		{ "", BAD },
		{ "5", BAD },
		{ "s", BAD },
		{ "-5s", BAD },
		{ "5 s", BAD },
		{ "5S", BAD },
		{ "1.5h", BAD },
		{ "5sx", BAD },
		{ "1w", BAD },
		{ "99999999999999999999d", BAD },
		{ "18446744073709551615d", BAD },
	};
	uint64_t ms;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!value_set(&time_row, NULL, str_of(rows[i].text), &ms) ? rows[i].ms != BAD : ms != rows[i].ms)
			fail_msg("\"%s\"", rows[i].text);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{ "25M", 25 << 20 },
		{ "1K", 1024 },
		{ "2G", UINT64_C(2) << 30 },
		{ "1T", UINT64_C(1) << 40 },
		{ "17", 17 },
		{ "0", 0 },
		{ "25MB", BAD },
		{ "M", BAD },
		{ "25 M", BAD },
		{ "25m", BAD },
		{ "-1", BAD },
		{ "", BAD },
		{ "99999999999T", BAD },
	};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!value_set(&size_row, NULL, str_of(rows[i].text), &bytes) ? rows[i].bytes != BAD : bytes != rows[i].bytes)
			fail_msg("\"%s\"", rows[i].text);
}

static void rates(void **state)
{
	struct rate r;

	assert_true(value_rate(S("100/1h"), false, &r));
	assert_int_equal(r.amount, 100);
	assert_int_equal(r.window_ms, 3600000);
	assert_true(value_rate(S("500M/1d"), true, &r));
	assert_int_equal(r.amount, 500 << 20);
	assert_false(value_rate(S("500M/1d"), false, &r));
	assert_false(value_rate(S("100"), false, &r));
	assert_false(value_rate(S("0/1h"), false, &r));
	assert_false(value_rate(S("1/0s"), false, &r));
	assert_false(value_rate(S("/1h"), false, &r));
	assert_false(value_rate(S("1/"), false, &r));
}

/* What is printed is what parses to the same. */
static void print_and_parse(void **state)
{
	static const uint64_t values[] = { 0,       1,        999,     1000,    1024,     60000,        90000,
					   3600000, 86400000, 1048576, 1500000, 52428800, 1099511627776 };
	static const struct key *const rows[] = { &time_row, &size_row };
	uint64_t back;
	struct buf b;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			buf_init(&b, 100);
			value_print(&b, rows[k], &values[i]);
			assert_true(b.n > 2 && b.p[0] == '"' && b.p[b.n - 1] == '"');
			assert_true(value_set(rows[k], NULL, str_make(b.p + 1, b.n - 2), &back));
			assert_int_equal(back, values[i]);
			buf_fini(&b);
		}
}

static void formats(void **state)
{
	static const struct {
		const struct text_format *format;
		const char *text;
		bool good;
	} rows[] = {
		{ &format_fqdn, "relay.example.org", true },
		{ &format_fqdn, "xn--bcher-kva.example", true },
		{ &format_fqdn, "localhost", false },
		{ &format_fqdn, "192.0.2.1", false },
		{ &format_fqdn, "relay.example.org.", false },
		{ &format_fqdn, "-a.example", false },
		{ &format_fqdn, "a..example", false },
		{ &format_fqdn, "a_b.example", false },
		{ &format_fqdn, "bücher.example", false },
		{ &format_fqdn, "", false },
		{ &format_domain, "lan", true },
		{ &format_host, "my_relay", true },
		{ &format_host, "192.0.2.1", true },
		{ &format_host, "2001:db8::1", true },
		{ &format_host, "192.0.2.256", false },
		{ &format_host, "[2001:db8::1]", false },
		{ &format_host, "smtp example", false },
		{ &format_address, "*", true },
		{ &format_address, "::", true },
		{ &format_address, "127.0.0.1", true },
		{ &format_address, "localhost", false },
		{ &format_mailbox, "postmaster@example.org", true },
		{ &format_mailbox, "p.o+x@lan", true },
		{ &format_mailbox, "postmaster", false },
		{ &format_mailbox, "@example.org", false },
		{ &format_mailbox, "a b@example.org", false },
		{ &format_mailbox, "a..b@example.org", true },
		{ &format_mailbox, "a@b@example.org", false },
		{ &format_login, "alice", true },
		{ &format_login, "alice@example.org", true },
		{ &format_login, "alice/phone", false },
		{ &format_login, "a:b", false },
		{ &format_device_login, "alice", true },
		{ &format_device_login, "alice@example.org", true },
		{ &format_device_login, "alice/phone", true },
		{ &format_device_login, "alice@example.org/phone", true },
		{ &format_device_login, "alice/", false },
		{ &format_device_login, "/phone", false },
		{ &format_device_login, "alice/phone/2", false },
		{ &format_device_login, "alice/-", false },
		{ &format_rewritten, "alice@example.org", true },
		{ &format_rewritten, "@example.org", true },
		{ &format_rewritten, "@.example.org", false },
		{ &format_rewritten, "@", false },
		{ &format_rewritten, "*", false },
		{ &format_rewritten, "alice", false },
		{ &format_name, "isp-2", true },
		{ &format_name, "a b", false },
		{ &format_name, "-x", false },
		{ &format_selector, "p1._x", true },
		{ &format_selector, "2026", true },
		{ &format_selector, "a..b", false },
		{ &format_network, "192.0.2.0/24", true },
		{ &format_network, "2001:db8::/32", true },
		{ &format_network, "192.0.2.0/33", false },
		{ &format_network, "192.0.2.0/", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].format->valid(str_of(rows[i].text)) != rows[i].good)
			fail_msg("\"%s\" as %s", rows[i].text, rows[i].format->expected);
}

static void printable(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true },      { "abc", true },       { "bücher €", true },          { "\xf0\x9f\x93\xae", true },
		{ "a\nb", false }, { "a\x7f", false },    { "\xc0\x80", false },         { "\xed\xa0\x80", false },
		{ "\xff", false }, { "\xe2\x82", false }, { "\xf4\x90\x80\x80", false }, { "\xe0\x80\x80", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (text_is_printable(str_of(rows[i].text)) != rows[i].good)
			fail_msg("row %zu", i);
}

/* Is the row's default among what the row allows? */
static void check_default(const struct key *k, struct arena *a)
{
	struct str rest = str_of(k->fallback), word;
	char target[64];

	if (k->type == CFG_LIST)
		return;
	if (!key_is_array(k)) {
		if (!value_set(k, a, rest, target))
			fail_msg("default of %s", k->path);
		return;
	}
	while (str_split(&rest, ' ', &word))
		if (!value_set(k, a, word, target))
			fail_msg("default of %s", k->path);
}

/* Is the row's example among what the row allows? */
static void check_example(const struct key *k, struct arena *a)
{
	struct key as_default = *k;

	as_default.fallback = k->example;
	if (k->type != CFG_GROUP && k->type != CFG_OPTIONS) /* groups: test_sample.c */
		check_default(&as_default, a);
}

/* Whoever adds a row and forgets something learns it here. */
static void table(void **state)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		size_t end = schema_end(i);

		assert_int_equal(schema_find(str_of(k->path)), i);
		if (!(k->flags & FILLED) && strlen(k->help) < 5)
			fail_msg("%s has no help", k->path);
		if (k->type == CFG_ENUM && !k->choices)
			fail_msg("%s has no choices", k->path);
		if ((k->lower != NULL) != (k->upper != NULL))
			fail_msg("%s has one bound", k->path);
		if (k->type == CFG_LIST && (end == i + 1 || k->element_size == 0))
			fail_msg("%s has no members", k->path);
		if (strstr(k->path, "[].") && k->type == CFG_LIST)
			fail_msg("%s: lists in lists are not made", k->path);
		if (!k->fallback && !k->example && !(k->flags & FILLED))
			fail_msg("%s has neither default nor example", k->path);
		if (k->roles & ~((1u << ROLE_COUNT) - 1))
			fail_msg("%s: roles", k->path);
		for (size_t m = i + 1; m < end; m++)
			if (config_keys[m].roles & ~k->roles)
				fail_msg("%s is for roles that do not see its list", config_keys[m].path);
		if (k->fallback)
			check_default(k, &a);
		if (k->example)
			check_example(k, &a);
	}
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),       cmocka_unit_test(sizes),   cmocka_unit_test(rates),
		cmocka_unit_test(print_and_parse), cmocka_unit_test(formats), cmocka_unit_test(printable),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests_name("config values", tests, NULL, NULL);
}
