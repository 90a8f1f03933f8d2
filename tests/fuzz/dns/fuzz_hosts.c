/* fuzz_hosts.c - the MX records of a domain, lines "preference host": which hosts are tried, and in which order. A line "own NAME"
 * is a name of this relay. */
#include "fuzz.h"
#include "internal.h"

#define RECORDS_MAX 64

static void check(const struct dns_lookup *l)
{
	assert(l->hosts_n > 0 && l->hosts_n <= HOSTS_MAX);
	for (size_t i = 0; i < l->hosts_n; i++) {
		assert(i == 0 || l->hosts[i - 1].preference <= l->hosts[i].preference);
		assert(!is_own_name(&l->own_names, l->hosts[i].name));
		assert(name_is_host(l->hosts[i].name) || l->mx.n == 0);
		for (size_t k = 0; k < i; k++)
			assert(!str_eq(l->hosts[k].name, l->hosts[i].name));
	}
}

static void check_name(struct arena *a, struct str text)
{
	struct sockaddr_storage address;
	struct str name, again;

	if (name_to_ascii(a, text, &name)) {
		assert(name_is_host(name) && str_is_ascii(name) && name.n <= 253 && !parse_address(name, &address));
		assert(name_to_ascii(a, name, &again) && str_eq(name, again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), own[RECORDS_MAX];
	struct dns_record records[RECORDS_MAX];
	const struct dns_record *list[RECORDS_MAX];
	struct dns_lookup l = { .domain = S("example.org"), .own_names = { own, 0 } };

	l.mx = (struct query){ .verdict = ok(), .exists = true, .records = list };
	while (rest.n > 0 && l.mx.n < RECORDS_MAX && l.own_names.n < RECORDS_MAX) {
		struct str line = fuzz_line(&rest), word = str_head(line, str_find(line, ' ')), name = str_from(line, word.n + 1);
		uint64_t preference = word.n;

		check_name(&l.arena, name);
		if (str_eq(word, S("own"))) {
			own[l.own_names.n++] = name;
			continue;
		}
		str_to_u64(word, &preference);
		records[l.mx.n] = (struct dns_record){ .name = arena_lower(&l.arena, name), .preference = preference & 0xffff };
		list[l.mx.n] = &records[l.mx.n];
		l.mx.n++;
	}
	if (choose_hosts(&l).class == OK)
		check(&l);
	arena_fini(&l.arena);
	return 0;
}
