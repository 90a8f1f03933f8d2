/* commands.c - looks into the table of commands.def. */
#include "options.h"

#include "posthouse/str.h"

const struct command_row *command_by_name(const struct command_row *rows, const char *name)
{
	for (; rows->kind != ROW_END; rows++)
		if (rows->kind == ROW_COMMAND && strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

const struct command_row *command_end(const struct command_row *command)
{
	do
		command++;
	while (command->kind != ROW_COMMAND && command->kind != ROW_END);
	return command;
}

bool command_has_verbs(const struct command_row *command)
{
	return command[1].kind == ROW_VERB;
}

bool command_reads_options(const struct command_row *command)
{
	return strcmp(command->verbs, "-") == 0;
}

const struct command_row *verb_find(const struct command_row *command, const char *name)
{
	const struct command_row *end = command_end(command);

	for (const struct command_row *row = command + 1; row < end; row++)
		if (row->kind == ROW_VERB && strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

const char *choices_of(const struct command_row *row)
{
	return row[1].kind == ROW_CHOICES ? row[1].words : NULL;
}

bool option_of_verb(const struct command_row *option, const char *verb)
{
	struct str verbs = str_of(option->verbs), word;

	if (verbs.n == 0 || *verb == '\0')
		return true;
	while (str_split(&verbs, ' ', &word))
		if (str_eq(word, str_of(verb)))
			return true;
	return false;
}
