/* text.c - the message after 354 (RFC 5321 4.1.1.4, 4.5.2).
 *
 * The text ends at CRLF "." CRLF and nowhere else: two servers that differ in this can be made to see different messages
 * (SMTP smuggling). A dot is unstuffed after a CRLF only, and where something follows it on its line (RFC 5321 4.5.2):
 * clients that send lone LFs stuff no dots behind these (curl sends a file so), so a dot there belongs to the text, and a
 * lone one that does not end the text is a line of it. What becomes of such lines is in lines.c: they go on with CRLF, and a
 * next hop gets their dots stuffed. A refused message is swallowed to its true end, so that nothing of it is taken for a
 * command. Lines of any length pass: clients do send more than the 998 octets of RFC 5322 2.1.1, they stream, and to break
 * them would break signatures. */
#include "server.h"

void server_text_reset(struct smtp_server *s)
{
	s->line_start = s->after_crlf = true;
	s->has_fault = false;
	s->held_crs = 0;
	s->fault = ok();
	s->text_bytes = s->swallowed_text = 0;
}

void server_text_begin(struct smtp_server *s)
{
	server_enter(s, SERVER_TEXT);
	server_text_reset(s);
	s->after_crlf = s->line_crlf; /* the CRLF of DATA counts: an empty text ends with ".CRLF"; a lone LF does not */
}

/* Behind a CRLF: is it the end of the text (3 bytes), a stuffed dot (1), neither (0), or are more bytes needed to tell (-1)? */
static int look_at_dot(struct str v)
{
	if (v.n == 0 || v.p[0] != '.')
		return 0;
	if (v.n == 1 || (v.n == 2 && v.p[1] == '\r'))
		return -1;
	if (v.p[1] == '\r' && v.p[2] == '\n')
		return 3;
	return v.p[1] == '\n' || (v.p[1] == '\r' && v.p[2] == '\r') ? 0
								    : 1; /* another line end: the dot is all that the line has */
}

static bool end_text(struct smtp_server *s, struct smtp_event *event_out)
{
	buf_consume(&s->in, 3);
	event_out->fault = s->fault;
	return server_ask(s, SMTP_TEXT_END, event_out);
}

bool server_text(struct smtp_server *s, struct smtp_event *event_out)
{
	while (s->state == SERVER_TEXT && s->in.n > 0) {
		int dot = s->after_crlf ? look_at_dot(buf_view(&s->in)) : 0;

		if (dot == 3)
			return end_text(s, event_out);
		if (dot < 0)
			return false;
		if (dot == 1)
			buf_consume(&s->in, 1);
		if (server_give_lines(s, buf_view(&s->in), event_out))
			return true;
	}
	return false;
}
