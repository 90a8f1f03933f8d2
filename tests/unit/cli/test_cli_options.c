/* test_cli_options.c - the command line as the table of commands has it, and the table itself. */
#include "unit.h"

#include "options.h"

#include "posthouse/arena.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define GLOBAL COMMAND_ROWS_GLOBAL
#define COMMAND_AS(NAME, WORD, DEFAULT, WORDS, HELP)                                                                             \
	{ .kind = ROW_COMMAND, .name = (WORD), .words = (WORDS), .verbs = (DEFAULT), .help = (HELP) },
#define COMMAND(NAME, DEFAULT, WORDS, HELP) COMMAND_AS(NAME, #NAME, DEFAULT, WORDS, HELP)
#define VERB                                COMMAND_ROWS_VERB
#define OPTION                              COMMAND_ROWS_OPTION
#define JSON                                COMMAND_ROWS_JSON
#define CHOICES                             COMMAND_ROWS_CHOICES
#define NOTE                                COMMAND_ROWS_NOTE

/* A small table with one row of each kind. */
static const struct command_row small[] = {
	/* clang-format off */
	GLOBAL("config", 'c', "FILE", "h") GLOBAL("json", 0, "", "h") GLOBAL("utc", 0, "", "h") GLOBAL("help", 'h', "", "h")
	GLOBAL("version", 0, "", "h")
	COMMAND(queue, "list", "", "h") VERB("list", "[ID]", "h") VERB("show", "ID", "h") VERB("hold", "[ID]", "h")
	OPTION("user", 'u', "LOGIN", "list hold", "h") OPTION("all", 'a', "", "hold", "h") OPTION("reason", 0, "TEXT", "hold", "h")
	OPTION("resolver", 0, "ADDRESS[@PORT]", "list", "h")
	JSON("list show")
	COMMAND(user, "", "", "h") VERB("add", "NAME", "h")
	COMMAND(explain, "", "", "h") OPTION("to", 0, "ADDRESS...", "", "h")
	COMMAND(export, "", "DIRECTORY ID...", "h")
	COMMAND(send, "", "[ID...]", "h")
	COMMAND(sendmail, "-", "[ID...]", "h")
	{ .kind = ROW_END },
	/* clang-format on */
};

static const struct command_row real[] = {
#include "commands.def"
	{ .kind = ROW_END },
};

/* The words of a line as arguments behind the program's name; an apostrophe stands for an empty word. */
static int split(char *line, char *argv[])
{
	int argc = 0;

	argv[argc++] = (char *)(uintptr_t) "posthouse";
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "'") == 0 ? word + 1 : word;
	argv[argc] = NULL;
	return argc;
}

/* Command, verb, options and arguments as one text: "queue list user=alice json | x y". */
static struct str read_line(struct arena *a, const char *text)
{
	char line[200], *argv[20];
	struct options o;
	struct str out;

	snprintf(line, sizeof line, "%s", text);
	options_read(&o, small, split(line, argv), argv);
	out = arena_printf(a, "%s %s", o.command ? o.command->name : "-", o.verb);
	for (size_t i = 0; i < o.given_n; i++)
		out = arena_printf(a, "%.*s %s%s%s", STR_ARG(out), o.given[i].name, o.given[i].value ? "=" : "",
				   o.given[i].value ? o.given[i].value : "");
	out = arena_printf(a, "%.*s%s%s%s%s%s", STR_ARG(out), o.json ? " +json" : "", o.utc ? " +utc" : "",
			   o.help ? " +help" : "", o.version ? " +version" : "",
			   o.config_path && strcmp(o.config_path, "F") == 0 ? " +F" : "");
	for (size_t i = 0; i < o.arguments_n; i++)
		out = arena_printf(a, "%.*s%s%s", STR_ARG(out), i ? " " : " | ", o.arguments[i]);
	options_fini(&o);
	return out;
}

static void good_lines(void **state)
{
	static const struct {
		const char *line, *read;
	} rows[] = {
		{ "queue", "queue list" },
		{ "queue list", "queue list" },
		{ "queue --user alice", "queue list user=alice" },
		{ "queue --user=alice list", "queue list user=alice" },
		{ "queue -u alice list ID", "queue list user=alice | ID" },
		{ "queue list -ualice", "queue list user=alice" },
		{ "queue list ID --user= --json", "queue list user= json +json | ID" },
		{ "queue list --user ' ", "queue list user=" },
		{ "queue --us alice", "queue list user=alice" }, /* as GNU programs take it */
		{ "queue hold -a --reason --all", "queue hold all reason=--all" },
		{ "queue hold --all --all", "queue hold all all" },
		{ "-c F queue --json", "queue list json +json +F" },
		{ "--config=F --utc --json queue show ID", "queue show +json +utc +F | ID" },
		{ "queue show ID -c F --utc", "queue show +utc +F | ID" },
		{ "-c X queue -cF", "queue list +F" },
		{ "queue show -- --user", "queue show | --user" },
		{ "queue -- show -c", "queue show | -c" },
		{ "explain --to a --to=b", "explain  to=a to=b" },
		{ "export D ID", "export  | D ID" },
		{ "export D a b c", "export  | D a b c" },
		{ "send", "send " },
		{ "send a b", "send  | a b" },
		{ "sendmail -t --frob -c x", "sendmail  | -t --frob -c x" },
		{ "-c F sendmail --help", "sendmail  +F | --help" },
		/* help comes before all faults */
		{ "--help", "-  +help" },
		{ "-h", "-  +help" },
		{ "--version", "-  +version" },
		{ "queue --help", "queue  +help" },
		{ "queue show --help", "queue show +help" },
		{ "queue show -h --frob", "queue show +help" },
		{ "--help queue hold", "queue hold +help" },
		{ "queue frob --help", "queue  +help | frob" },
		{ "queue help", "queue  +help | help" },
		{ "user --help", "user  +help" },
		{ "export --help", "export  +help" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str read = read_line(&a, rows[i].line);

		if (!str_eq(read, str_of(rows[i].read)))
			fail_msg("%s: \"%.*s\"", rows[i].line, STR_ARG(read));
	}
	arena_fini(&a);
}

/* What a child says on standard error before it ends with 64. */
static struct str complaint(struct arena *a, const char *line)
{
	int ends[2], status;
	char text[1024];
	size_t n = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		read_line(a, line);
		_exit(0);
	}
	close(ends[1]);
	while (n < sizeof text && (got = read(ends[0], text + n, sizeof text - n)) > 0)
		n += (size_t)got;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EX_USAGE)
		fail_msg("%s: status %d", line, status);
	return arena_str(a, str_make(text, n));
}

static void wrong_lines(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{ "", "a command is missing" },
		{ "-c", "--config wants a value: FILE" },
		{ "--jsn queue", "there is no option --jsn; did you mean --json?" },
		{ "queu", "there is no command \"queu\"; did you mean queue?" },
		{ "xyzzy", "there is no command \"xyzzy\"; `posthouse --help` says more" },
		{ "queue lst", "queue has no verb \"lst\"; did you mean list?" },
		{ "queue xyzzy", "queue has no verb \"xyzzy\"; `posthouse queue --help` says more" },
		{ "user", "user: what is to be done?" },
		{ "queue list --usr=x", "there is no option --usr for queue; did you mean --user?" },
		{ "queue list --frobnicate", "there is no option --frobnicate for queue; `posthouse queue list --help`" },
		{ "queue list -x", "there is no option -x for queue;" },
		{ "queue list -json", "there is no option -j for queue; did you mean --json?" },
		{ "queue list -user x", "there is no option -user; did you mean --user?" },
		{ "queue list --json=1", "--json takes no value" },
		{ "queue list --user", "--user wants a value: LOGIN" },
		{ "queue list -u", "--user wants a value: LOGIN" },
		{ "queue list --resolver nonsense", "--resolver wants ADDRESS[@PORT], not \"nonsense\"" },
		{ "queue list --resolver=127.0.0.1@70000", "--resolver wants ADDRESS[@PORT], not \"127.0.0.1@70000\"" },
		{ "queue hold --user a --user b", "--user was given more than once" },
		{ "queue list --reason x", "--reason is not for queue list" },
		{ "queue show --all ID", "--all is not for queue show" },
		{ "queue hold --all --json", "--json is not for queue hold" },
		{ "--json queue hold --all", "queue hold has no output for --json" },
		{ "queue show", "queue show: ID is missing; `posthouse queue show --help` says more" },
		{ "queue show a b", "queue show: unexpected argument \"b\"" },
		{ "export D", "export: ID... is missing" },
		{ "explain x", "explain: unexpected argument \"x\"" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str said = complaint(&a, rows[i].line);

		if (str_search(said, str_of(rows[i].says)) == said.n)
			fail_msg("%s: %.*s", rows[i].line, STR_ARG(said));
	}
	arena_fini(&a);
}

static void values(void **state)
{
	char line[] = "explain --to a --to b", *argv[9];
	struct options o;

	(void)state;
	options_read(&o, small, split(line, argv), argv);
	assert_true(options_given(&o, "to"));
	assert_false(options_given(&o, "json"));
	assert_string_equal(options_value(&o, "to"), "a");
	options_fini(&o);
}

/* Verbs that an option names are those of its command. */
static void check_verbs(const struct command_row *command, const struct command_row *option)
{
	struct str verbs = str_of(option->verbs), word;
	char name[64];

	while (str_split(&verbs, ' ', &word)) {
		snprintf(name, sizeof name, "%.*s", STR_ARG(word));
		if (!verb_find(command, name))
			fail_msg("--%s: %s has no verb \"%s\"", option->name, command->name, name);
	}
}

/* An option takes a value in all commands or in none, and no verb has a name or a letter twice. */
static void check_option(const struct command_row *command, const struct command_row *option)
{
	for (const struct command_row *row = real; row->kind != ROW_END; row++)
		if ((row->kind == ROW_OPTION || row->kind == ROW_GLOBAL) && strcmp(row->name, option->name) == 0 &&
		    (*row->words == '\0') != (*option->words == '\0'))
			fail_msg("--%s takes a value here, and none there", row->name);
	for (const struct command_row *row = option + 1; row < command_end(command); row++)
		if (row->kind == ROW_OPTION &&
		    ((row->letter && row->letter == option->letter) ||
		     (strcmp(row->name, option->name) == 0 &&
		      (option_of_verb(option, "") || !*row->verbs || strcmp(row->verbs, option->verbs) == 0) && !*option->verbs)))
			fail_msg("%s: --%s twice", command->name, row->name);
	if (option->letter == 'c' || option->letter == 'h')
		fail_msg("%s: -%c is an option of every command", command->name, option->letter);
}

/* A sentence begins without a capital and ends without a point, as all others in a list do. */
static void check_row(const struct command_row *row)
{
	size_t n = strlen(row->help);

	if (row->kind == ROW_CHOICES) {
		assert_true(*row->words);
		return;
	}
	if (n == 0 || (row->kind != ROW_NOTE && row->help[n - 1] == '.'))
		fail_msg("%s: \"%s\"", row->name, row->help);
	for (const char *p = row->name; *p; p++)
		if (!islower(*p) && !isdigit(*p) && *p != '-')
			fail_msg("name \"%s\"", row->name);
}

static void the_table(void **state)
{
	const struct command_row *command = NULL;

	(void)state;
	for (const struct command_row *row = real; row->kind != ROW_END; row++) {
		check_row(row);
		if (row->kind == ROW_COMMAND)
			command = row;
		if (row->kind == ROW_COMMAND && *row->verbs && !command_reads_options(row) && !verb_find(row, row->verbs))
			fail_msg("%s: default verb \"%s\"", row->name, row->verbs);
		if (row->kind == ROW_OPTION) {
			check_verbs(command, row);
			check_option(command, row);
		}
	}
}

/* Each help has its command and options, on lines of 80 columns at most. */
static void helps(void **state)
{
	char *text = NULL, *line;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	help_print(out, real, NULL, "");
	for (const struct command_row *row = real; row->kind != ROW_END; row++)
		if (row->kind == ROW_COMMAND) {
			help_print(out, real, row, "");
			for (const struct command_row *verb = row + 1; verb < command_end(row); verb++)
				if (verb->kind == ROW_VERB)
					help_print(out, real, row, verb->name);
		}
	fclose(out);
	for (const struct command_row *row = real; row->kind != ROW_END; row++)
		if (!strstr(text, row->name))
			fail_msg("%s", row->name);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 80 && !strstr(line, "posthouse"))
			fail_msg("\"%s\"", line);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines), cmocka_unit_test(wrong_lines), cmocka_unit_test(values),
		cmocka_unit_test(the_table),  cmocka_unit_test(helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
