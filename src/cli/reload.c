/* reload.c - `posthouse reload`: the relay reads its file again, and says what is wrong with it. */
#include "cli.h"

#include <stdio.h>
#include <sysexits.h>

int command_reload(const struct options *o, const char *config_path)
{
	struct session s;
	struct verdict v;
	struct str lines, line;

	session_open(&s, config_path);
	v = session_call(&s, MSG_reload, &(struct msg_reload){ 0 }, MSG_reloaded)->reloaded.verdict;
	lines = v.text;
	while (str_split(&lines, '\n', &line))
		fprintf(stderr, "%.*s\n", STR_ARG(utf8_shown(&s.arena, line)));
	if (v.class == OK)
		printf("the configuration was reloaded\n");
	else
		fprintf(stderr, "posthouse: not reloaded: the relay goes on with the configuration that it has\n");
	session_close(&s);
	return v.class == OK ? EX_OK : v.class == TEMP ? EX_TEMPFAIL : EX_CONFIG;
}
