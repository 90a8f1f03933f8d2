/* fuzz_zone.c - records that are shown to be published: lines name, value, comment. Whatever was in the DNS, no value ends its
 * line or begins a record of its own. */
#include "fuzz.h"

#include "posthouse/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "TXT", "A", "MX", "CNAME" };
	struct str rest = str_make(data, size), separator = S("\n%%\n");
	unsigned how = fuzz_byte(&rest);
	struct str name = str_head(rest, str_search(rest, separator)), value = str_from(rest, name.n + separator.n), line;
	struct arena a = { 0 };
	struct dns_entries list = { .arena = &a };
	struct dns_entry *e = dns_entries_add(&list, types[how % 4], name, value);
	struct buf b;

	if (size > 4096)
		return 0;
	e->state = how / 4 % 5;
	e->comment = value;
	e->was = value;
	line = dns_entry_line(&a, e);
	if (how % 4 == 0)
		assert(str_find(dns_value_text(&a, e), '\n') == dns_value_text(&a, e).n);
	assert(line.n <= 8 * size + 200);
	assert(dns_name_in(&a, name, S("example.org")).n <= name.n + 1);
	buf_init(&b, 1 << 20);
	dns_write_zone(&b, &list, S("example.org"), S("title"));
	dns_write_table(&b, &list, S("example.org"));
	dns_write_route53(&b, &list);
	buf_fini(&b);
	arena_fini(&a);
	return 0;
}
