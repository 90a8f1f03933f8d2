#include "engine_under_test.h"
#include "remove_tree.h"

/* ---- the store ---- */

static void on_opened(void *ctx, struct verdict v)
{
	struct fixture *f = ctx;

	f->opened_n++;
	f->opened = verdict_keep(&f->arena, v);
}

void fixture_begin_open(struct fixture *f)
{
	f->opened_n = 0;
	f->st = store_open(&f->loop, &f->options, on_opened, f);
}

struct verdict fixture_open(struct fixture *f)
{
	struct verdict v;

	fixture_begin_open(f);
	while (f->opened_n == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	v = f->opened;
	if (v.class != OK)
		fixture_close(f);
	return v;
}

void fixture_close(struct fixture *f)
{
	struct answer a = { .f = f };

	if (!f->st)
		return;
	store_close(f->st, on_done, &a);
	answer_wait(f, &a);
	f->st = NULL;
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	assert_int_equal(fixture_open(f).class, OK);
}

int fixture_setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	(void)snprintf(f->dir, sizeof(f->dir), "store-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->options = (struct store_options){
		.engine = engine_under_test, .state_dir = f->dir, .min_free = 1, .max_messages = 1000000
	};
	engine_begin(f);
	fixture_begin_open(f);
	while (f->opened_n == 0 || f->opened.class == TEMP) /* a server that has just started can be slow */
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->opened.class, OK);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->st)
		engine_check(f);
	fixture_close(f);
	while (uv_run(&f->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(uv_loop_close(&f->loop), 0);
	(void)remove_tree(f->dir);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

char *fixture_path(struct fixture *f, const char *name)
{
	return (char *)(uintptr_t)arena_cstr(&f->arena, arena_printf(&f->arena, "%s/%s", f->dir, name));
}
