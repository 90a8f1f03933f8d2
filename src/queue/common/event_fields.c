/* event_fields.c - the fields of an event in a message's history. */
#include "common/event_fields.h"

#include "posthouse/buf.h"

#define PAIRS_MAX 24

/* Is the value clear without quotes? */
static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

/* One value within quotes. Control characters become \uXXXX. Other bytes are stored as they are, unlike on the log line: what a
 * next hop said is kept, and characters that nobody sees are made harmless where the value is shown. */
static void add_quoted(struct buf *b, struct str s)
{
	size_t added = 0; /* what is in front of it is in the buffer */

	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(b, str_make(s.p + added, i - added));
		added = i + 1;
		buf_add_escape(b, c);
	}
	buf_add(b, str_from(s, added));
	buf_add_char(b, '"');
}

static void add_pair(struct buf *b, const struct kv *pair)
{
	buf_add(b, b->n ? S(" ") : S(""));
	buf_add(b, str_of(pair->key));
	buf_add_char(b, '=');
	switch (pair->kind) {
	case KV_STR:
		if (is_plain(pair->str))
			buf_add(b, pair->str);
		else
			add_quoted(b, pair->str);
		break;
	case KV_U64: buf_add_number(b, pair->u64); break;
	case KV_I64: buf_printf(b, "%lld", (long long)pair->i64); break;
	case KV_BOOL: buf_add(b, pair->u64 ? S("true") : S("false")); break;
	}
}

struct str fields_of(struct arena *a, const struct kv *pairs, size_t n)
{
	struct buf b;
	struct str result;

	buf_init(&b, 2 * FIELDS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct kv pair = pairs[i];
		size_t room = FIELDS_MAX - b.n;

		if (pair.kind == KV_STR && pair.str.n == 0)
			continue;
		if (room < 128)
			break;
		/* six times: the longest escape */
		if (pair.kind == KV_STR && pair.str.n > (room - 64) / 6)
			pair.str = str_head(pair.str, (room - 64) / 6);
		add_pair(&b, &pair);
	}
	result = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return result;
}

struct str fields_logged(struct arena *a, enum log_level level, uint64_t message, const char *event, size_t of_message,
			 const struct kv *pairs, size_t n)
{
	struct log log = { .message = message };
	struct kv shown[PAIRS_MAX + 1] = { { .key = NULL } }; /* the first is the log macros' placeholder */
	size_t shown_n = 1;

	for (size_t i = 0; i < n && shown_n <= PAIRS_MAX; i++)
		if (pairs[i].kind != KV_STR || pairs[i].str.n > 0)
			shown[shown_n++] = pairs[i];
	log_write(level, &log, event, shown, shown_n);
	return fields_of(a, pairs + of_message, n - of_message);
}
