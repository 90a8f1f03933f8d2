/* manual.c - the manual's lists of keys, of profiles, and of other programs' names. */
#include "schema.h"

#include "posthouse/profiles.h"

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
	size_t equals = str_find(str_of(text), '=');
	bool bare = k->type == CFG_INT || k->type == CFG_BOOL || k->type == CFG_LIST || k->type == CFG_GROUP,
	     array = key_is_array(k) && !bare;
	struct str rest = str_of(text), word;
	const char *before = array ? "[ " : "";

	if (k->type == CFG_OPTIONS) {
		buf_printf(b, "{ %.*s = \"", STR_ARG(str_head(rest, equals)));
		add_roff(b, str_from(rest, equals + 1));
		buf_add(b, S("\"; }"));
		return;
	}
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

static void manual_row(struct buf *b, struct arena *a, const struct key *k)
{
	buf_add(b, S(".TP\n.B "));
	add_roff(b, str_of(k->path));
	buf_add(b, S("\n"));
	add_roff(b, str_of(k->help));
	buf_add(b, S("\n.br\nType: "));
	add_roff(b, value_expected(k, a));
	buf_add(b, S("."));
	if (k->type == CFG_SECRET) {
		buf_add(b, S(" Or "));
		add_roff(b, schema_leaf(k));
		buf_add(b, S("_file with the path of a file that holds it."));
	}
	if (k->fallback) {
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

static void manual_keys(struct buf *b)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < config_keys_n; i++)
		if (!(config_keys[i].flags & FILLED))
			manual_row(b, &a, &config_keys[i]);
	arena_fini(&a);
}

/* The sentence for beginners, then "host: smtp.isp.example; port: 465, TLS implicit". */
static void profile_row(struct buf *b, struct arena *a, const struct profile *p)
{
	struct profile_fact facts[PROFILE_FACTS_MAX];
	size_t n = profile_facts(p, a, facts);

	buf_add(b, S(".TP\n.B "));
	add_roff(b, str_of(p->name));
	if (p->hint) {
		buf_add(b, S("\n"));
		add_roff(b, str_of(p->hint));
		buf_add(b, S("\n.br"));
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(facts[i].label, "note") == 0)
			continue;
		buf_printf(b, "%s%s: ", i == 0 ? "\n" : "; ", facts[i].label);
		add_roff(b, facts[i].value);
	}
	buf_add(b, S(".\n"));
}

static void manual_profiles(struct buf *b)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < profiles_n; i++)
		profile_row(b, &a, &profiles[i]);
	arena_fini(&a);
}

static void foreign_row(struct buf *b, const struct foreign *f)
{
	struct str names = str_of(f->names), name;

	buf_add(b, S(".TP\n.B "));
	for (bool first = true; str_split(&names, ' ', &name); first = false) {
		buf_add(b, first ? S("") : S(", "));
		add_roff(b, name);
	}
	buf_add(b, f->relation == '-' ? S("\nNone: ") : f->relation == '~' ? S("\nAbout ") : S("\n"));
	add_roff(b, str_of(f->ours));
	buf_add(b, *f->ours && *f->remark ? S(": ") : S(""));
	add_roff(b, str_of(f->remark));
	buf_add(b, S(".\n"));
}

static void manual_foreign(struct buf *b)
{
	for (size_t i = 0; i < foreign_names_n; i++) {
		if (i == 0 || foreign_names[i].program != foreign_names[i - 1].program)
			buf_printf(b, ".SS %s\n", foreign_programs[foreign_names[i].program]);
		foreign_row(b, &foreign_names[i]);
	}
}

bool config_manual(enum manual_part part, struct buf *b)
{
	static void (*const print[])(struct buf *) = {
		[MANUAL_KEYS] = manual_keys, [MANUAL_PROFILES] = manual_profiles, [MANUAL_FOREIGN] = manual_foreign
	};

	print[part](b);
	return b->n < b->max;
}
