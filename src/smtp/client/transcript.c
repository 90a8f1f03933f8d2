/* transcript.c - the dialogue, kept for people who ask why a message did not arrive: the beginning of the session, the beginning
 * and the end of the transaction, at most 4 KiB. */
#include "client.h"

enum { SESSION_MAX = 1200, FIRST_MAX = 1200, LAST_MAX = 1600, SHOWN_LINE_MAX = 400, JOINED_MAX = 4096 };

void transcript_init(struct transcript *t)
{
	buf_init(&t->session, SESSION_MAX);
	buf_init(&t->first, FIRST_MAX);
	buf_init(&t->last, LAST_MAX);
	buf_init(&t->joined, JOINED_MAX);
}

void transcript_fini(struct transcript *t)
{
	buf_fini(&t->session);
	buf_fini(&t->first);
	buf_fini(&t->last);
	buf_fini(&t->joined);
}

void transcript_begin(struct transcript *t)
{
	buf_clear(&t->first);
	buf_clear(&t->last);
	t->middle_cut = false;
}

static bool add_line(struct buf *b, const char *who, struct str line)
{
	const char *end = line.n > SHOWN_LINE_MAX ? "..." : "";

	return buf_printf(b, "%s: %.*s%s\n", who, STR_ARG(str_head(line, SHOWN_LINE_MAX)), end);
}

/* After the first line that does not fit into `first`, all lines go to `last`, which loses its oldest lines. */
void transcript_add(struct transcript *t, bool in_transaction, const char *who, struct str line)
{
	if (!in_transaction) {
		if (t->session_cut || !add_line(&t->session, who, line))
			t->session_cut = true;
		return;
	}
	if (t->last.n == 0 && add_line(&t->first, who, line))
		return;
	while (!add_line(&t->last, who, line)) {
		size_t oldest = str_find(buf_view(&t->last), '\n') + 1;

		if (t->last.n == 0)
			return;
		buf_consume(&t->last, oldest);
		t->middle_cut = true;
	}
}

struct str smtp_client_transcript(const struct smtp_client *c)
{
	struct transcript *t = (struct transcript *)&c->transcript; /* only the memory for the result changes */

	buf_clear(&t->joined);
	buf_add(&t->joined, buf_view(&t->session));
	if (t->session_cut)
		buf_add(&t->joined, S("...\n"));
	buf_add(&t->joined, buf_view(&t->first));
	if (t->middle_cut)
		buf_add(&t->joined, S("...\n"));
	buf_add(&t->joined, buf_view(&t->last));
	return buf_view(&t->joined);
}
