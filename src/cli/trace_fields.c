/* trace_fields.c - reads the fields of events, which the relay keeps as text. */
#include "trace.h"

#include "posthouse/buf.h"

/* Those whose value is a number; any other is text, also when it looks like one. */
static const char *const numbers[] = { "recipients", "size_bytes", "code", "attempts", "age_ms", "due_in_ms", "took_ms", "node" };

/* Take a value within quotes off `text`, which begins behind the first one. */
static struct str take_quoted(struct arena *a, struct str *text)
{
	char *out = arena_alloc(a, text->n + 1);
	size_t n = 0, i = 0;

	for (; i < text->n && text->p[i] != '"'; i++) {
		char c = text->p[i];

		if (c == '\\' && i + 1 < text->n) {
			c = text->p[++i];
			if (c == 'u') { /* a control character: it is not wanted */
				i += i + 4 < text->n ? 4 : text->n - i - 1;
				c = '?';
			}
			c = c == 'n' || c == 'r' || c == 't' ? ' ' : c;
		}
		out[n++] = c;
	}
	*text = str_from(*text, i + 1);
	return str_make(out, n);
}

struct event_fields event_fields_read(struct arena *a, struct str text)
{
	struct event_fields f = { 0 };
	size_t capacity = 0;

	while (text.n > 0) {
		size_t equal = str_find(text, '=');
		struct event_field field = { .key = str_trim(str_head(text, equal)) };

		if (equal == text.n)
			break;
		text = str_from(text, equal + 1);
		if (str_starts(text, S("\""))) {
			text = str_from(text, 1);
			field.value = take_quoted(a, &text);
		} else {
			field.value = str_head(text, str_find(text, ' '));
			text = str_from(text, field.value.n);
		}
		text = str_from(text, text.n > 0 && text.p[0] == ' ');
		ARENA_GROW(a, f.at, f.n, capacity);
		f.at[f.n++] = field;
	}
	return f;
}

struct str event_field(const struct event_fields *f, const char *key)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->at[i].key, str_of(key)))
			return f->at[i].value;
	return S("");
}

json_t *event_fields_json(const struct event_fields *f)
{
	json_t *object = json_object();

	for (size_t i = 0; i < f->n; i++) {
		const struct event_field *field = &f->at[i];
		json_t *value = NULL;
		uint64_t n;

		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0] && !value; k++)
			if (str_eq(field->key, str_of(numbers[k])) && str_to_u64(field->value, &n))
				value = json_integer((json_int_t)n);
		(void)json_object_setn_new(object, field->key.p, field->key.n, value ? value : json_text(field->value));
	}
	return object;
}
