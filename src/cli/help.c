/* help.c - `posthouse help` and `COMMAND --help`, made from the table of commands. */
#include "cli.h"

#include "posthouse/arena.h"

#define LEFT 24 /* where the sentences begin */

static void print_row(FILE *out, struct str left, const char *help)
{
	fprintf(out, "  %-*.*s", LEFT - 2, STR_ARG(left));
	if (left.n + 3 > LEFT)
		fprintf(out, "\n%*s", LEFT, "");
	print_words(out, str_of(help), LEFT, LEFT);
}

/* "-c, --config FILE" */
static struct str option_text(struct arena *a, const struct command_row *row)
{
	struct str letter = row->letter ? arena_printf(a, "-%c, ", row->letter) : S("");

	return arena_printf(a, "%.*s--%s%s%s", STR_ARG(letter), row->name, *row->words ? " " : "", row->words);
}

static void print_options(FILE *out, struct arena *a, const struct command_row *command, const char *verb)
{
	for (const struct command_row *row = command; row < command_end(command); row++)
		if (row->kind == ROW_OPTION && option_of_verb(row, verb))
			print_row(out, option_text(a, row), row->help);
}

/* --json is told of the commands that have it. */
static void print_global_options(FILE *out, struct arena *a, const struct command_row *rows, bool with_json)
{
	fprintf(out, "\nOptions of every command:\n");
	for (const struct command_row *row = rows; row->kind != ROW_END; row++)
		if (row->kind == ROW_GLOBAL && (with_json || strcmp(row->name, "json") != 0))
			print_row(out, option_text(a, row), row->help);
}

static struct str call_text(struct arena *a, const struct command_row *row)
{
	return arena_printf(a, "%s%s%s", row->name, *row->words ? " " : "", row->words);
}

static void print_all(FILE *out, struct arena *a, const struct command_row *rows)
{
	fprintf(out, "posthouse [OPTIONS] COMMAND [ARGUMENTS]\n\nAn authenticated mail submission relay.\n\n");
	for (const struct command_row *row = rows; row->kind != ROW_END; row++)
		if (row->kind == ROW_COMMAND && command_has_verbs(row))
			print_row(out, arena_printf(a, "%s VERB", row->name), row->help);
		else if (row->kind == ROW_COMMAND)
			print_row(out, call_text(a, row), row->help);
	print_global_options(out, a, rows, true);
	fprintf(out,
		"\n`posthouse COMMAND --help` says more. Exit codes are those of sysexits(3).\n"
		"Manual: posthouse(8), posthouse.conf(5), posthouse-guide(7), posthouse-operation(7), posthouse-container(7),\n"
		"posthouse-cluster(7), posthouse-monitoring(7), posthouse-log(7), posthouse-sendmail(1)\n");
}

static void print_verbs(FILE *out, struct arena *a, const struct command_row *command)
{
	fprintf(out, "posthouse %s VERB [OPTIONS]\n\n    %s\n\n", command->name, command->help);
	for (const struct command_row *row = command; row < command_end(command); row++)
		if (row->kind == ROW_VERB)
			print_row(out, call_text(a, row), row->help);
	if (*command->verbs)
		fprintf(out, "\nWithout a verb: %s.\n", command->verbs);
}

static bool has_options(const struct command_row *command, const char *verb)
{
	for (const struct command_row *row = command; row < command_end(command); row++)
		if (row->kind == ROW_OPTION && option_of_verb(row, verb))
			return true;
	return false;
}

static void print_command(FILE *out, struct arena *a, const struct command_row *command, const char *verb)
{
	const struct command_row *row = *verb ? verb_find(command, verb) : command;

	if (row == command && command_has_verbs(command)) {
		print_verbs(out, a, command);
	} else {
		fprintf(out, "posthouse %s%s%.*s%s\n\n    ", *verb ? command->name : "", *verb ? " " : "",
			STR_ARG(call_text(a, row)), has_options(command, verb) ? " [OPTIONS]" : "");
		print_words(out, str_of(row->help), 4, 4);
	}
	if (has_options(command, verb)) {
		fprintf(out, "\nOptions:\n");
		print_options(out, a, command, verb);
	}
	for (row = command; row < command_end(command); row++)
		if (row->kind == ROW_NOTE) {
			fprintf(out, "\n");
			print_words(out, str_of(row->help), 0, 0);
		}
}

void help_print(FILE *out, const struct command_row *rows, const struct command_row *command, const char *verb)
{
	struct arena a = { 0 };

	if (!command) {
		print_all(out, &a, rows);
	} else {
		print_command(out, &a, command, verb);
		print_global_options(out, &a, rows, false);
	}
	arena_fini(&a);
}
