/* fuzz_address.c - address lists: what is found is one address each, in its one form; what is rewritten has the new addresses, and
 * around them what was there. */
#include "../../../src/mail/author.h"
#include "rewriting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_found(struct arena *a, struct str value)
{
	struct str_list found, again;

	if (!header_addresses(a, value, &found))
		return;
	for (size_t i = 0; i < found.n; i++) {
		require(header_addresses(a, found.at[i], &again) && again.n == 1 && str_eq(again.at[0], found.at[i]));
		/* one @, and nothing by which another reader could see another address */
		size_t at = str_find(found.at[i], '@');
		require(at > 0 && at == str_rfind(found.at[i], '@'));
		require(strcspn(arena_cstr(a, found.at[i]), "<>,;\r\n\t()\\") == found.at[i].n);
	}
}

/* The address that must stand in the place of another. */
static struct str wanted(struct arena *a, const struct fixup_input *in, struct str address)
{
	if (str_find(address, '@') == address.n)
		address = arena_printf(a, "%.*s@%.*s", STR_ARG(address), STR_ARG(in->domain));
	return in->rewrite ? in->rewrite(NULL, a, true, address) : address;
}

static void check_rewriting(struct arena *a, struct str value, const struct fixup_input *in)
{
	struct str_list before, after;
	struct str old = skeleton(a, value, in->domain.n > 0, &before), now = value;

	if (!rewrite_value(a, in, true, &now)) {
		require(value.n > 5000);
		return;
	}
	require(str_eq(skeleton(a, now, in->domain.n > 0, &after), old) && before.n == after.n);
	for (size_t i = 0; i < before.n; i++)
		require(str_eq(after.at[i], wanted(a, in, before.at[i])));
	if (before.n == 0)
		require(str_eq(value, now));
	if (in->domain.n > 0 && before.n > 0) /* nothing is left to complete */
		require(header_addresses(a, now, &after) && after.n == before.n);
	struct str again = now;
	require(rewrite_value(a, in, true, &again) && str_eq(again, now));
}

/* What an author is made of can be read, holds no control characters, and stays as it is when it is made clear once more. */
static void check_author(struct arena *a, const struct fixup_input *in, struct str value)
{
	struct str_list shown = { NULL, 0 }, again = { NULL, 0 }, found;
	struct str once, twice;

	if (author_clear(a, in, "From", value, &shown, &once).class != OK || once.n == 0)
		return;
	require(header_addresses(a, once, &found) && found.n > 0);
	require(author_clear(a, in, "From", once, &again, &twice).class == OK);
	require(str_eq(once, twice));
	for (size_t i = 0; i < again.n; i++) {
		bool told = false;
		for (size_t k = 0; k < shown.n; k++)
			told = told || str_eq(again.at[i], shown.at[k]);
		require(told);
	}
	if (str_eq(once, value))
		return;
	for (size_t i = 0; i < once.n; i++)
		require((unsigned char)once.p[i] >= ' ' || once.p[i] == '\r' || once.p[i] == '\n' || once.p[i] == '\t');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str value = str_make(data, size);
	struct fixup_input completing = { .domain = S("example.org") }, rewriting = { .rewrite = rewrite },
			   both = { .domain = S("b"), .rewrite = rewrite };

	check_found(&a, value);
	check_rewriting(&a, value, &completing);
	check_rewriting(&a, value, &rewriting);
	check_rewriting(&a, value, &both);
	struct fixup_input plain = { .envelope_sender = S("al@bench.test") };
	check_author(&a, &plain, value);
	check_author(&a, &completing, value);
	struct fixup_input forcing = { .force_from = S("scan@example.org") };
	struct str_list one;
	require(header_addresses(&a, author_with(&a, &forcing, value, forcing.force_from), &one) && one.n == 1);
	require(str_eq(one.at[0], forcing.force_from));
	arena_fini(&a);
	return 0;
}
