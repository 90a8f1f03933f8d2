/* upstream.c - `posthouse upstream list|test|login|profiles`. */
#include "upstream.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <sysexits.h>

static int usage(FILE *out, int code)
{
	fprintf(out, "usage: posthouse [-c FILE] upstream list [--json]\n"
		     "       posthouse [-c FILE] upstream test NAME [--json]\n"
		     "       posthouse [-c FILE] upstream login NAME [--port N]\n"
		     "       posthouse [-c FILE] upstream profiles [--json]\n\n"
		     "list: the upstreams, how each logs in, whether it works, and what is used of its limits.\n"
		     "test: connects and logs in as for a delivery, without mail, and says what is wrong.\n"
		     "login: signs in at the provider (OAuth), with any device or with a browser that reaches 127.0.0.1:N here.\n"
		     "profiles: the providers that `profile` knows, and what each needs.\n");
	return code;
}

static int run(const char *verb, const char *name, bool json, unsigned port, const char *config_path)
{
	struct config_faults faults = { 0 };
	struct session s;
	struct config *c;
	int code;

	session_open(&s, config_path);
	if (strcmp(verb, "test") == 0) {
		code = upstream_test(&s, name, json);
	} else if (strcmp(verb, "login") == 0) {
		code = upstream_login(&s, name, port);
	} else {
		c = config_load(config_path, &faults); /* faults of other parts of the file do not matter */
		code = upstream_list(&s, c, json);
		config_free(c);
	}
	session_close(&s);
	return code;
}

int command_upstream(int argc, char **argv, const char *config_path)
{
	bool json = take_flag(&argc, argv, "--json");
	const char *port_text = take_option(&argc, argv, "--port"), *verb = argc > 1 ? argv[1] : "list";
	bool named = strcmp(verb, "test") == 0 || strcmp(verb, "login") == 0, profiles = strcmp(verb, "profiles") == 0;
	uint64_t port = 0;

	if (strcmp(verb, "help") == 0)
		return usage(stdout, EX_OK);
	if ((!named && !profiles && strcmp(verb, "list") != 0) || argc > 2 + named || (argc > 2 && argv[2][0] == '-') ||
	    (port_text && strcmp(verb, "login") != 0) || (json && strcmp(verb, "login") == 0))
		return usage(stderr, EX_USAGE);
	if (named && argc < 3)
		die(EX_USAGE, "upstream %s: which one? `posthouse upstream list` shows their names", verb);
	if (port_text && (!str_to_u64(str_of(port_text), &port) || port == 0 || port > 65535))
		die(EX_USAGE, "--port wants a number from 1 to 65535");
	return profiles ? upstream_profiles(json) : run(verb, named ? argv[2] : NULL, json, (unsigned)port, config_path);
}
