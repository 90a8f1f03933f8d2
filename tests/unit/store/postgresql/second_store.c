/* second_store.c - see second_store.h. */
#include "second_store.h"

#include "../../../support/remove_tree.h"

#include <stdlib.h>

struct store *second_store;
static char directory[64];

static void on_opened(void *ctx, struct verdict v)
{
	assert_int_equal(v.class, OK);
	*(bool *)ctx = true;
}

void second_open(struct fixture *f)
{
	struct store_options options = f->options;
	bool open = false;

	options.state_dir = directory;
	second_store = store_open(&f->loop, &options, on_opened, &open);
	while (!open)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

void second_close(struct fixture *f)
{
	struct answer a = { .f = f };

	if (!second_store)
		return;
	store_close(second_store, on_done, &a);
	answer_wait(f, &a);
	second_store = NULL;
}

int second_setup(void **state)
{
	int failed = fixture_setup(state);

	(void)snprintf(directory, sizeof directory, "store-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	second_open(*state);
	return failed;
}

int second_teardown(void **state)
{
	second_close(*state);
	(void)remove_tree(directory);
	return fixture_teardown(state);
}
