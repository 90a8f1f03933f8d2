/* fuzz_connection.c - where a database is, as libpq has it: what is read can be written and read again as the same, and what is
 * accepted has no password in it, nothing that queue sets by itself, and no host that a stranger could answer for. The first byte
 * says whether that is allowed. */
#include "fuzz.h"
#include "loader.h"

#include "posthouse/policy.h"

static void write_word(struct buf *b, struct str key, struct str value)
{
	buf_add(b, key);
	buf_add(b, S(" = '"));
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\'' || value.p[i] == '\\')
			buf_add_char(b, '\\');
		buf_add_char(b, value.p[i]);
	}
	buf_add(b, S("'"));
}

/* Words that are written without blanks between them are still words. */
static void check_words(struct arena *a, struct str text)
{
	struct str rest = text, key, value, key2, value2, written;
	const char *why;
	struct buf b;

	buf_init(&b, 65536);
	while (database_word_read(a, &rest, &key, &value, &why)) {
		assert(key.n + value.n < text.n);
		assert(str_find(key, '=') == key.n && str_find(key, ' ') == key.n);
		write_word(&b, key, value);
	}
	written = buf_view(&b);
	rest = text;
	while (database_word_read(a, &rest, &key, &value, &why)) {
		assert(database_word_read(a, &written, &key2, &value2, &why));
		assert(str_eq(key, key2) && str_eq(value, value2));
	}
	assert(!database_word_read(a, &written, &key2, &value2, &why) && !why);
	buf_fini(&b);
}

static bool is_here(struct str host)
{
	return host.p[0] == '/' || str_ieq(host, S("localhost")) || network_contains(S("127.0.0.0/8"), host) ||
	       network_contains(S("::1"), host);
}

static void check_accepted(struct arena *a, struct str text, bool i_know)
{
	static const char *const never[] = { "password", "passfile", "service", "options", "hostaddr", "replication" };
	struct str key, value, hosts = S(""), host;
	bool verified = false;
	const char *why;

	while (database_word_read(a, &text, &key, &value, &why)) {
		for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
			assert(!str_eq(key, str_of(never[i])));
		verified = verified || (str_eq(key, S("sslmode")) && str_eq(value, S("verify-full")));
		hosts = str_eq(key, S("host")) ? value : hosts;
	}
	assert(!why && hosts.n > 0);
	while (str_split(&hosts, ',', &host))
		assert(host.n > 0 && (is_here(host) || verified || i_know));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	bool i_know = fuzz_byte(&text) & 1;
	struct arena a = { 0 };

	if (size > 1024 || str_find(text, '\0') < text.n)
		return 0;
	check_words(&a, text);
	if (database_judge(&a, text, i_know).n == 0)
		check_accepted(&a, text, i_know);
	arena_fini(&a);
	return 0;
}
