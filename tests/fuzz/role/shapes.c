/* shapes.c */
#include "shapes.h"

/* clang-format off */
#define FIELD_OF_ENVELOPE(type, name, stored, seen, most) { TOKEN_##type, #name, seen, NULL },
#define U64(name)          { TOKEN_u64, #name, B_ALL, NULL },
#define STR(name)          { TOKEN_str, #name, B_ALL, NULL },
#define VERDICT(name)      { TOKEN_CLASS, #name, B_ALL, NULL }, { TOKEN_str, "enhanced", B_ALL, NULL }, { TOKEN_str, "words", B_ALL, NULL },
#define ENVELOPE(name)     ENVELOPE_FIELDS(FIELD_OF_ENVELOPE)
#define LIST(record, name) { TOKEN_COUNT, #name, B_ALL, record_##record },
#define NOTHING
#define RECORD(name, fields)                       static const struct field record_##name[] = { fields { 0 } };
#define MSG(name, from, to, passes, flags, fields) static const struct field fields_##name[] = { fields { 0 } };
/* clang-format on */
#include "posthouse/messages.def"

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = fields_##name,
const struct field *const shapes[MSG_COUNT] = {
#include "posthouse/messages.def"
};

size_t record_tokens(const struct field *list)
{
	size_t n = 0;

	while (list->record[n].name)
		n++;
	return n;
}

static bool take(struct str *rest, void *to, size_t n)
{
	if (rest->n < n)
		return false;
	memcpy(to, rest->p, n);
	*rest = str_from(*rest, n);
	return true;
}

static bool read_token(struct token *t, const struct field *field, struct str *rest)
{
	uint32_t count = 0;

	*t = (struct token){ .field = field };
	if (field->kind == TOKEN_u64 || field->kind == TOKEN_CLASS)
		return take(rest, &t->number, sizeof t->number);
	if (!take(rest, &count, sizeof count))
		return false;
	t->number = count;
	if (field->kind == TOKEN_COUNT)
		return true;
	t->text = str_head(*rest, count);
	*rest = str_from(*rest, count);
	return t->text.n == count;
}

static bool read_fields(struct message *m, const struct field *fields, struct str *rest)
{
	for (; fields->name; fields++) {
		struct token *t = &m->at[m->n];

		if (!(fields->seen & message_types[m->type].to))
			continue;
		if (m->n == TOKENS_MAX || !read_token(t, fields, rest))
			return false;
		m->n++;
		for (uint64_t i = 0; fields->kind == TOKEN_COUNT && i < t->number; i++)
			if (!read_fields(m, fields->record, rest))
				return false;
	}
	return true;
}

bool message_read(struct message *m, struct str datagram)
{
	uint32_t type;

	m->n = 0;
	if (!take(&datagram, &type, sizeof type) || type >= MSG_COUNT || !take(&datagram, &m->call, sizeof m->call))
		return false;
	m->type = type;
	return read_fields(m, shapes[type], &datagram) && datagram.n == 0;
}

void message_write(const struct message *m, struct buf *b)
{
	uint32_t type = m->type;

	buf_add(b, str_make(&type, sizeof type));
	buf_add(b, str_make(&m->call, sizeof m->call));
	for (size_t i = 0; i < m->n; i++) {
		const struct token *t = &m->at[i];
		uint32_t count = (uint32_t)(t->field->kind == TOKEN_COUNT ? t->number : t->text.n);

		if (t->field->kind == TOKEN_u64 || t->field->kind == TOKEN_CLASS)
			buf_add(b, str_make(&t->number, sizeof t->number));
		else
			buf_add(b, str_make(&count, sizeof count));
		if (t->field->kind == TOKEN_str)
			buf_add(b, t->text);
	}
}
