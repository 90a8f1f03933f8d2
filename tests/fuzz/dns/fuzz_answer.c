/* fuzz_answer.c - DNS answers: what is found lies within the packet, names are names, and memory is bounded. */
#include "posthouse/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lower case, no empty labels, everything else escaped. */
static void check_name(struct str name)
{
	if (name.n > 4 * 253 || (name.n > 0 && (name.p[0] == '.' || name.p[name.n - 1] == '.')))
		abort();
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.' && c != '\\')
			abort();
		if (c == '.' && name.p[i + 1] == '.')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 }, texts = { 0 };
	struct dns_answer answer;

	if (dns_parse(&a, str_make(data, size), &answer)) {
		for (size_t i = 0; i < answer.n; i++) {
			const struct dns_record *r = &answer.records[i];

			check_name(r->owner);
			check_name(r->name);
			if (r->data.n > 0 &&
			    (r->data.p < (const char *)data || r->data.p + r->data.n > (const char *)data + size))
				abort();
			if (dns_text(&texts, r).n > size + 4 * 253 + 46)
				abort();
		}
	}
	arena_fini(&texts);
	if (answer.rcode > 15 || a.used_bytes > (size_t)3 << 20)
		abort();
	arena_fini(&a);
	return 0;
}
