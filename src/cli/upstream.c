/* upstream.c - `posthouse upstream list|test|login|profiles`. */
#include "upstream.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <sysexits.h>

static int run(const struct options *o, unsigned port, const char *config_path)
{
	const char *name = o->arguments_n > 0 ? o->arguments[0] : NULL;
	bool json = options_given(o, "json"), broken = false;
	struct config_faults faults = { 0 };
	struct session s;
	struct config *c;
	int code;

	session_open(&s, config_path);
	if (strcmp(o->verb, "test") == 0) {
		code = upstream_test(&s, name, options_value(o, "sender"), json);
	} else if (strcmp(o->verb, "login") == 0) {
		code = upstream_login(&s, name, port);
	} else {
		c = config_load(config_path, &faults); /* it is listed as far as it can be read */
		code = upstream_list(&s, c, json);
		for (size_t i = 0; i < faults.n && !broken; i++)
			broken = !faults.at[i].warning;
		if (broken)
			fprintf(stderr,
				"posthouse: %s has faults, so upstreams can be missing here; `posthouse check` says more\n",
				config_path);
		config_free(c);
	}
	session_close(&s);
	return code;
}

int command_upstream(const struct options *o, const char *config_path)
{
	const char *port_text = options_value(o, "port");
	uint64_t port = 0;

	if (port_text && (!str_to_u64(str_of(port_text), &port) || port == 0 || port > 65535))
		die(EX_USAGE, "--port wants a number from 1 to 65535");
	if (strcmp(o->verb, "profiles") == 0)
		return upstream_profiles(options_given(o, "json"));
	return run(o, (unsigned)port, config_path);
}
