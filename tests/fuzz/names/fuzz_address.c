/* fuzz_address.c - addresses and domains of all scripts: the one form of a text is its own form, and nothing of it gets lost. */
#include "fuzz.h"

#include "posthouse/address.h"
#include "posthouse/names.h"

static void check_domain(struct arena *a, struct str domain)
{
	struct str canonical = domain_canonical(a, domain), ascii, again;

	assert(str_eq(domain_canonical(a, canonical), canonical) || str_ends(canonical, S(".")));
	if (!domain_to_ascii(a, domain, &ascii))
		return;
	assert(str_is_ascii(ascii) && domain_to_ascii(a, ascii, &again) && str_eq(ascii, again));
	for (size_t i = 0; i < ascii.n && !str_is_ascii(domain); i++)
		assert(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", ascii.p[i]) != NULL);
}

static void check_address(struct arena *a, struct str address)
{
	struct str with = address_with_canonical_domain(a, address), canonical = address_canonical(a, address);

	assert(str_eq(address_local(with), address_local(address)));
	assert(str_eq(address_domain(with), domain_canonical(a, address_domain(address))) ||
	       str_starts(address_domain(address), S(".")));
	assert(address_same(with, with) && address_same(canonical, canonical));
	assert(canonical.n <= 2 * address.n + 4 * 256 + 16 || address.n > 256);
}

static void check_xtext(struct arena *a, struct str text)
{
	struct str written = xtext_encode(a, text);

	for (size_t i = 0; i < written.n; i++)
		assert(written.p[i] > ' ' && written.p[i] < 0x7f && written.p[i] != '=');
	assert(str_eq(xtext_decode(a, written), text) && xtext_decode(a, text).n <= text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size), login;
	struct arena a = { 0 };

	if (size > 1024)
		return 0;
	check_domain(&a, text);
	check_address(&a, text);
	check_xtext(&a, text);
	login = login_canonical(&a, text);
	assert(!login_is_proper(text) || str_eq(login, text));
	text_folded(&a, text);
	arena_fini(&a);
	return 0;
}
