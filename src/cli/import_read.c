/* import_read.c - `posthouse import postfix`: main.cf and the text of maps. */
#include "import.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 20   /* of $names in values … */
#define NAMES_MAX 1000 /* … and of names that one value stands for: "x = $x$x" has no end */

void import_lost(struct import *t, enum loss loss, const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	t->unclear |= loss == LOSS_ROUTE;
	buf_printf(&t->losses[loss], "# - %.*s\n", STR_ARG(utf8_shown(&t->arena, str_of(text))));
}

/* What becomes a text of the configuration is between quotes there: it must not end them. Few values have such a byte. Tabs
 * stay: they separate words. */
static struct str escaped(struct import *t, struct str text)
{
	struct str out;
	struct buf b;

	buf_init(&b, 4 * text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			buf_printf(&b, "\\x%02x", c == 0 ? '?' : c);
		else
			buf_printf(&b, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	out = arena_str(&t->arena, buf_view(&b));
	buf_fini(&b);
	return out;
}

/* `text` is escaped. */
static void add(struct import *t, struct imported_list *rows, struct str text, char separator, unsigned line)
{
	size_t end = 0;

	while (end < text.n && (separator == '=' ? text.p[end] != '=' : text.p[end] != ' ' && text.p[end] != '\t'))
		end++;
	if (text.n == 0 || (separator == '=' && end == text.n))
		return;
	ARENA_GROW(&t->arena, rows->at, rows->n, rows->capacity);
	rows->at[rows->n++] = (struct imported){ .name = str_trim(str_head(text, end)),
						 .value = str_trim(str_from(text, end + 1)),
						 .line = line };
}

bool import_read(struct import *t, const char *path, char separator, struct imported_list *rows_out)
{
	FILE *file = fopen(path, "r");
	struct str whole = S("");
	unsigned line = 0, first = 0;
	size_t capacity = 0;
	char *text = NULL;
	ssize_t n;

	*rows_out = (struct imported_list){ 0 };
	if (!file)
		return false;
	while ((n = getline(&text, &capacity, file)) > 0) {
		struct str s = str_make(text, (size_t)n), trimmed = str_trim(s);

		line++;
		if (trimmed.n == 0 || trimmed.p[0] == '#')
			continue;
		if (s.p[0] == ' ' || s.p[0] == '\t') {
			whole = arena_printf(&t->arena, "%.*s %.*s", STR_ARG(whole), STR_ARG(trimmed));
			continue;
		}
		add(t, rows_out, escaped(t, whole), separator, first);
		whole = arena_str(&t->arena, trimmed);
		first = line;
	}
	add(t, rows_out, escaped(t, whole), separator, first);
	free(text);
	fclose(file);
	return true;
}

/* The last one counts, as in Postfix. */
static struct imported *find(struct import *t, struct str name)
{
	for (size_t i = t->settings.n; i > 0; i--)
		if (str_eq(t->settings.at[i - 1].name, name))
			return &t->settings.at[i - 1];
	return NULL;
}

static struct str expand(struct import *t, struct str value, unsigned depth);

/* What a name has by default, as far as it matters here. */
static struct str value_of(struct import *t, struct str name, unsigned depth)
{
	struct imported *s = find(t, name);
	struct str host;

	if (s) {
		s->used = true;
		return expand(t, s->value, depth + 1);
	}
	if (!str_eq(name, S("mydomain")) && !str_eq(name, S("myorigin")))
		return S("");
	host = value_of(t, S("myhostname"), depth + 1);
	return str_eq(name, S("myorigin")) ? host : str_from(host, str_find(host, '.') + 1);
}

/* $name, ${name} and $(name); any other "$", such as that of a condition, stays, and what is behind it. */
static struct str expand(struct import *t, struct str value, unsigned depth)
{
	struct str out = S("");

	while (value.n > 0) {
		size_t dollar = str_find(value, '$'), n = 0;
		struct str name = str_from(value, dollar + 1);
		bool closed = name.n > 0 && (name.p[0] == '{' || name.p[0] == '(');

		out = arena_printf(&t->arena, "%.*s%.*s", STR_ARG(out), STR_ARG(str_head(value, dollar)));
		if (dollar == value.n)
			break;
		name = str_from(name, closed);
		while (n < name.n && ((ascii_lower(name.p[n]) >= 'a' && ascii_lower(name.p[n]) <= 'z') || name.p[n] == '_' ||
				      (name.p[n] >= '0' && name.p[n] <= '9')))
			n++;
		if (depth < DEPTH_MAX && t->expanded++ < NAMES_MAX && n > 0 &&
		    (!closed || (n < name.n && (name.p[n] == '}' || name.p[n] == ')')))) {
			out = arena_printf(&t->arena, "%.*s%.*s", STR_ARG(out), STR_ARG(value_of(t, str_head(name, n), depth)));
			value = str_from(name, n + closed);
		} else {
			out = arena_printf(&t->arena, "%.*s$", STR_ARG(out));
			value = str_from(value, dollar + 1);
		}
	}
	return out;
}

struct str import_value(struct import *t, const char *name)
{
	t->expanded = 0;
	return str_trim(value_of(t, str_of(name), 0));
}

void import_origin(struct import *t, const char *name)
{
	const struct imported *s = find(t, str_of(name));

	if (s)
		buf_printf(&t->config, "# main.cf:%u: %s\n", s->line, name);
}

/* "{x}" without its braces. */
static struct str unbraced(struct str text)
{
	text = str_trim(text);
	return text.n > 1 && text.p[0] == '{' && text.p[text.n - 1] == '}' ? str_trim(str_make(text.p + 1, text.n - 2)) : text;
}

/* "inline:{ a=b, { c = d } }" */
static void read_inline(struct import *t, struct str text, struct imported_list *rows)
{
	struct str part;

	text = unbraced(text);
	while (str_split(&text, ',', &part))
		add(t, rows, arena_str(&t->arena, unbraced(part)), '=', 0);
}

bool import_map(struct import *t, const char *name, enum loss loss, struct imported_list *rows_out)
{
	static const char *const texts[] = { "hash", "texthash", "btree", "lmdb", "dbm", "cdb" };
	struct str value = import_value(t, name), kind = str_head(value, str_find(value, ':'));
	struct str path = str_from(value, kind.n + 1);
	bool text = false;

	*rows_out = (struct imported_list){ 0 };
	if (value.n == 0)
		return false;
	if (str_eq(kind, S("inline"))) {
		read_inline(t, path, rows_out);
		return true;
	}
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		text |= str_eq(kind, str_of(texts[i]));
	if (!text || str_find(path, ' ') < path.n || str_find(path, ',') < path.n) {
		import_lost(t, loss, "%s = %.*s: only one table of text is read, such as hash:/etc/postfix/x", name,
			    STR_ARG(value));
		return false;
	}
	if (import_read(t, arena_cstr(&t->arena, path), ' ', rows_out))
		return true;
	import_lost(t, loss, "%s = %.*s: %s", name, STR_ARG(value), strerror(errno));
	return false;
}
