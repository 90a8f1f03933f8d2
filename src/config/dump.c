/* dump.c - the table for people: the configuration in effect, in the file's syntax. */
#include "schema.h"

#include "posthouse/hash.h"
#include "posthouse/units.h"

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

		if (k->flags & FILLED)
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

/* ---- what nodes have in common ---- */

/* Keys, and groups of keys, that decide what becomes of mail, whichever node has it. */
static bool is_common(struct str path)
{
	static const char *const common[] = { "postmaster", "report_sender", "senders",  "limits",     "breaker",
					      "devices",    "rewrite",       "sign",     "queue",      "routes",
					      "tls",        "upstreams",     "delivery", "tls_report", "auth.backend" };
	static const char *const own[] = { "delivery.source", "delivery.resolver", "delivery.ipv4", "delivery.ipv6",
					   "queue.min_free" };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (str_eq(path, str_of(own[i])))
			return false;
	for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
		if (str_eq(path, str_of(common[i])) || str_eq(str_head(path, str_find(path, '.')), str_of(common[i])))
			return true;
	return str_eq(path, S("store.durability")) || str_eq(path, S("store.node_timeout"));
}

/* Without files, whose places are the machine's own. */
static void print_common(struct buf *b, size_t from, size_t end, const void *base)
{
	for (size_t i = from; i < end; i = schema_end(i)) {
		const struct key *k = &config_keys[i];
		size_t n = 0;
		const char *elements;

		if (k->type == CFG_GROUP || k->flags & (FILLED | PATH) || k->format == &format_path)
			continue;
		buf_printf(b, "%s = ", k->path);
		if (k->type != CFG_LIST) {
			value_print(b, k, base);
			continue;
		}
		elements = key_array(k, base, &n);
		for (size_t e = 0; e < n; e++)
			print_common(b, i + 1, schema_end(i), elements + e * k->element_size);
	}
}

uint64_t config_agreement(const struct config *c)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < config_keys_n; i = schema_end(i)) {
		struct buf b;

		if (!is_common(str_of(config_keys[i].path)))
			continue;
		buf_init(&b, 64 * MIB);
		print_common(&b, i, schema_end(i), c);
		hash = hash_fixed(hash, buf_view(&b));
		buf_fini(&b);
	}
	return hash;
}
