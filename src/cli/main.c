/* main.c - `posthouse [-c FILE] COMMAND`: the table of commands. */
#include "cli.h"

#include "posthouse/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static int command_version(int argc, char **argv, const char *config_path)
{
	no_more_arguments(argc, argv, 1);
	printf("posthouse %s\n", POSTHOUSE_VERSION);
	return EX_OK;
}

static int command_help(int argc, char **argv, const char *config_path);

static const struct command {
	const char *name, *arguments, *help;
	int (*run)(int argc, char **argv, const char *config_path);
} commands[] = {
	{ "serve", "", "run the relay in the foreground until SIGTERM (SIGHUP = reload)", command_serve },
	{ "check", "", "validate configuration, keys, certificates and permissions", command_check },
	{ "init", "DOMAIN [OPTIONS]", "write configuration, certificate, DKIM key and first user (never overwrites)",
	  command_init },
	{ "user", "add|passwd|remove|list [NAME]", "accounts", command_user },
	{ "queue", "VERB [SELECTOR]", "list|show|hold|release|retry|flush|remove messages that wait; `queue help` says how",
	  command_queue },
	{ "upstream", "list|test|login|profiles [NAME]", "servers to deliver through: state, a test in words, signing in (OAuth)",
	  command_upstream },
	{ "trace", "ID", "everything that happened to one message, by the id of the 250 reply", command_trace },
	{ "status", "", "next hops and their limits, queue depth, roles", command_status },
	{ "reload", "", "read the configuration again", command_reload },
	{ "limits", "show|reset [WHO]", "limits of logins, bans and tripped breakers: show how much is used, or reset them",
	  command_limits },
	{ "version", "", "print the version", command_version },
	{ "help", "", "print this", command_help },
};

static int command_help(int argc, char **argv, const char *config_path)
{
	no_more_arguments(argc, argv, 1);
	printf("posthouse [-c FILE] COMMAND\n\n"
	       "An authenticated mail submission relay. FILE is /etc/posthouse/posthouse.conf unless given.\n"
	       "Listing commands take --json. Exit codes are those of sysexits(3).\n\n");
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		char left[64];

		snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
		printf("  %-38s %s\n", left, commands[i].help);
	}
	printf("\nManual: posthouse(8), posthouse.conf(5)\n");
	return EX_OK;
}

static const struct command *find_command(const char *name)
{
	static const char *const also[][2] = { { "--help", "help" }, { "-h", "help" }, { "--version", "version" } };

	for (size_t i = 0; i < sizeof also / sizeof also[0]; i++)
		if (strcmp(name, also[i][0]) == 0)
			name = also[i][1];
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Output that cannot be written is an error: on a full device the list must not just be shorter. */
static int end_output(int code)
{
	bool written = ferror(stdout) == 0;

	if (fflush(stdout) != 0 || !written) {
		fprintf(stderr, "posthouse: the output cannot be written: %s\n", strerror(errno));
		return code == EX_OK ? EX_IOERR : code;
	}
	return code;
}

int main(int argc, char **argv)
{
	const char *config_path = "/etc/posthouse/posthouse.conf";
	const struct command *command;
	int first = 1;

	if (argc > 1 && strcmp(argv[1], "-c") == 0) {
		if (argc < 3)
			die(EX_USAGE, "-c wants the path of a configuration file");
		config_path = argv[2];
		first = 3;
	}
	command = first < argc ? find_command(argv[first]) : NULL;
	if (command)
		return end_output(command->run(argc - first, argv + first, config_path));
	if (first < argc)
		fprintf(stderr, "posthouse: there is no command \"%s\"; `posthouse help` lists them\n", argv[first]);
	else
		fprintf(stderr, "usage: posthouse [-c FILE] COMMAND; `posthouse help` lists the commands\n");
	return EX_USAGE;
}
