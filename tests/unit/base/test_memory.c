/* test_memory.c - buffers, arenas and secrets: what grows, up to where, and what is wiped. */
#include "unit.h"

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/secret.h"

static void assert_holds(const struct buf *b, struct str expected)
{
	assert_int_equal(buf_view(b).n, expected.n);
	if (expected.n)
		assert_memory_equal(buf_view(b).p, expected.p, expected.n);
}

/* The bound is exact, and what does not fit leaves what was there as it was. */
static void test_buf_bound(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_holds(&b, S(""));
	assert_true(buf_add(&b, S("")));
	assert_true(buf_add(&b, S("12345678")));
	assert_false(buf_add(&b, S("abc")));
	assert_holds(&b, S("12345678"));
	assert_false(buf_printf(&b, "%d", 999));
	assert_holds(&b, S("12345678"));
	assert_true(buf_printf(&b, "%d", 90));
	assert_false(buf_add_char(&b, 'x'));
	assert_null(buf_reserve(&b, 1));
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_non_null(buf_reserve(&b, 0));
	assert_holds(&b, S("1234567890"));
	buf_consume(&b, 4);
	assert_true(buf_add(&b, S("abcd")));
	assert_holds(&b, S("567890abcd"));
	buf_fini(&b);
	assert_holds(&b, S(""));

	buf_init(&b, 0);
	assert_false(buf_add_char(&b, 'x'));
	assert_true(buf_printf(&b, "%s", ""));
	buf_fini(&b);

	buf_init(&b, SIZE_MAX); /* no bound */
	assert_true(buf_printf(&b, "%d", 12345));
	assert_holds(&b, S("12345"));
	buf_fini(&b);
}

/* What is formatted fits into what is there, or makes it grow; the bound is exact for numbers too. */
static void test_buf_numbers_and_formats(void **state)
{
	struct buf b;
	char wide[400];

	memset(wide, 'w', sizeof wide);
	buf_init(&b, 700);
	assert_true(buf_add_number(&b, 0));
	assert_true(buf_add_number(&b, UINT64_MAX));
	assert_holds(&b, S("018446744073709551615"));
	buf_consume(&b, 19);
	assert_true(buf_printf(&b, "-%d-", 7));
	assert_holds(&b, S("15-7-"));
	assert_true(buf_printf(&b, "%.*s", 400, wide)); /* more than the memory of the start */
	assert_int_equal(b.n, 405);
	assert_memory_equal(buf_view(&b).p, "15-7-www", 8);
	assert_false(buf_printf(&b, "%.*s", 296, wide));
	assert_int_equal(b.n, 405);
	assert_true(buf_printf(&b, "%.*s", 293, wide));
	assert_false(buf_add_number(&b, 123));
	assert_true(buf_add_number(&b, 12));
	assert_memory_equal(buf_view(&b).p + 690, "wwwwwwww12", 10);
	buf_fini(&b);
}

/* A queue of bytes: every mix of adding and consuming keeps the order, and memory stays near what is in use. */
static void test_buf_as_a_queue(void **state)
{
	struct buf b;
	unsigned char next_in = 0, next_out = 0;

	buf_init(&b, 5000);
	for (unsigned round = 0; round < 2000; round++) {
		size_t in = (round * 7919) % 300, out;
		char *to = buf_reserve(&b, in);

		if (to) {
			for (size_t i = 0; i < in; i++)
				to[i] = (char)next_in++;
			buf_claim(&b, in);
		}
		out = (round * 104729) % 320;
		out = out < b.n ? out : b.n;
		for (size_t i = 0; i < out; i++)
			assert_int_equal((unsigned char)buf_view(&b).p[i], (unsigned char)(next_out + i));
		next_out = (unsigned char)(next_out + out);
		buf_consume(&b, out);
	}
	assert_true(b.capacity <= 5000);
	buf_clear(&b);
	assert_true(b.capacity > 0);
	buf_release(&b);
	assert_int_equal(b.capacity, 0);
	buf_fini(&b);
}

static void test_arena(void **state)
{
	struct arena a = { 0 };
	char *small[100];
	char *large;

	for (size_t i = 0; i < 100; i++) {
		small[i] = arena_alloc(&a, i);
		assert_int_equal((uintptr_t)small[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(small[i][k], 0);
		memset(small[i], (int)i, i);
	}
	large = arena_alloc(&a, 1 << 20);
	assert_int_equal(large[0] | large[(1 << 20) - 1], 0);
	memset(large, 0xff, 1 << 20);
	for (size_t i = 0; i < 100; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_equal(small[i][k], (char)i);
	assert_true(a.used_bytes >= (1 << 20) + 99 * 100 / 2);
	arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	large = arena_alloc(&a, 2000); /* memory that was used before comes back empty */
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(large[i], 0);
	arena_fini(&a);
	arena_fini(&a);
}

static void test_arena_texts(void **state)
{
	struct arena a = { 0 };
	char source[] = "Alice@EXAMPLE.org";
	struct str kept = arena_str(&a, str_of(source)), lower;

	source[0] = '?';
	assert_true(str_eq(kept, S("Alice@EXAMPLE.org")));
	assert_string_equal(arena_cstr(&a, str_head(kept, 5)), "Alice");
	lower = arena_lower(&a, kept);
	assert_true(str_eq(lower, S("alice@example.org")));
	assert_true(str_eq(arena_printf(&a, "%s-%d", "x", 7), S("x-7")));
	assert_true(str_eq(arena_printf(&a, "%s", ""), S("")));
	assert_int_equal(arena_str(&a, (struct str){ NULL, 0 }).n, 0);
	arena_fini(&a);
}

static void test_secret(void **state)
{
	struct secret x = { 0 };
	static const struct {
		struct str a, b;
		bool same;
	} rows[] = { { S(""), S(""), true },
		     { S("a"), S(""), false },
		     { S("secret"), S("secret"), true },
		     { S("secret"), S("secres"), false },
		     { S("secret"), S("tecret"), false },
		     { S("secret"), S("secretx"), false },
		     { S("a\0b"), S("a\0c"), false } };
	char password[] = "hunter2";

	assert_true(str_eq(secret_view(&x), S("")));
	secret_set(&x, S("first"));
	assert_true(str_eq(secret_view(&x), S("first")));
	assert_int_equal(x.p[x.n], '\0');
	secret_set(&x, secret_view(&x)); /* of itself */
	assert_true(str_eq(secret_view(&x), S("first")));
	secret_set(&x, S(""));
	assert_true(str_eq(secret_view(&x), S("")));
	secret_fini(&x);
	secret_fini(&x);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(same_secret(rows[i].a, rows[i].b), rows[i].same);
	wipe(password, sizeof(password));
	for (size_t i = 0; i < sizeof(password); i++)
		assert_int_equal(password[i], 0);
	wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_bound),      cmocka_unit_test(test_buf_numbers_and_formats),
		cmocka_unit_test(test_buf_as_a_queue), cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_texts),    cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
