/* chunk.c - BDAT (RFC 3030): the text in chunks, whose lengths are said before them.
 *
 * Nothing within a chunk ends it, and no dot is unstuffed: only the length counts, and it always counts. The bytes of a chunk
 * that is refused, for whatever reason, are thrown away by their number, so that none of them is ever taken for a command;
 * where the number cannot be read, or is more than server_swallow_room(), the connection ends. Without BODY=BINARYMIME a text
 * has the same lines as behind DATA (lines.c), and a line's end can lie across the border of two chunks. */
#include "server.h"

/* Take the argument, chunk-size [ SP "LAST" ] (RFC 3030 section 2). Without it the end of the chunk is not known, and what
 * follows must not be read: the connection ends. */
static bool take_chunk(struct smtp_server *s, struct str argument)
{
	size_t n = smtp_word_length(argument);
	struct str last = str_trim(str_from(argument, n));
	struct verdict v =
		perm(501, S("5.5.4"), S("Syntax: BDAT octets [LAST]; closing the connection, since what follows may be text"));

	s->chunk_last = str_ieq(last, S("LAST"));
	if ((last.n > 0 && !s->chunk_last) || !str_to_u64(str_head(argument, n), &s->chunk_size)) {
		server_tell_refusal(s, S(""), S(""), v);
		server_refuse(s, v);
		server_close(s, DUE_CLOSE);
		return false;
	}
	s->chunk_left = s->chunk_size;
	return true;
}

/* Throw the chunk away, then answer with `v`. */
static void skip(struct smtp_server *s, struct verdict v)
{
	if (s->chunk_size > server_swallow_room(s)) {
		server_end_swallowing(s);
		return;
	}
	s->skipping = true;
	s->skip_answer = verdict_keep(&s->scratch, v);
}

void server_refuse_bdat(struct smtp_server *s, struct str argument, struct verdict v)
{
	if (take_chunk(s, argument))
		skip(s, v);
}

bool server_skip_chunk(struct smtp_server *s)
{
	size_t n = s->in.n < s->chunk_left ? s->in.n : (size_t)s->chunk_left;

	buf_consume(&s->in, n);
	s->chunk_left -= n;
	s->swallowed_text += n;
	if (s->chunk_left > 0)
		return false;
	s->skipping = false;
	server_refuse(s, s->skip_answer);
	return true;
}

bool server_bdat(struct smtp_server *s, struct str argument, struct smtp_event *event_out)
{
	if (!take_chunk(s, argument))
		return false;
	switch (s->state) {
	case SERVER_RECIPIENT: s->chunked = true; return server_ask(s, SMTP_DATA, event_out);
	case SERVER_CHUNKS: server_chunk_begin(s); return false;
	case SERVER_BROKEN: skip(s, s->broken); return false;
	default: skip(s, perm(554, S("5.5.1"), S("No valid recipients"))); return false;
	}
}

/* From now on every chunk of this message has this answer, until RSET: the client can have sent some already. */
static void enter_broken(struct smtp_server *s, struct verdict v)
{
	arena_reset(&s->broken_words);
	s->broken = verdict_keep(&s->broken_words, v);
	s->recipients = 0;
	server_enter(s, SERVER_BROKEN);
}

void server_chunk_refused(struct smtp_server *s, struct verdict v)
{
	if (v.code == 421) {
		server_refuse(s, v);
		return;
	}
	s->due |= DUE_RESET;
	server_chunks_failed(s, v);
	skip(s, v);
}

void server_chunks_failed(struct smtp_server *s, struct verdict v)
{
	if (s->chunk_last)
		server_end_transaction(s);
	else
		enter_broken(s, v);
}

void server_chunk_begin(struct smtp_server *s)
{
	uint64_t limit = s->config->message_size;

	if (s->state == SERVER_RECIPIENT)
		server_text_reset(s);
	server_enter(s, SERVER_CHUNK);
	if (limit > 0 && s->chunk_size > limit - s->text_bytes) {
		server_set_fault(s, perm(552, S("5.3.4"), S("Message larger than the limit announced by SIZE")));
		if (s->chunk_size > server_swallow_room(s))
			server_end_swallowing(s);
	}
}

/* Hand out the first `n` bytes. */
static bool give(struct smtp_server *s, size_t n, struct smtp_event *event_out)
{
	event_out->type = SMTP_TEXT;
	event_out->bytes = str_head(buf_view(&s->in), n);
	s->lent = n;
	s->chunk_left -= n;
	s->text_bytes += n;
	return true;
}

/* End a line that has no end. */
static bool give_line_end(struct smtp_server *s, struct smtp_event *event_out)
{
	event_out->type = SMTP_TEXT;
	event_out->bytes = S("\r\n");
	s->line_start = true;
	return true;
}

/* The chunk is whole. */
static bool end_chunk(struct smtp_server *s, struct smtp_event *event_out)
{
	struct str text;

	if (s->chunk_last && s->held_crs > 0)
		server_set_lone_fault(s);
	if (!s->has_fault && !s->chunk_last) {
		text = arena_printf(&s->scratch, "%llu octets received", (unsigned long long)s->chunk_size);
		s->commands -= s->chunk_size > 0; /* many chunks are no misuse: they make one message of a limited size */
		server_enter(s, SERVER_CHUNKS);
		return server_say(s, 250, S("2.0.0"), text);
	}
	if (!s->has_fault && !s->binary && !s->line_start)
		return give_line_end(s, event_out); /* a text of lines has whole lines; then we come here again */
	event_out->fault = s->fault;
	return server_ask(s, SMTP_TEXT_END, event_out);
}

bool server_chunk(struct smtp_server *s, struct smtp_event *event_out)
{
	while (s->state == SERVER_CHUNK && s->chunk_left > 0 && s->in.n > 0) {
		struct str v = buf_view(&s->in);

		if (s->chunk_left < v.n)
			v = str_head(v, (size_t)s->chunk_left);
		if (s->has_fault) {
			s->chunk_left -= v.n;
			server_swallow(s, v.n);
		} else if (s->binary ? give(s, v.n, event_out) : server_give_lines(s, v, event_out)) {
			return true;
		}
	}
	return s->state == SERVER_CHUNK && s->chunk_left == 0 && end_chunk(s, event_out);
}
