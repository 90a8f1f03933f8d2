/* fuzz_certificate.c - certificates of files and of servers: the input is the DER of one, which is put into PEM. Its names are
 * bounded texts, and a host is served by a name only where RFC 6125 says so. */
#include "fuzz.h"
#include "tls.h"

#include "posthouse/base64.h"

static struct str pem(struct arena *a, struct str der)
{
	struct str text = base64_encode(a, der), all = S("-----BEGIN CERTIFICATE-----\n");

	for (size_t at = 0; at < text.n; at += 64)
		all = arena_printf(a, "%.*s%.*s\n", STR_ARG(all), STR_ARG(str_head(str_from(text, at), 64)));
	return arena_printf(a, "%.*s-----END CERTIFICATE-----\n", STR_ARG(all));
}

static void check_names(struct arena *a, const struct str_list *names)
{
	for (size_t i = 0; i < names->n; i++) {
		struct str name = names->at[i];

		assert(name.n > 0 && (i == 0 || str_cmp(names->at[i - 1], name) <= 0));
		fuzz_assert_one_line(name);
		for (size_t k = 0; k < name.n; k++)
			assert(name.p[k] < 'A' || name.p[k] > 'Z');
		if (str_starts(name, S("*."))) {
			assert(!names_match(&(struct str_list){ &names->at[i], 1 }, str_from(name, 2)));
			assert(!names_match(&(struct str_list){ &names->at[i], 1 },
					    arena_printf(a, "a.b%.*s", STR_ARG(str_from(name, 1)))));
		} else if (!str_ends(name, S("."))) { /* that no host has */
			assert(names_match(names, name));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate c = { 0 };
	struct arena a = { 0 };
	struct str text;

	if (size > 8192)
		return 0;
	text = size > 0 && data[0] == '-' ? str_make(data, size) : pem(&a, str_make(data, size));
	if (certificate_read(&c, text, S(""), &a) == NULL)
		assert(!"without a key it cannot be used");
	if (c.leaf)
		check_names(&a, &c.names);
	certificate_fini(&c);
	tls_certificate_expires(text);
	arena_fini(&a);
	return 0;
}
