/* dump.c - the table for people: the configuration in effect, and the manual's list of keys. */
#include "schema.h"

/* How many groups the row at `path` lies in. */
static unsigned depth_of(struct str path)
{
	unsigned n = 0;

	for (size_t i = 0; i < path.n; i++)
		n += path.p[i] == '.';
	return n;
}

static void indent(struct buf *b, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_add_char(b, '\t');
}

static void dump_rows(struct buf *b, size_t from, size_t end, const void *base, unsigned depth);

static void dump_list(struct buf *b, size_t i, const void *base, unsigned depth)
{
	const struct key *k = &config_keys[i];
	size_t n;
	const char *elements = key_array(k, base, &n);

	buf_add(b, S("("));
	for (size_t e = 0; e < n; e++) {
		buf_add(b, e > 0 ? S(", {\n") : S(" {\n"));
		dump_rows(b, i + 1, schema_end(i), elements + e * k->element_size, depth + 1);
		indent(b, depth);
		buf_add(b, S("}"));
	}
	buf_add(b, n > 0 ? S(" )") : S(")"));
}

/* Close the groups that `path` is not in any more, down to depth `to`. */
static void close_groups(struct buf *b, unsigned *open, unsigned to, unsigned depth)
{
	while (*open > to) {
		--*open;
		indent(b, depth + *open);
		buf_add(b, S("};\n"));
	}
}

/* `depth` is that of the rows at the start; a list's members count from the list's element. */
static void dump_rows(struct buf *b, size_t from, size_t end, const void *base, unsigned depth)
{
	unsigned first = from < end ? depth_of(str_of(config_keys[from].path)) : 0, open = 0;

	for (size_t i = from; i < end; i = schema_end(i)) {
		const struct key *k = &config_keys[i];

		if (k->flags & (LATER | FILLED))
			continue;
		close_groups(b, &open, depth_of(str_of(k->path)) - first, depth);
		indent(b, depth + open);
		buf_printf(b, "%.*s = ", STR_ARG(schema_leaf(k)));
		if (k->type == CFG_GROUP) {
			buf_add(b, S("{\n"));
			open++;
			continue;
		}
		if (k->type == CFG_LIST)
			dump_list(b, i, base, depth + open);
		else
			value_print(b, k, base);
		buf_add(b, S(";\n"));
	}
	close_groups(b, &open, 0, depth);
}

bool config_dump(const struct config *c, struct buf *b)
{
	dump_rows(b, 0, config_keys_n, c, 0);
	return b->n < b->max;
}

/* Text for roff: hyphens and backslashes as they are, no line that begins with a control character. */
static void add_roff(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\\')
			buf_add(b, S("\\e"));
		else if (s.p[i] == '-')
			buf_add(b, S("\\-"));
		else if ((s.p[i] == '.' || s.p[i] == '\'') && (i == 0 || s.p[i - 1] == '\n'))
			buf_printf(b, "\\&%c", s.p[i]);
		else
			buf_add_char(b, s.p[i]);
}

/* A default or an example as one would write it in the file: quotes where the type wants them, brackets around arrays. */
static void add_value(struct buf *b, const struct key *k, const char *text)
{
	bool bare = k->type == CFG_INT || k->type == CFG_BOOL || k->type == CFG_LIST, array = key_is_array(k) && !bare;
	struct str rest = str_of(text), word;
	const char *before = array ? "[ " : "";

	if (bare || !array) {
		buf_add(b, bare ? S("") : S("\""));
		add_roff(b, rest);
		buf_add(b, bare ? S("") : S("\""));
		return;
	}
	while (str_split(&rest, ' ', &word)) {
		buf_printf(b, "%s\"", before);
		add_roff(b, word);
		buf_add(b, S("\""));
		before = ", ";
	}
	buf_add(b, S(" ]"));
}

/* "Not built yet: …" for the choices that come later. */
static void add_later_choices(struct buf *b, const struct key *k)
{
	const char *before = " Not built yet: ";

	for (const struct choice *c = k->choices; c && c->name; c++) {
		if (!c->later)
			continue;
		buf_add(b, str_of(before));
		buf_add_char(b, '"');
		add_roff(b, str_of(c->name));
		buf_add_char(b, '"');
		before = ", ";
	}
	if (before[0] == ',')
		buf_add_char(b, '.');
}

static void manual_row(struct buf *b, struct arena *a, const struct key *k)
{
	buf_add(b, S(".TP\n.B "));
	add_roff(b, str_of(k->path));
	buf_add(b, S("\n"));
	if (k->flags & LATER)
		buf_add(b, S("(not built yet) "));
	add_roff(b, str_of(k->help));
	buf_add(b, S("\n.br\nType: "));
	add_roff(b, value_expected(k, a));
	buf_add(b, S("."));
	add_later_choices(b, k);
	if (k->type == CFG_SECRET) {
		buf_add(b, S(" Or "));
		add_roff(b, schema_leaf(k));
		buf_add(b, S("_file with the path of a file that holds it."));
	}
	if (k->fallback && !(k->flags & LATER)) {
		buf_add(b, S(" Default: "));
		add_value(b, k, k->fallback);
		buf_add(b, S("."));
	} else if (k->flags & REQUIRED) {
		buf_add(b, S(" Needed."));
	}
	if (k->example) {
		buf_add(b, S(" Example: "));
		add_value(b, k, k->example);
		buf_add(b, S("."));
	}
	if (k->type != CFG_GROUP)
		buf_add(b, k->flags & RELOADABLE ? S(" Changed by a reload.\n") : S(" Changed by a restart only.\n"));
	else
		buf_add(b, S("\n"));
}

bool config_manual(struct buf *b)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < config_keys_n; i++)
		if (!(config_keys[i].flags & FILLED))
			manual_row(b, &a, &config_keys[i]);
	arena_fini(&a);
	return b->n < b->max;
}
