/* repeated.c - see repeated.h. */
#include "repeated.h"

#include "cluster.h"

const char *store_rows(struct fixture *f, const char *format, ...)
{
	char words[200], text[600];
	va_list args;

	(void)snprintf(words, sizeof words, "host=%s port=5432 user=postgres dbname=store", cluster_directory());
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return cluster_sql(words, text);
}

bool is_lost(struct fixture *f, struct answer *a)
{
	if (a->v.class != TEMP)
		return false;
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	return true;
}

struct answer show_again(struct fixture *f, uint64_t id)
{
	struct answer a;

	do
		a = show_now(f, id, 0, 10);
	while (is_lost(f, &a));
	assert_int_equal(a.v.class, OK);
	return a;
}

void take_again(struct fixture *f, uint64_t id)
{
	struct answer a;

	do
		a = lease_now(f, lane_of(f, "a.org"), LATER, 1);
	while (is_lost(f, &a) || a.n == 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(((const struct due_message *)a.rows)[0].id, id);
}

struct answer alter_again(struct fixture *f, uint64_t id, enum alter operation)
{
	struct answer a;

	do
		a = alter_now(f, (struct selector){ .id = id }, operation);
	while (is_lost(f, &a));
	assert_int_equal(a.v.class, OK);
	return a;
}
