/* loader.c - from the file to a validated struct config, or to the list of all its faults. Only the files that include loader.h
 * know libconfig. */
#include "environment.h"

#include "posthouse/secret.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* What was meant on a line that is no syntax of ours: "myhostname = mail.example.org", "queue.lifetime = ..."; "": not known. */
static struct str meant_on(struct loader *l, unsigned line)
{
	struct str rest = buf_view(&l->text), text = S(""), word;
	size_t n = 0, dot;

	for (unsigned i = 0; i < line && str_split(&rest, '\n', &text); i++)
		;
	text = str_trim(text);
	while (n < text.n && text.p[n] != '=' && text.p[n] != ':' && text.p[n] != ' ')
		n++;
	word = str_head(text, n);
	dot = str_find(word, '.');
	if (dot < word.n && schema_find(word) < config_keys_n)
		return arena_printf(l->arena, "; %.*s is written %.*s = { %.*s = ...; };", STR_ARG(word),
				    STR_ARG(str_head(word, dot)), STR_ARG(str_from(word, dot + 1)));
	text = foreign_hint(l->arena, word);
	return text.n > 0 ? arena_printf(l->arena, "; %.*s: %.*s", STR_ARG(word), STR_ARG(text)) : S("");
}

/* Read the assembled text; libconfig stops at the first fault. */
static bool parse(struct loader *l)
{
	struct source_run where;

	buf_add_char(&l->text, '\0');
	if (tree_read(&l->tree, l->text.p + l->text.from, l, l))
		return true;
	where = source_of(l, (unsigned)config_error_line(&l->tree));
	fault_at(l, where.file, where.line, false, "%s%s%.*s", config_error_text(&l->tree),
		 strcmp(config_error_text(&l->tree), "syntax error") == 0
			 ? ": expected `key = value;` (here or on the line before: perhaps a quote, a bracket or a semicolon "
			   "is missing)"
			 : "",
		 STR_ARG(meant_on(l, (unsigned)config_error_line(&l->tree))));
	return false;
}

void wipe_tree(config_setting_t *s)
{
	const char *text;

	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		text = config_setting_get_string(s);
		if (text)
			wipe((char *)(uintptr_t)text, strlen(text));
	}
	if (config_setting_is_aggregate(s))
		for (int i = 0; i < config_setting_length(s); i++)
			wipe_tree(config_setting_get_elem(s, (unsigned)i));
}

/* By file in the order of their first fault, then by line; what has no line first. Insertion keeps the order of equals. */
static void sort_faults(struct config_faults *faults)
{
	for (size_t i = 1; i < faults->n; i++) {
		struct config_fault f = faults->at[i];
		size_t k = i;

		while (k > 0 && faults->at[k - 1].line > f.line && str_eq(faults->at[k - 1].file, f.file)) {
			faults->at[k] = faults->at[k - 1];
			k--;
		}
		faults->at[k] = f;
	}
}

static bool has_file(const struct loader *l)
{
	return !str_eq(l->file, S(CONFIG_ENVIRONMENT));
}

static void set_dir(struct loader *l)
{
	char *absolute = has_file(l) ? realpath(arena_cstr(l->arena, l->file), NULL) : NULL;
	struct str file = absolute ? str_of(absolute) : has_file(l) ? l->file : S("/");
	size_t slash = str_rfind(file, '/');

	l->dir = slash < file.n ? arena_str(l->arena, str_head(file, slash + 1)) : S("./");
	free(absolute);
}

static void loader_begin(struct loader *l, struct config *c, struct str file, struct config_faults *faults)
{
	*faults = (struct config_faults){ 0 };
	*l = (struct loader){ .config = c, .arena = &c->arena, .faults = faults };
	l->file = c->file = arena_str(l->arena, file);
	set_dir(l);
	config_init(&l->tree);
}

/* The text stays with the configuration, with the places that its lines come from. */
static void keep_source(struct loader *l)
{
	struct config *c = l->config;

	c->source = arena_str(l->arena, buf_view(&l->text));
	c->source_runs = l->runs;
	c->source_runs_n = l->runs_n;
}

/* From the text on; ends the loader. */
static struct config *loader_finish(struct loader *l)
{
	keep_source(l);
	if (!l->serious && parse(l)) {
		values_load(l);
		checks_run(l);
		keys_load(l);
	}
	if (l->serious)
		rescue(l);
	wipe_tree(config_root_setting(&l->tree));
	config_destroy(&l->tree);
	buf_wipe(&l->text);
	sort_faults(l->faults);
	return l->config;
}

/* Variables, files, and what is built in for the environment. */
static void read_layers(struct loader *l)
{
	struct variables e = { .l = l };

	source_begin(l);
	if (config_uses_environment())
		environment_add_all(&e);
	l->layer = LAYER_FILES;
	if (has_file(l))
		source_read(l);
	l->layer = LAYER_DEFAULTS;
	if (config_uses_environment())
		environment_add_defaults(&e);
}

struct config *config_load(const char *path, struct config_faults *faults_out)
{
	struct loader l;

	loader_begin(&l, NEW(struct config), str_of(path), faults_out);
	read_layers(&l);
	return loader_finish(&l);
}

struct str config_fingerprint(const struct config *c, struct arena *a)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned n = 0;

	if (c->source.n > 0 && EVP_Digest(c->source.p, c->source.n, digest, &n, EVP_sha256(), NULL) == 1)
		for (unsigned i = 0; i < n; i++)
			snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
	return arena_str(a, str_of(text));
}

struct config *config_load_again(const struct config *old, struct config_faults *faults_out)
{
	struct loader l;

	loader_begin(&l, NEW(struct config), old->file, faults_out);
	buf_init(&l.text, old->source.n + 1);
	buf_add(&l.text, old->source);
	l.runs = ARENA_ARRAY(l.arena, struct source_run, old->source_runs_n);
	for (l.runs_n = 0; l.runs_n < old->source_runs_n; l.runs_n++) {
		l.runs[l.runs_n] = old->source_runs[l.runs_n];
		l.runs[l.runs_n].file = arena_str(l.arena, l.runs[l.runs_n].file);
	}
	return loader_finish(&l);
}
