/* options.c - reads the command line by getopt_long(), with the arrays that the table of commands makes. */
#include "options.h"

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/log.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>

#define OPTIONS_MAX 64  /* of a command, with the global ones */
#define LONG_VALUE  256 /* of the first long option; smaller values are letters */

/* One run of getopt_long(): over what is in front of the command, or over the rest. */
struct reading {
	struct options *o;
	const struct command_row *rows;
	char **argv;
	const struct command_row *of[OPTIONS_MAX]; /* the row of each long option */
	struct option long_options[OPTIONS_MAX + 1];
	size_t n;
	char letters[2 * OPTIONS_MAX + 3];
	const char *error; /* the first one; NULL: none. --help comes before it */
	struct arena arena;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reading *r, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (r->error)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	r->error = arena_cstr(&r->arena, str_of(text));
}

/* "queue list", "queue" or "". */
static const char *shown_command(struct reading *r)
{
	const struct options *o = r->o;

	if (!o->command)
		return "";
	return arena_cstr(&r->arena, arena_printf(&r->arena, "%s%s%s", o->command->name, *o->verb ? " " : "", o->verb));
}

/* ---- names that were probably meant ---- */

struct guess {
	struct str typed;
	const char *best;
	unsigned distance;
};

static void guess_at(struct guess *g, const char *name)
{
	struct str s = str_of(name);
	bool begins = g->typed.n > 1 && (str_istarts(s, g->typed) || str_istarts(g->typed, s));
	unsigned distance = begins ? 1 : str_distance(s, g->typed);

	if (distance <= 1 + g->typed.n / 4 && distance < g->distance)
		*g = (struct guess){ g->typed, name, distance };
}

/* "; did you mean --json?" or nothing */
static const char *hint(struct reading *r, const struct guess *g, const char *dashes)
{
	return g->best ? arena_cstr(&r->arena, arena_printf(&r->arena, "; did you mean %s%s?", dashes, g->best)) : "";
}

static struct guess guess_row(const struct command_row *from, const struct command_row *end, enum row_kind kind,
			      const char *typed)
{
	struct guess g = { .typed = str_of(typed), .distance = 100 };

	for (const struct command_row *row = from; row != end && row->kind != ROW_END; row++)
		if (row->kind == kind)
			guess_at(&g, row->name);
	return g;
}

/* ---- options ---- */

static void add_option(struct reading *r, const struct command_row *row)
{
	bool value = *row->words != '\0';
	size_t end = strlen(r->letters);

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->of[i]->name, row->name) == 0) /* of another verb, or the command says more about a global one */
			return;
	assert(r->n < OPTIONS_MAX);
	r->of[r->n] = row;
	r->long_options[r->n] = (struct option){ .name = row->name,
						 .has_arg = value ? required_argument : no_argument,
						 .val = LONG_VALUE + (int)r->n };
	r->n++;
	if (row->letter)
		snprintf(r->letters + end, sizeof r->letters - end, "%c%s", row->letter, value ? ":" : "");
}

static void add_options(struct reading *r)
{
	const struct command_row *command = r->o->command;

	/* '+': what is behind the command is left to the second run; ':': a missing value is told from an unknown option */
	strcpy(r->letters, command ? ":" : "+:");
	for (const struct command_row *row = command; row && row < command_end(command); row++)
		if (row->kind == ROW_OPTION)
			add_option(r, row);
	for (const struct command_row *row = r->rows; row->kind != ROW_END; row++)
		if (row->kind == ROW_GLOBAL)
			add_option(r, row);
}

static const struct command_row *row_of(const struct reading *r, int value)
{
	for (size_t i = 0; i < r->n; i++)
		if (value == LONG_VALUE + (int)i || (value > 0 && value < LONG_VALUE && r->of[i]->letter == value))
			return r->of[i];
	return NULL;
}

static bool again(const struct command_row *row)
{
	return str_ends(str_of(row->words), S("..."));
}

static void take(struct reading *r, const struct command_row *row, const char *value)
{
	struct options *o = r->o;

	if (strcmp(row->name, "config") == 0)
		o->config_path = value;
	o->env |= strcmp(row->name, "env") == 0;
	o->json |= strcmp(row->name, "json") == 0;
	o->utc |= strcmp(row->name, "utc") == 0;
	o->help |= strcmp(row->name, "help") == 0;
	o->version |= strcmp(row->name, "version") == 0;
	if (row->kind == ROW_GLOBAL)
		return;
	if (value && strcmp(row->name, "resolver") == 0 && !resolver_valid(str_of(value)))
		complain(r, "--resolver wants %s, not \"%s\"", row->words, value);
	if (value && !again(row) && options_given(o, row->name))
		complain(r, "--%s was given more than once", row->name);
	o->given[o->given_n++] = (struct option_given){ row->name, value };
}

/* `-json` is read as letters, of which the first is unknown or the next. */
static const char *long_name_of(const struct reading *r, const char *element)
{
	for (size_t i = 0; element && element[0] == '-' && element[1] != '-' && i < r->n; i++)
		if (strcmp(element + 1, r->of[i]->name) == 0)
			return r->of[i]->name;
	return NULL;
}

static void refuse_option(struct reading *r, int found)
{
	const struct command_row *row = row_of(r, optopt);
	struct guess g = { .distance = 100 };
	const char *typed = r->argv[optind - 1], *of = shown_command(r), *for_text = *of ? " for " : "";

	if (found == ':') {
		complain(r, "--%s wants a value: %s", row->name, row->words);
	} else if (row) {
		complain(r, "--%s takes no value", row->name);
	} else if (optopt) {
		const char *element = long_name_of(r, typed) ? typed : r->argv[optind];

		g.best = long_name_of(r, element);
		complain(r, "there is no option -%c%s%s%s", optopt, for_text, of, hint(r, &g, "--"));
	} else {
		struct str name = str_from(str_of(typed), 2);

		g.typed = str_head(name, str_find(name, '='));
		for (size_t i = 0; i < r->n; i++)
			guess_at(&g, r->of[i]->name);
		complain(r, "there is no option --%.*s%s%s%s", STR_ARG(g.typed), for_text, of, hint(r, &g, "--"));
	}
}

/* `-user alice` would be -u with the value "ser". */
static void check_dashes(struct reading *r, int found)
{
	const char *element = r->argv[optind - 1];

	if (found < LONG_VALUE && optarg == element + 2 && long_name_of(r, element))
		complain(r, "there is no option %s; did you mean -%s?", element, element);
}

static void run_getopt(struct reading *r, int argc)
{
	int found;

	opterr = 0;
	optind = 0; /* GNU: begin again */
	add_options(r);
	while ((found = getopt_long(argc, r->argv, r->letters, r->long_options, NULL)) != -1) {
		if (found == '?' || found == ':') {
			refuse_option(r, found);
			continue;
		}
		check_dashes(r, found);
		take(r, row_of(r, found), optarg);
	}
}

/* ---- verb and arguments ---- */

static void take_verb(struct reading *r)
{
	struct options *o = r->o;
	const char *typed = o->arguments_n > 0 ? o->arguments[0] : NULL;
	const struct command_row *verb;
	struct guess g;

	o->verb = "";
	if (!command_has_verbs(o->command))
		return;
	if (!typed) {
		o->verb = o->help ? "" : o->command->verbs;
		if (!*o->verb)
			complain(r, "%s: what is to be done?", o->command->name);
		return;
	}
	verb = verb_find(o->command, typed);
	if (verb) {
		o->verb = verb->name;
		o->arguments++;
		o->arguments_n--;
		return;
	}
	o->help |= strcmp(typed, "help") == 0;
	g = guess_row(o->command, command_end(o->command), ROW_VERB, typed);
	complain(r, "%s has no verb \"%s\"%s", o->command->name, typed, hint(r, &g, ""));
}

/* Some options are those of other verbs only. */
static void check_options(struct reading *r)
{
	const struct options *o = r->o;
	const struct command_row *end = command_end(o->command);

	for (size_t i = 0; i < o->given_n; i++) {
		bool known = false;

		for (const struct command_row *row = o->command; row < end; row++)
			known |= row->kind == ROW_OPTION && strcmp(row->name, o->given[i].name) == 0 &&
				 option_of_verb(row, o->verb);
		if (!known)
			complain(r, "--%s is not for %s", o->given[i].name, shown_command(r));
	}
}

static void check_json(struct reading *r)
{
	const struct command_row *end = command_end(r->o->command);
	bool has = !r->o->json;

	for (const struct command_row *row = r->o->command; row < end; row++)
		has |= row->kind == ROW_OPTION && strcmp(row->name, "json") == 0 && option_of_verb(row, r->o->verb);
	if (!has)
		complain(r, "%s has no output for --json", shown_command(r));
}

static void check_arguments(struct reading *r)
{
	const struct options *o = r->o;
	const struct command_row *row = *o->verb ? verb_find(o->command, o->verb) : o->command;
	struct str rest = str_of(row->words), word;
	size_t most = 0, i = 0;

	for (; str_split(&rest, ' ', &word); i++) {
		if (i >= o->arguments_n && word.p[0] != '[')
			complain(r, "%s: %.*s is missing", shown_command(r), STR_ARG(word));
		most = str_search(word, S("...")) < word.n ? o->arguments_n : i + 1;
	}
	if (o->arguments_n > most)
		complain(r, "%s: unexpected argument \"%s\"", shown_command(r), o->arguments[most]);
}

/* ---- the whole ---- */

static void end_reading(struct reading *r)
{
	const char *of = shown_command(r);

	if (r->error && !r->o->help)
		die(EX_USAGE, "%s; `posthouse %s%s--help` says more", r->error, of, *of ? " " : "");
	arena_fini(&r->arena);
}

static void find_command(struct reading *r, const char *typed)
{
	struct guess g;

	r->o->command = command_by_name(r->rows, typed);
	if (r->o->command)
		return;
	g = guess_row(r->rows, NULL, ROW_COMMAND, typed);
	complain(r, "there is no command \"%s\"%s", typed, hint(r, &g, ""));
}

/* The options that come before the command. Returns the place of the command in argv. */
static int read_front(struct options *o, const struct command_row *rows, int argc, char **argv)
{
	struct reading r = { .o = o, .rows = rows, .argv = argv };
	int first;

	run_getopt(&r, argc);
	first = optind;
	if (first < argc)
		find_command(&r, argv[first]);
	else if (!o->version && !o->help)
		complain(&r, "a command is missing: posthouse [-c FILE] COMMAND");
	end_reading(&r);
	return first;
}

void options_read(struct options *o, const struct command_row *rows, int argc, char **argv)
{
	int first;
	struct reading r = { .o = o, .rows = rows };

	*o = (struct options){ .verb = "" };
	o->given = xcalloc((size_t)argc + 1, sizeof *o->given);
	first = read_front(o, rows, argc, argv);
	if (!o->command)
		return;
	argc -= first;
	r.argv = argv + first;
	if (command_reads_options(o->command)) {
		o->arguments = r.argv + 1;
		o->arguments_n = (size_t)argc - 1;
		return;
	}
	run_getopt(&r, argc);
	o->arguments = r.argv + optind;
	o->arguments_n = (size_t)(argc - optind);
	take_verb(&r);
	if (!r.error) {
		check_options(&r);
		check_json(&r);
		check_arguments(&r);
	}
	end_reading(&r);
}

void options_fini(struct options *o)
{
	free(o->given);
}

const char *options_value(const struct options *o, const char *name)
{
	for (size_t i = 0; i < o->given_n; i++)
		if (strcmp(o->given[i].name, name) == 0)
			return o->given[i].value;
	return NULL;
}

bool options_given(const struct options *o, const char *name)
{
	if (strcmp(name, "json") == 0)
		return o->json;
	for (size_t i = 0; i < o->given_n; i++)
		if (strcmp(o->given[i].name, name) == 0)
			return true;
	return false;
}
