/* test_writebehind.c - changed items follow in a store that the test plays. */
#include "unit.h"

#include "posthouse/writebehind.h"

enum { ITEMS = 5 };

struct row {
	struct str name;
	int value;
};

struct item {
	struct list in_dirty;
	const char *name;
	int value;
	bool gone;
};

struct played {
	struct writebehind w;
	struct item items[ITEMS];
	bool open;
	const struct row *rows; /* of the write that is on its way */
	size_t n;
	void *batch;
	int failures, retries;
};

static bool can_write(void *ctx)
{
	return ((struct played *)ctx)->open;
}

static void make_row(void *ctx, struct arena *a, struct list *item, void *row_out)
{
	const struct item *i = CONTAINER_OF(item, struct item, in_dirty);

	(void)ctx;
	*(struct row *)row_out = (struct row){ .name = arena_str(a, str_of(i->name)), .value = i->value };
}

static void write_rows(void *ctx, const void *rows, size_t n, void *batch)
{
	struct played *p = ctx;

	p->rows = rows;
	p->n = n;
	p->batch = batch;
}

static struct list *find_item(void *ctx, const void *row)
{
	struct played *p = ctx;

	for (int i = 0; i < ITEMS; i++)
		if (str_eq(str_of(p->items[i].name), ((const struct row *)row)->name))
			return p->items[i].gone ? NULL : &p->items[i].in_dirty;
	return NULL;
}

static void failed(void *ctx, size_t n, struct verdict v)
{
	(void)n, (void)v;
	((struct played *)ctx)->failures++;
}

static void retry_later(void *ctx)
{
	((struct played *)ctx)->retries++;
}

static const struct writebehind_ops ops = {
	.row_size = sizeof(struct row),
	.batch_max = 3,
	.can_write = can_write,
	.make_row = make_row,
	.write = write_rows,
	.find = find_item,
	.failed = failed,
	.retry_later = retry_later,
};

static void begin(struct played *p)
{
	static const char *const names[ITEMS] = { "a", "b", "c", "d", "e" };

	*p = (struct played){ .open = true };
	for (int i = 0; i < ITEMS; i++) {
		list_init(&p->items[i].in_dirty);
		p->items[i].name = names[i];
	}
	writebehind_init(&p->w, &ops, p);
}

static void change(struct played *p, int i, int value)
{
	p->items[i].value = value;
	writebehind_touch(&p->w, &p->items[i].in_dirty);
}

static void end_write(struct played *p, struct verdict v)
{
	void *batch = p->batch;

	p->batch = NULL;
	p->n = 0;
	writebehind_done(batch, v);
}

/* One batch is on its way; what changes meanwhile, the same item too, goes with the next, which is bounded. */
static void one_batch_at_a_time(void **state)
{
	struct played p;

	(void)state;
	begin(&p);
	change(&p, 0, 1);
	assert_int_equal(p.n, 1);
	change(&p, 0, 2);
	change(&p, 0, 3);
	for (int i = 1; i < ITEMS; i++)
		change(&p, i, i);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.rows[0].value, 1);
	end_write(&p, ok());
	assert_int_equal(p.n, 3);
	assert_int_equal(p.rows[0].value, 3);
	assert_true(str_eq(p.rows[2].name, S("c")));
	end_write(&p, ok());
	assert_int_equal(p.n, 2);
	end_write(&p, ok());
	assert_null(p.batch);
}

/* A failure is told once; its items are written again with their newest values, except those that have gone. */
static void failures_are_repeated(void **state)
{
	struct verdict full = temp(452, S("4.3.1"), S("no room"));
	struct played p;

	(void)state;
	begin(&p);
	change(&p, 0, 1);
	change(&p, 1, 1);
	end_write(&p, full);
	change(&p, 0, 2);
	assert_null(p.batch); /* not before the pause is over */
	writebehind_flush(&p.w);
	assert_int_equal(p.n, 2);
	p.items[1].gone = true;
	end_write(&p, full);
	assert_int_equal(p.failures, 1);
	assert_int_equal(p.retries, 2);
	writebehind_flush(&p.w);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.rows[0].value, 2);
	end_write(&p, ok());
	assert_null(p.batch);
	change(&p, 2, 1);
	end_write(&p, full);
	assert_int_equal(p.failures, 2);
	writebehind_flush(&p.w);
	end_write(&p, ok());
}

static void a_closed_store_is_not_asked(void **state)
{
	struct played p;

	(void)state;
	begin(&p);
	p.open = false;
	change(&p, 0, 1);
	assert_null(p.batch);
	p.open = true;
	writebehind_flush(&p.w);
	assert_int_equal(p.n, 1);
	p.open = false;
	end_write(&p, temp(452, S("4.3.1"), S("no room")));
	assert_int_equal(p.retries, 0); /* the item waits in the list */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_batch_at_a_time),
		cmocka_unit_test(failures_are_repeated),
		cmocka_unit_test(a_closed_store_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
