/* test_hash.c - SipHash, and hash tables that grow. */
#include "unit.h"
#include <stdlib.h>

#include "posthouse/arena.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

/* The vectors of SipHash's authors: key 00 01 … 0f, messages "", 00, 00 01, …; and an odd length in between. */
static void the_hash_is_siphash(void **state)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = { { 0, 0x726fdb47dd0e0e31 },
		     { 1, 0x74f839c593dc67fd },
		     { 7, 0xab0200f58b01d137 },
		     { 8, 0x93f5f5799a932462 },
		     { 15, 0xa129ca6149be45e5 } };
	struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	char bytes[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(siphash(&key, str_make(bytes, rows[i].n)), rows[i].hash);
}

static void hashes_of_a_process(void **state)
{
	(void)state;
	assert_true(hash_text(S("alice")) == hash_text(S("alice")) && hash_text(S("alice")) != hash_text(S("alicf")));
	assert_true(hash_texts(S("ab"), S("c")) != hash_texts(S("a"), S("bc")));
	assert_true(hash_numbers(1, 2) != hash_numbers(2, 1));
	assert_int_equal(hash_fixed(0, S("alice")), siphash(&(struct siphash_key){ .k0 = 0 }, S("alice")));
	assert_true(hash_fixed(hash_fixed(0, S("a")), S("b")) != hash_fixed(hash_fixed(0, S("b")), S("a")));
}

/* Items with one hash are all found; an item that was taken out is not. */
static void items_of_one_hash(void **state)
{
	struct hashtable t = { 0 };
	struct hashtable_item items[3], *first, *second;

	(void)state;
	assert_null(hashtable_find(&t, 7, NULL));
	assert_null(hashtable_first(&t));
	for (int i = 0; i < 3; i++)
		hashtable_add(&t, &items[i], i < 2 ? 7 : 8);
	first = hashtable_find(&t, 7, NULL);
	second = hashtable_find(&t, 7, first);
	assert_true((first == &items[0] && second == &items[1]) || (first == &items[1] && second == &items[0]));
	assert_null(hashtable_find(&t, 7, second));
	hashtable_remove(&t, &items[0]);
	assert_ptr_equal(hashtable_find(&t, 7, NULL), &items[1]);
	assert_null(hashtable_find(&t, 7, &items[1]));
	assert_ptr_equal(hashtable_find(&t, 8, NULL), &items[2]);
	assert_int_equal(t.n, 2);
	hashtable_clear(&t);
	assert_null(hashtable_find(&t, 7, NULL));
	hashtable_add(&t, &items[0], 7);
	assert_ptr_equal(hashtable_first(&t), &items[0]);
	hashtable_fini(&t);
	assert_null(hashtable_find(&t, 7, NULL));
}

/* Two items of one number are told apart by their names. */
static void by_name(void **state)
{
	struct named {
		const char *name;
		struct hashtable_item in_table;
	} items[2] = { { .name = "one" }, { .name = "two" } };
	struct hashtable t = { 0 };

	(void)state;
	assert_null(HASHTABLE_NAMED(&t, S("one"), struct named, in_table, name));
	for (size_t i = 0; i < 2; i++)
		hashtable_add(&t, &items[i].in_table, hash_text(S("one")));
	assert_ptr_equal(HASHTABLE_NAMED(&t, S("one"), struct named, in_table, name), &items[0]);
	assert_null(HASHTABLE_NAMED(&t, S("two"), struct named, in_table, name)); /* it has another number */
	hashtable_fini(&t);
}

/* The items of the pages from the cursor on, up to so many pages; how often each was met. */
static uint64_t walk_pages(const struct hashtable *t, uint64_t cursor, size_t pages, const struct hashtable_item *items,
			   uint8_t *met)
{
	struct arena a = { 0 };

	do {
		size_t n;
		struct hashtable_item **page = hashtable_page(t, &a, &cursor, &n);

		for (size_t i = 0; i < n; i++)
			met[page[i] - items]++;
	} while (cursor != 0 && --pages > 0);
	arena_fini(&a);
	return cursor;
}

/* However many items there are, a slot has few; and a walk in pages meets each item once, also when the table grows on the way. */
static void growing(void **state)
{
	enum { FIRST = 1000, ALL = 200000 };
	struct hashtable_item *items = xcalloc(ALL, sizeof *items);
	uint8_t *met = xcalloc(ALL, 1);
	struct hashtable t = { 0 };
	uint64_t cursor;
	size_t n = 0;

	(void)state;
	assert_int_equal(walk_pages(&t, 0, SIZE_MAX, items, met), 0);
	for (size_t i = 0; i < FIRST; i++)
		hashtable_add(&t, &items[i], hash_numbers(i, 1));
	cursor = walk_pages(&t, 0, 100, items, met);
	assert_int_not_equal(cursor, 0);
	for (size_t i = FIRST; i < ALL; i++)
		hashtable_add(&t, &items[i], (uint64_t)i << 21); /* ids of messages */
	assert_int_equal(walk_pages(&t, cursor, SIZE_MAX, items, met), 0);
	for (size_t i = 0; i < FIRST; i++)
		assert_int_equal(met[i], 1);
	for (size_t i = 0; i < t.slots_n; i++) {
		size_t here = 0;

		for (struct hashtable_item *k = t.slots[i]; k; k = k->next)
			here++;
		assert_true(here < 20);
	}
	HASHTABLE_EACH (i, &t) {
		assert_ptr_equal(hashtable_find(&t, i->hash, NULL), i);
		n++;
		if (n % 2)
			hashtable_remove(&t, i);
	}
	assert_int_equal(n, ALL);
	assert_int_equal(t.n, ALL / 2);
	hashtable_fini(&t);
	free(items);
	free(met);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash),
		cmocka_unit_test(hashes_of_a_process),
		cmocka_unit_test(items_of_one_hash),
		cmocka_unit_test(by_name),
		cmocka_unit_test(growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
