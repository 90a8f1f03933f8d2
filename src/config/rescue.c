/* rescue.c - a file with faults must not keep anybody from asking the running relay, or from removing an account: the few keys
 * that the command line needs, and that the loader has not got, are looked for in the text. Others stay as they are. */
#include "loader.h"

#include <errno.h>
#include <unistd.h>

static bool is_name(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || (c >= '0' && c <= '9');
}

/* The length of the comment that `s` begins with; 0: none. */
static size_t comment_length(struct str s)
{
	if (str_starts(s, S("#")) || str_starts(s, S("//")))
		return str_find(s, '\n');
	if (str_starts(s, S("/*"))) {
		size_t end = str_search(str_from(s, 2), S("*/"));

		return end + 4 < s.n ? end + 4 : s.n;
	}
	return 0;
}

/* The rest behind white space and comments. */
static struct str skip_space(struct str s)
{
	size_t n;

	do {
		for (n = 0; n < s.n && memchr(" \t\r\n", s.p[n], 4); n++)
			;
		n += comment_length(str_from(s, n));
		s = str_from(s, n);
	} while (n > 0);
	return s;
}

/* The text that begins with a quote, without escapes; *n_out is its length in the file, on one line at most. */
static struct str read_text(struct arena *a, struct str s, size_t *n_out)
{
	char *text = arena_alloc(a, s.n + 1);
	size_t i = 1, n = 0;

	while (i < s.n && s.p[i] != '"' && s.p[i] != '\n') {
		if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] != '\n')
			i++;
		text[n++] = s.p[i++];
	}
	*n_out = i < s.n && s.p[i] == '"' ? i + 1 : i;
	return str_make(text, n);
}

/* Neighbouring texts are one, as libconfig has it. */
static struct str read_texts(struct arena *a, struct str s)
{
	struct str whole = S("");
	size_t n;

	while (s.n > 0 && s.p[0] == '"') {
		struct str part = read_text(a, s, &n);

		whole = whole.n > 0 ? arena_printf(a, "%.*s%.*s", STR_ARG(whole), STR_ARG(part)) : part;
		s = skip_space(str_from(s, n));
	}
	return whole;
}

/* The first `name = "text"` that is no comment and not within a text; "" when there is none. */
static struct str find_text(struct loader *l, struct str name)
{
	struct str rest = buf_view(&l->text), after;
	size_t n;

	while (rest.n > 0) {
		for (n = 0; n < rest.n && is_name(rest.p[n]); n++)
			;
		if (n > 0) {
			after = skip_space(str_from(rest, n));
			if (str_eq(str_head(rest, n), name) && after.n > 0 && (after.p[0] == '=' || after.p[0] == ':')) {
				after = skip_space(str_from(after, 1));
				if (after.n > 0 && after.p[0] == '"')
					return read_texts(l->arena, after);
			}
		} else if (rest.p[0] == '"') {
			struct arena unused = { 0 };

			read_text(&unused, rest, &n);
			arena_fini(&unused);
		} else {
			n = comment_length(rest);
		}
		rest = str_from(rest, n > 0 ? n : 1);
	}
	return S("");
}

struct str rescue_text(struct loader *l, const char *name)
{
	return find_text(l, str_of(name));
}

/* One key that has no value, or its default. */
static void rescue_key(struct loader *l, const char *path)
{
	const struct key *k = &config_keys[schema_find(str_of(path))];
	struct str text, *target = key_at(k, l->config);

	if (target->n > 0)
		return;
	text = find_text(l, schema_leaf(k));
	if ((text.n == 0 || !value_set(k, l->arena, text, target)) && k->fallback)
		value_set(k, l->arena, str_of(k->fallback), target);
	if (k->flags & PATH)
		*target = path_resolve(l, *target);
}

void rescue(struct loader *l)
{
	bool hidden = l->text.n == 0 && access(arena_cstr(l->arena, l->file), R_OK) != 0 && errno == EACCES;

	/* who is not allowed to read the file can be allowed to ask; of a file that is not there nothing is guessed */
	if (hidden || l->text.n > 0)
		rescue_key(l, "control");
	if (l->text.n > 0 && !l->local_known) {
		rescue_key(l, "local.socket");
		rescue_key(l, "local.drop");
	}
	if ((hidden || l->text.n > 0) && !l->local_known)
		local_place(l);
	if (l->text.n == 0)
		return;
	rescue_key(l, "hostname");
	rescue_key(l, "state_dir");
	rescue_key(l, "run_as");
	rescue_key(l, "auth.realm");
	if (l->config->auth.realm.n == 0)
		l->config->auth.realm = l->config->hostname;
}
