/* completion.c - `posthouse completion bash|zsh|fish`: the table of commands, told to a shell. */
#include "cli.h"
#include "client.h"

#include "posthouse/profiles.h"

#include <stdio.h>
#include <sysexits.h>

/* What a shell offers for the value of an option: files, directories, or nothing. */
enum completed { COMPLETED_FILE, COMPLETED_DIRECTORY, COMPLETED_NONE };

static enum completed completed(const char *value)
{
	if (strcmp(value, "DIRECTORY") == 0)
		return COMPLETED_DIRECTORY;
	return strncmp(value, "FILE", 4) == 0 || strcmp(value, "PATH") == 0 ? COMPLETED_FILE : COMPLETED_NONE;
}

static bool is_option(const struct command_row *row)
{
	return row->kind == ROW_GLOBAL || row->kind == ROW_OPTION;
}

/* "--user|-u|..." of all options whose values are completed in this way: a pattern for `case`. */
static void print_pattern(enum completed of)
{
	const char *before = "";

	for (const struct command_row *row = commands; row->kind != ROW_END; row++) {
		if (!is_option(row) || *row->words == '\0' || completed(row->words) != of)
			continue;
		printf("%s--%s", before, row->name);
		before = "|";
		if (row->letter)
			printf("|-%c", row->letter);
	}
}

/* The words with the names that CLIENTS, PROFILES and COMMANDS stand for, each with a blank behind it. */
static void print_choices(const char *choices)
{
	struct arena a = { 0 };
	struct str words = str_of(choices), word;

	while (str_split(&words, ' ', &word)) {
		if (str_eq(word, S("CLIENTS")))
			printf("%.*s ", STR_ARG(client_names(&a)));
		else if (str_eq(word, S("PROFILES")))
			for (size_t i = 0; i < profiles_n; i++)
				printf("%s ", profiles[i].name);
		else if (str_eq(word, S("COMMANDS")))
			for (const struct command_row *row = commands; row->kind != ROW_END; row++)
				printf("%s%s", row->kind == ROW_COMMAND ? row->name : "", row->kind == ROW_COMMAND ? " " : "");
		else
			printf("%.*s ", STR_ARG(word));
	}
	arena_fini(&a);
}

/* A case for each option whose values are known. One of the same name in another command has the same values. */
static void print_option_choices(const char *before, const char *after)
{
	for (const struct command_row *row = commands; row->kind != ROW_END; row++) {
		if (!is_option(row) || !choices_of(row))
			continue;
		printf("--%s) %s", row->name, before);
		print_choices(choices_of(row));
		printf("%s; return ;;\n	", after);
	}
}

/* A text within the quotes of a shell. */
static void print_quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			printf("'\\''");
		else
			putchar(*text);
}

/* ---- bash and zsh: a function that looks for command and verb, and offers words ---- */

/* How a word is offered: bash takes words, zsh a line for each with what it does. */
typedef void offer_fn(const char *dashes, const struct command_row *row);

static void offer_word(const char *dashes, const struct command_row *row)
{
	printf("%s%s ", dashes, row->name);
}

/* A colon separates word and description. */
static void offer_line(const char *dashes, const struct command_row *row)
{
	printf("'%s%s:", dashes, row->name);
	print_quoted(row->help);
	printf("' ");
}

static void print_offers(offer_fn *offer, const struct command_row *from, const struct command_row *end, enum row_kind kind,
			 const char *verb)
{
	for (const struct command_row *row = from; row != end && row->kind != ROW_END; row++)
		if (row->kind == kind && option_of_verb(row, verb))
			offer(kind == ROW_OPTION || kind == ROW_GLOBAL ? "--" : "", row);
}

static void print_case(offer_fn *offer, const struct command_row *command, const char *verb, const char *before,
		       const char *after)
{
	printf("	'%s %s') options%s", command->name, verb, before);
	print_offers(offer, command, command_end(command), ROW_OPTION, verb);
	printf("%s", after);
	if (choices_of(*verb ? verb_find(command, verb) : command)) {
		printf(" offered%s", before);
		print_choices(choices_of(*verb ? verb_find(command, verb) : command));
		printf("%s", after);
	}
	if (*verb == '\0' && command_has_verbs(command)) {
		printf(" offered%s", before);
		print_offers(offer, command, command_end(command), ROW_VERB, "");
		printf("%s", after);
	}
	printf(" ;;\n");
}

/* The cases set the variables options and offered; `before` and `after` are around the elements of a list. */
static void print_cases(offer_fn *offer, const char *before, const char *after)
{
	printf("	case \"$command $verb\" in\n	' ') offered%s", before);
	print_offers(offer, commands, NULL, ROW_COMMAND, "");
	printf("%s ;;\n", after);
	for (const struct command_row *row = commands, *command = NULL; row->kind != ROW_END; row++) {
		if (row->kind == ROW_COMMAND)
			command = row;
		if (row->kind == ROW_COMMAND)
			print_case(offer, row, "", before, after);
		else if (row->kind == ROW_VERB)
			print_case(offer, command, row->name, before, after);
	}
	printf("	esac\n");
}

/* Find command and verb among the words before the current one; `case` skips the values of options. */
static void print_search(const char *words)
{
	printf("		case \"${%s[i]}\" in\n		", words);
	for (int of = COMPLETED_FILE; of <= COMPLETED_NONE; of++) {
		printf("%s", of == COMPLETED_FILE ? "" : "|");
		print_pattern((enum completed)of);
	}
	printf(") ((i++)); [[ ${%s[i]} == = ]] && ((i++)) ;;\n		-*) ;;\n"
	       "		*) if [[ -z $command ]]; then command=${%s[i]}\n"
	       "		   elif [[ -z $verb && $with_verbs == *\" $command \"* ]]; then verb=${%s[i]}; fi ;;\n"
	       "		esac\n",
	       words, words, words);
}

static void print_commands_with_verbs(void)
{
	for (const struct command_row *row = commands; row->kind != ROW_END; row++)
		if (row->kind == ROW_COMMAND && command_has_verbs(row))
			printf(" %s", row->name);
	printf(" ");
}

static void print_bash(void)
{
	printf("# bash completion of posthouse, made by `posthouse completion bash`\n"
	       "_posthouse()\n{\n"
	       "	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "	local command= verb= options= offered= i with_verbs='");
	print_commands_with_verbs();
	printf("'\n	if [[ $current == = ]]; then current=\n"
	       "	elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	       "	for ((i = 1; i < COMP_CWORD; i++)); do\n");
	print_search("COMP_WORDS");
	printf("	done\n	case \"$previous\" in\n	");
	print_option_choices("COMPREPLY=($(compgen -W '", "' -- \"$current\"))");
	print_pattern(COMPLETED_FILE);
	printf(") COMPREPLY=($(compgen -f -- \"$current\")); compopt -o filenames 2>/dev/null; return ;;\n	");
	print_pattern(COMPLETED_DIRECTORY);
	printf(") COMPREPLY=($(compgen -d -- \"$current\")); compopt -o filenames 2>/dev/null; return ;;\n	");
	print_pattern(COMPLETED_NONE);
	printf(") return ;;\n	esac\n");
	print_cases(offer_word, "='", "'");
	printf("	[[ $current == -* ]] && offered=\"$options ");
	print_offers(offer_word, commands, NULL, ROW_GLOBAL, "");
	printf("\"\n	COMPREPLY=($(compgen -W \"$offered\" -- \"$current\"))\n}\ncomplete -F _posthouse posthouse\n");
}

static void print_zsh(void)
{
	printf("#compdef posthouse\n# zsh completion of posthouse, made by `posthouse completion zsh`\n"
	       "_posthouse()\n{\n"
	       "	local command= verb= i with_verbs='");
	print_commands_with_verbs();
	printf("'\n	local -a options=() offered=() global=(");
	print_offers(offer_line, commands, NULL, ROW_GLOBAL, "");
	printf(")\n	for ((i = 2; i < CURRENT; i++)); do\n");
	print_search("words");
	printf("	done\n	case \"${words[CURRENT-1]}\" in\n	");
	print_option_choices("compadd -- ", "");
	print_pattern(COMPLETED_FILE);
	printf(") _files; return ;;\n	");
	print_pattern(COMPLETED_DIRECTORY);
	printf(") _files -/; return ;;\n	");
	print_pattern(COMPLETED_NONE);
	printf(") _message value; return ;;\n	esac\n");
	print_cases(offer_line, "=(", ")");
	printf("	if [[ ${words[CURRENT]} == -* ]]; then _describe option options -- global\n"
	       "	else _describe word offered; fi\n"
	       "}\n_posthouse \"$@\"\n");
}

/* ---- fish: a line for each word ---- */

static void print_fish_row(const struct command_row *row, const char *condition)
{
	printf("complete -c posthouse%s%s%s", *condition ? " -n '" : "", condition, *condition ? "'" : "");
	if (!is_option(row))
		printf(" -a %s", row->name);
	else
		printf(" -l %s", row->name);
	if (row->letter)
		printf(" -s %c", row->letter);
	if (is_option(row) && *row->words)
		printf(completed(row->words) == COMPLETED_NONE ? " -x" : " -r -F");
	if (is_option(row) && choices_of(row)) {
		printf(" -a '");
		print_choices(choices_of(row));
		printf("'");
	}
	printf(" -d '");
	for (const char *p = row->help; *p; p++)
		printf(*p == '\'' || *p == '\\' ? "\\%c" : "%c", *p);
	printf("'\n");
}

static void print_fish_command(const struct command_row *command)
{
	char condition[512];

	print_fish_row(command, "__fish_use_subcommand");
	if (choices_of(command)) {
		printf("complete -c posthouse -n '__fish_seen_subcommand_from %s' -a '", command->name);
		print_choices(choices_of(command));
		printf("'\n");
	}
	for (const struct command_row *row = command + 1; row < command_end(command); row++) {
		snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s%s%s", command->name,
			 row->kind == ROW_OPTION && *row->verbs ? "; and __fish_seen_subcommand_from " : "",
			 row->kind == ROW_OPTION ? row->verbs : "");
		if (row->kind == ROW_VERB || row->kind == ROW_OPTION)
			print_fish_row(row, condition);
	}
}

static void print_fish(void)
{
	printf("# fish completion of posthouse, made by `posthouse completion fish`\ncomplete -c posthouse -f\n");
	for (const struct command_row *row = commands; row->kind != ROW_END; row++)
		if (row->kind == ROW_GLOBAL)
			print_fish_row(row, "");
		else if (row->kind == ROW_COMMAND)
			print_fish_command(row);
}

int command_completion(const struct options *o, const char *config_path)
{
	if (strcmp(o->verb, "bash") == 0)
		print_bash();
	else if (strcmp(o->verb, "zsh") == 0)
		print_zsh();
	else if (strcmp(o->verb, "fish") == 0)
		print_fish();
	return EX_OK;
}
