/* json.c - reads JSON with jansson. The values stay in jansson's memory; only the text of numbers is made here. */
#include "json.h"

#include "wiped.h"

#include <jansson.h>
#include <stdlib.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void json_start(void)
{
	json_set_alloc_funcs(malloc, wiped_free);
}

/* The value as text; false for what has no single value. */
static bool scalar(struct arena *a, const json_t *value, struct str *text_out)
{
	if (json_is_string(value))
		*text_out = str_make(json_string_value(value), json_string_length(value));
	else if (json_is_boolean(value))
		*text_out = json_is_true(value) ? S("true") : S("false");
	else if (json_is_number(value)) /* whole numbers up to 2^53 without a fraction: 3599.0 is 3599 */
		*text_out = arena_printf(a, "%.17g", json_number_value(value));
	else
		return false;
	return text_out->n <= JSON_VALUE_MAX;
}

void json_read(struct json *j, struct str text)
{
	const char *name;
	json_t *root, *value;

	*j = (struct json){ 0 };
	if (str_starts(text, S(BYTE_ORDER_MARK)))
		text = str_from(text, sizeof BYTE_ORDER_MARK - 1);
	/* as real numbers: one that is too long for an integer must not spoil the others */
	root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	j->document = root;
	if (!json_is_object(root))
		return;
	j->fields = ARENA_ARRAY(&j->arena, struct rec_json_field, JSON_MEMBERS_MAX);
	json_object_foreach(root, name, value)
	{
		struct rec_json_field *field = &j->fields[j->n];

		field->name = str_of(name);
		if (field->name.n <= JSON_NAME_MAX && scalar(&j->arena, value, &field->value) && ++j->n == JSON_MEMBERS_MAX)
			break;
	}
}

void json_fini(struct json *j)
{
	json_decref(j->document);
	arena_fini(&j->arena);
}
