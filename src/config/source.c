/* source.c - the files as one text. Includes are put in their place here rather than by libconfig 1.5, which ends the process
 * when an include is a directory, cannot mix relative and absolute ones, and silently cuts whole numbers to 32 bits. */
#include "loader.h"

#include "posthouse/secret.h"
#include "posthouse/units.h"

#define FILE_MAX   (4 * MIB) /* all files together */
#define DEPTH_MAX  10
#define DIGITS_MAX 17 /* of a whole number, with 0x: fits in 63 bits */
#define RUNS_MAX   2000

/* One file's text being copied. */
struct scan {
	struct loader *l;
	struct str file, text;
	size_t at;
	unsigned line, depth;
	bool line_start; /* nothing but white space on this line so far */
};

/* From the next line of the assembled text on, lines come from here. */
static void begin_run(struct loader *l, struct str file, unsigned line)
{
	ARENA_GROW(l->arena, l->runs, l->runs_n, l->runs_max);
	l->runs[l->runs_n++] = (struct source_run){ .first = l->lines + 1, .file = file, .line = line, .layer = l->layer };
}

static char peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->text.n ? s->text.p[s->at + ahead] : '\0';
}

/* Copy `n` bytes on, counting lines. */
static void copy(struct scan *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = s->text.p[s->at++];

		buf_add_char(&s->l->text, c);
		if (c == '\n') {
			s->line++;
			s->l->lines++;
			s->line_start = true;
		} else if (c != ' ' && c != '\t') {
			s->line_start = false;
		}
	}
}

/* To the end of the line, or of the comment. */
static void copy_comment(struct scan *s)
{
	struct str rest = str_from(s->text, s->at);
	size_t end;

	if (peek(s, 0) == '#' || peek(s, 1) == '/') {
		copy(s, str_find(rest, '\n'));
		return;
	}
	end = str_search(str_from(rest, 2), S("*/"));
	if (end == rest.n - 2)
		fault_at(s->l, s->file, s->line, false, "expected an end \"*/\" of the comment that begins here");
	copy(s, end + 4 < rest.n ? end + 4 : rest.n);
}

/* A text, which ends on its line. */
static void copy_text(struct scan *s)
{
	size_t n = 1;

	while (peek(s, n) != '"' && peek(s, n) != '\n' && s->at + n < s->text.n)
		n += peek(s, n) == '\\' && peek(s, n + 1) != '\n' ? 2 : 1;
	if (peek(s, n) != '"' || s->at + n >= s->text.n) {
		fault_at(s->l, s->file, s->line, false, "expected a closing quote on the line where the text begins");
		copy(s, s->text.n - s->at); /* unread: from here on, inside and outside of texts would be exchanged */
		return;
	}
	copy(s, n + 1);
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || c == '-' || c == '*';
}

/* Decimal or hexadecimal digits, without an L. */
static bool is_whole_number(struct str word)
{
	size_t i = word.p[0] == '-' ? 1 : 0;
	bool hex = str_istarts(word, S("0x"));

	i = hex ? 2 : i;
	for (size_t k = i; k < word.n; k++)
		if (!(word.p[k] >= '0' && word.p[k] <= '9') &&
		    !(hex && ascii_lower(word.p[k]) >= 'a' && ascii_lower(word.p[k]) <= 'f'))
			return false;
	return i < word.n;
}

/* Does `=` follow at `n`? Then what is in front is a name. */
static bool is_name(const struct scan *s, size_t n)
{
	while (peek(s, n) == ' ' || peek(s, n) == '\t' || peek(s, n) == '\n' || peek(s, n) == '\r')
		n++;
	return peek(s, n) == '=' || peek(s, n) == ':';
}

/* Names of the outermost level are numbered, since libconfig takes each name once; merge.c makes one setting of them. */
static void number_setting(struct scan *s, struct str name)
{
	struct loader *l = s->l;
	size_t i = 0;

	if (str_find(name, '*') < name.n)
		fault_at(l, s->file, s->line, false, "unknown key %.*s", STR_ARG(name));
	while (i < l->settings_n && !str_eq(l->settings[i].name, name))
		i++;
	if (i < l->settings_n) {
		buf_printf(&l->text, "*%u", ++l->settings[i].n);
		return;
	}
	ARENA_GROW(l->arena, l->settings, l->settings_n, l->settings_max);
	l->settings[l->settings_n++] = (struct source_setting){ arena_str(l->arena, name), 1 };
}

/* A name is copied as it is; a whole number gets the L without which libconfig 1.5 cuts it to 32 bits. */
static void copy_word(struct scan *s)
{
	bool fraction = s->at > 0 && s->text.p[s->at - 1] == '.';
	size_t n = 0;
	struct str word;

	while (is_word(peek(s, n)))
		n++;
	word = str_make(s->text.p + s->at, n);
	copy(s, n);
	if (s->l->brackets == 0 && is_name(s, 0)) {
		number_setting(s, word);
		return;
	}
	if (fraction || peek(s, 0) == '.')
		return;
	if (word.p[0] >= '0' && word.p[0] <= '9' && word.n > DIGITS_MAX)
		fault_at(s->l, s->file, s->line, false, "expected a smaller number than %.*s", STR_ARG(word));
	else if (is_whole_number(word))
		buf_add(&s->l->text, S("L"));
}

static void copy_file(struct loader *l, struct str file, const char *path, unsigned depth, const struct scan *from);

static void copy_files(struct scan *s, struct str path)
{
	struct str_list files = { 0 };
	const char *why = include_files(s->l, path, &files);

	if (why)
		fault_at(s->l, s->file, s->line, false, "%.*s cannot be read: %s", STR_ARG(path), why);
	for (size_t i = 0; i < files.n; i++)
		copy_file(s->l, files.at[i], arena_cstr(s->l->arena, files.at[i]), s->depth + 1, s);
}

/* `@include "path"` is alone on its line; false: this is something else. */
static bool include(struct scan *s)
{
	struct str line = str_from(s->text, s->at), path;
	size_t end;

	line = str_head(line, str_find(line, '\n'));
	if (!s->line_start || !str_starts(line, S("@include")))
		return false;
	path = str_trim(str_from(line, 8));
	end = path.n > 1 && path.p[0] == '"' ? str_find(str_from(path, 1), '"') + 1 : path.n;
	s->at += line.n;
	if (end >= path.n || end == 1) {
		fault_at(s->l, s->file, s->line, false, "expected @include \"path\"");
		return true;
	}
	copy_files(s, path_resolve(s->l, arena_str(s->l->arena, str_head(str_from(path, 1), end - 1))));
	return true;
}

static void copy_mark(struct scan *s, char c)
{
	if (c == '{' || c == '(' || c == '[')
		s->l->brackets++;
	else if ((c == '}' || c == ')' || c == ']') && s->l->brackets > 0)
		s->l->brackets--;
	copy(s, 1);
}

static void scan_file(struct scan *s)
{
	while (s->at < s->text.n) {
		char c = peek(s, 0);

		if (c == '@' && include(s))
			continue;
		if (c == '#' || (c == '/' && (peek(s, 1) == '/' || peek(s, 1) == '*')))
			copy_comment(s);
		else if (c == '"')
			copy_text(s);
		else if (is_word(c))
			copy_word(s);
		else
			copy_mark(s, c);
	}
}

/* Copy a file into the assembled text; `from`: the file that includes it, NULL for the first. */
static void copy_file(struct loader *l, struct str file, const char *path, unsigned depth, const struct scan *from)
{
	struct scan s = { .l = l, .file = file, .line = 1, .depth = depth, .line_start = true };
	struct str where = from ? from->file : file;
	unsigned line = from ? from->line : 0, mode;
	const char *why;
	struct buf b;

	if (depth > DEPTH_MAX || l->runs_n > RUNS_MAX) {
		fault_at(l, where, line, false, "expected fewer includes: at most %d inside one another, %d in all", DEPTH_MAX,
			 RUNS_MAX / 2);
		return;
	}
	why = file_read(path, FILE_MAX, &b, &mode);
	s.text = buf_view(&b);
	if (!why && memchr(s.text.p, 0, s.text.n))
		why = "is no text: it has NUL bytes";
	if (!why && l->text.n + 2 * s.text.n > l->text.max)
		why = "is too large, with its includes";
	if (why) {
		fault_at(l, where, line, false, "%.*s cannot be read: %s", STR_ARG(file), why);
	} else {
		begin_run(l, file, 1);
		scan_file(&s);
		if (from) {
			if (!s.line_start)
				copy(&(struct scan){ .l = l, .text = S("\n") }, 1);
			begin_run(l, from->file, from->line);
		}
	}
	buf_wipe(&b);
}

void source_begin(struct loader *l)
{
	buf_init(&l->text, 3 * FILE_MAX);
}

void source_add(struct loader *l, struct str variable, unsigned line, struct str text)
{
	struct scan s = { .l = l, .file = variable, .text = text, .line = line, .line_start = true };

	begin_run(l, variable, line);
	scan_file(&s);
	copy(&(struct scan){ .l = l, .text = S("\n") }, 1);
}

void source_read(struct loader *l)
{
	copy_file(l, l->file, arena_cstr(l->arena, l->file), 0, NULL);
}

bool config_includes(const struct config *c, struct str path)
{
	for (size_t i = 0; i < c->source_runs_n; i++)
		if (str_eq(c->source_runs[i].file, path))
			return true;
	return false;
}
