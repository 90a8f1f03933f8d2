/* options.h - what was given on the command line, read by the table of commands.def. A command is
 * `int command_NAME(const struct options *o, const char *config_path)`; its value is a code of sysexits(3). */
#ifndef POSTHOUSE_CLI_OPTIONS_H
#define POSTHOUSE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DEFAULT_CONFIG "/etc/posthouse/posthouse.conf"

struct options;
typedef int command_fn(const struct options *o, const char *config_path);

enum row_kind { ROW_GLOBAL, ROW_COMMAND, ROW_VERB, ROW_OPTION, ROW_CHOICES, ROW_NOTE, ROW_END };

/* A row of commands.def. What belongs to a command follows it. */
struct command_row {
	enum row_kind kind;
	char letter;
	const char *name;  /* of an option without its dashes */
	const char *words; /* arguments; of an option what its value is called; of choices the values */
	const char *verbs; /* of an option: which verbs have it, "" all; of a command: as COMMAND of commands.def has it */
	const char *help;
	command_fn *run;
};

/* The rows of commands.def as elements of an array; a COMMAND row is defined where the array is made. */
#define COMMAND_ROWS_GLOBAL(NAME, LETTER, VALUE, HELP)                                                                           \
	{ .kind = ROW_GLOBAL, .letter = (LETTER), .name = (NAME), .words = (VALUE), .verbs = "", .help = (HELP) },
#define COMMAND_ROWS_VERB(NAME, WORDS, HELP) { .kind = ROW_VERB, .name = (NAME), .words = (WORDS), .verbs = "", .help = (HELP) },
#define COMMAND_ROWS_OPTION(NAME, LETTER, VALUE, VERBS, HELP)                                                                    \
	{ .kind = ROW_OPTION, .letter = (LETTER), .name = (NAME), .words = (VALUE), .verbs = (VERBS), .help = (HELP) },
#define COMMAND_ROWS_JSON(VERBS)    COMMAND_ROWS_OPTION("json", 0, "", VERBS, "machine-readable output: one document per line")
#define COMMAND_ROWS_CHOICES(WORDS) { .kind = ROW_CHOICES, .name = "", .words = (WORDS), .verbs = "", .help = "" },
#define COMMAND_ROWS_NOTE(TEXT)     { .kind = ROW_NOTE, .name = "", .words = "", .verbs = "", .help = (TEXT) },

/* The commands themselves. */
#define GLOBAL(...)
#define COMMAND(NAME, ...)    command_fn command_##NAME;
#define COMMAND_AS(NAME, ...) command_fn command_##NAME;
#define VERB(...)
#define OPTION(...)
#define JSON(...)
#define CHOICES(...)
#define NOTE(...)
#include "commands.def"
#undef GLOBAL
#undef COMMAND
#undef COMMAND_AS
#undef VERB
#undef OPTION
#undef JSON
#undef CHOICES
#undef NOTE

/* table.c: all rows, ROW_END last. */
extern const struct command_row commands[];

struct options {
	const struct command_row *command; /* NULL: none was named */
	const char *verb;                  /* "": the command has none */
	char **arguments;                  /* in their order, behind the verb */
	size_t arguments_n;
	const char *config_path;            /* NULL: it was not given */
	bool env, json, utc, help, version; /* options of every command */
	struct option_given {
		const char *name, *value; /* value NULL: the option takes none */
	} * given;
	size_t given_n;
};

/* ---- options.c ---- */

/* Read a whole command line. A wrong one ends the process with 64 and names what is wrong, and what was probably meant. With
 * --help, verb and arguments are not complete. The views point into argv, which is put into another order. */
void options_read(struct options *o, const struct command_row *rows, int argc, char **argv);
void options_fini(struct options *o);

/* Was the option given, and with which value? NULL: it was not, or it takes none. Of an option that can be given more than once,
 * the others are in `given`. */
bool options_given(const struct options *o, const char *name);
const char *options_value(const struct options *o, const char *name);

/* ---- commands.c: looks into the table ---- */

const struct command_row *command_by_name(const struct command_row *rows, const char *name);
/* The row behind all that belongs to the command. */
const struct command_row *command_end(const struct command_row *command);
bool command_has_verbs(const struct command_row *command);
/* All that is behind its name are arguments, also what looks like options. */
bool command_reads_options(const struct command_row *command);
/* NULL: the command has no such verb. */
const struct command_row *verb_find(const struct command_row *command, const char *name);
/* The values of the option, command or verb that are known; NULL: any. */
const char *choices_of(const struct command_row *row);
/* Is it an option of this verb? verb "": of any. */
bool option_of_verb(const struct command_row *option, const char *verb);

/* ---- help.c ---- */

/* The help of everything (command NULL), a command, or a verb of it ("": of the command). */
void help_print(FILE *out, const struct command_row *rows, const struct command_row *command, const char *verb);

#endif
