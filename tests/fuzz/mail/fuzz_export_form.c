/* fuzz_export_form.c - the fields of an exported message: what is read can be written, and reads the same again. */
#include "posthouse/export_form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str written(struct arena *a, const struct exported *x)
{
	struct str all = export_write_head(a, x);

	for (size_t i = 0; i < x->recipients_n; i++)
		all = arena_printf(a, "%.*s%.*s", STR_ARG(all), STR_ARG(export_write_recipient(a, &x->recipients[i])));
	return arena_printf(a, "%.*s%.*s", STR_ARG(all), STR_ARG(export_write_end(a, x)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct exported x, again;
	size_t length;

	if (export_read(&a, str_make(data, size), &x, &length).class == OK) {
		struct str text = written(&a, &x);

		if (length > size || export_read(&a, text, &again, &length).class != OK || length != text.n ||
		    !str_eq(written(&a, &again), text))
			abort();
	}
	arena_fini(&a);
	return 0;
}
