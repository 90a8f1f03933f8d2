/* main.c - `posthouse [-c FILE] COMMAND`: what needs nothing but the table of commands. */
#include "cli.h"
#include "provide.h"
#include "send.h"

#include "posthouse/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

int command_serve(const struct options *o, const char *config_path)
{
	if (config_uses_environment())
		provide(config_path, true);
	return serve(config_path);
}

int command_version(const struct options *o, const char *config_path)
{
	printf("posthouse %s\n", POSTHOUSE_VERSION);
	return EX_OK;
}

int command_help(const struct options *o, const char *config_path)
{
	const struct command_row *command = o->arguments_n > 0 ? command_by_name(commands, o->arguments[0]) : NULL;
	const char *verb = o->arguments_n > 1 ? o->arguments[1] : "";

	if (o->arguments_n > 0 && !command)
		die(EX_USAGE, "there is no command \"%s\"; `posthouse help` lists them", o->arguments[0]);
	if (*verb && !verb_find(command, verb))
		die(EX_USAGE, "%s has no verb \"%s\"; `posthouse help %s` lists them", command->name, verb, command->name);
	help_print(stdout, commands, command, verb);
	return EX_OK;
}

/* POSTHOUSE_ENV and POSTHOUSE_CONFIG say the same as --env and --config: an image has them, so that `docker exec` finds the
 * relay. Where variables make the configuration, no file is needed. */
static const char *find_configuration(const struct options *o)
{
	const char *file = o->config_path ? o->config_path : getenv("POSTHOUSE_CONFIG"), *env = getenv("POSTHOUSE_ENV");

	config_use_environment(o->env || (env && *env && strcmp(env, "no") != 0 && strcmp(env, "0") != 0));
	if (file && *file)
		return file;
	return config_uses_environment() && access(DEFAULT_CONFIG, F_OK) != 0 ? CONFIG_ENVIRONMENT : DEFAULT_CONFIG;
}

static int run(const struct options *o)
{
	if (o->help)
		help_print(stdout, commands, o->command, o->verb);
	else if (!o->command)
		return command_version(o, "");
	else
		return o->command->run(o, find_configuration(o));
	return EX_OK;
}

/* Output that cannot be written is an error: on a full device the list must not just be shorter. */
static int end_output(int code)
{
	bool written = ferror(stdout) == 0;

	if (fflush(stdout) != 0 || !written) {
		fprintf(stderr, "posthouse: the output cannot be written: %s\n", strerror(errno));
		return code == EX_OK || code == 1 ? EX_IOERR : code; /* 1: doctor has found a failure, which nobody reads */
	}
	return code;
}

/* Links of other names stand for the command sendmail (packages have them as /usr/sbin/sendmail and so on). */
static void read_options(struct options *o, int argc, char **argv)
{
	if (argc < 1 || !sendmail_is_name(argv[0])) {
		options_read(o, commands, argc, argv);
		return;
	}
	*o = (struct options){ .command = command_by_name(commands, "sendmail"),
			       .verb = "",
			       .arguments = argv + 1,
			       .arguments_n = (size_t)argc - 1 };
}

int main(int argc, char **argv)
{
	struct options o;
	int code;

	read_options(&o, argc, argv);
	format_in_utc(o.utc);
	code = end_output(run(&o));
	options_fini(&o);
	return code;
}
