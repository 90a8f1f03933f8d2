/* trace.c - `posthouse trace ID`: everything that happened to one message. */
#include "cli.h"

#include "posthouse/id.h"
#include "posthouse/log.h"

#include <stdio.h>
#include <sysexits.h>

static void print_event(struct arena *a, const struct rec_event_row *e)
{
	printf("%.*s  %.*s", STR_ARG(time_text(a, e->at)), STR_ARG(e->name));
	if (e->n)
		printf(" recipient=%llu", (unsigned long long)e->n);
	printf(" %.*s\n", STR_ARG(utf8_shown(a, e->fields)));
}

/* Print the lines of the transcript, indented, without control characters. */
static void print_transcript(struct arena *a, struct str transcript)
{
	struct str line;

	printf("dialogue of the last attempt:\n");
	while (str_split(&transcript, '\n', &line))
		printf("    %.*s\n", STR_ARG(utf8_shown(a, str_trim(line))));
}

int command_trace(const struct options *o, const char *config_path)
{
	bool json = options_given(o, "json");
	struct msg_trace ask = { 0 };
	struct session s;

	if (!id_parse(str_of(o->arguments[0]), &ask.id))
		die(EX_USAGE, "\"%s\" is no message id: 13 letters and digits, as in the 250 reply, were expected",
		    o->arguments[0]);
	session_open(&s, config_path);
	do {
		const struct msg_traced *m = &session_ask(&s, MSG_trace, &ask, MSG_traced)->traced;

		for (size_t i = 0; i < m->rows.n; i++) {
			const struct rec_event_row *e = &m->rows.at[i];

			if (json)
				json_print(json_pack("{s:I, s:I, s:o, s:o}", "at", (json_int_t)e->at, "recipient",
						     (json_int_t)e->n, "event", json_text(e->name), "fields",
						     json_text(e->fields)));
			else
				print_event(&s.arena, e);
		}
		if (m->transcript.n && json)
			json_print(json_pack("{s:o}", "transcript", json_text(m->transcript)));
		else if (m->transcript.n)
			print_transcript(&s.arena, m->transcript);
		ask.cursor = m->cursor;
	} while (ask.cursor);
	session_close(&s);
	return EX_OK;
}
