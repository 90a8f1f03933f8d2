/* lines.c - the lines of a text, behind DATA or in chunks without BODY=BINARYMIME: when they leave the machine, each ends
 * with CRLF.
 *
 * Scripts, printers and curl send lines that end with LF alone, or with CR CR LF where CRLF was written twice. A LF by
 * itself, and any number of CRs before a LF, therefore end a line as CRLF does, unless submission.bare_newline refuses them.
 * What can end a text, and which dots are stuffed, is decided by the bytes as they came (text.c); here the line ends become
 * those of RFC 5321 2.3.8, so nothing that another server could read otherwise goes on from here. A CR that ends no line, and
 * a NUL byte (RFC 5322 2.2 knows none), make the message refused. */
#include "server.h"

/* What follows a run of whole lines. */
enum run_end {
	RUN_PLAIN, /* a dot behind a CRLF, or nothing yet */
	RUN_OPEN,  /* CRs at the end of what is here: a LF can follow */
	RUN_ODD,   /* a line end that is not CRLF, or not in one piece */
	RUN_LONE,  /* CRs that end no line */
};

struct run {
	enum run_end end;
	size_t n, end_n; /* bytes of the run, and of what follows it */
	size_t crs;      /* of the line end */
};

/* The run ends at byte `at`, where a CR or a LF is, or at 0 where CRs were held. */
static struct run end_run(struct smtp_server *s, struct str v, size_t at)
{
	struct run run = { .n = at };
	size_t behind = at;

	while (behind < v.n && v.p[behind] == '\r')
		behind++;
	run.crs = s->held_crs + behind - at;
	run.end = behind == v.n ? RUN_OPEN : v.p[behind] == '\n' ? RUN_ODD : RUN_LONE;
	run.end_n = behind - at + (run.end == RUN_ODD);
	s->held_crs = run.end == RUN_OPEN ? run.crs : 0;
	s->line_start = run.end == RUN_ODD;
	s->after_crlf = run.end == RUN_ODD && run.crs > 0;
	return run;
}

/* Find how many bytes at the front of `v`, which is not empty, can be handed out as they are. */
static struct run find_run(struct smtp_server *s, struct str v)
{
	if (s->held_crs > 0)
		return end_run(s, v, 0);
	s->line_start = s->after_crlf = false;
	for (size_t i = 0;;) {
		const char *lf = memchr(v.p + i, '\n', v.n - i);
		size_t end = lf != NULL ? (size_t)(lf - v.p) : v.n;
		const char *cr = memchr(v.p + i, '\r', end - i);
		size_t at = cr != NULL ? (size_t)(cr - v.p) : end;

		if (at == v.n)
			return (struct run){ .end = RUN_PLAIN, .n = v.n };
		if (cr == NULL || at + 1 != end || lf == NULL)
			return end_run(s, v, at);
		i = end + 1;
		if (i == v.n || v.p[i] == '.') {
			s->line_start = s->after_crlf = true;
			return (struct run){ .end = RUN_PLAIN, .n = i };
		}
	}
}

/* Count text that is to be handed out, and look at it. The fault that comes first is told, however the text is cut. */
static void check_text(struct smtp_server *s, struct str text)
{
	uint64_t limit = s->config->message_size, room;

	if (s->has_fault)
		return;
	room = limit == 0 ? UINT64_MAX : limit - s->text_bytes;
	if (memchr(text.p, '\0', room < text.n ? (size_t)room : text.n) != NULL)
		server_set_fault(s, perm(550, S("5.6.0"), S("NUL byte in the message (RFC 5322 section 2.2)")));
	else if (text.n > room)
		server_set_fault(s, perm(552, S("5.3.4"), S("Message larger than the limit announced by SIZE")));
	else
		s->text_bytes += text.n;
}

static bool end_allowed(const struct smtp_server *s, const struct run *run)
{
	return run->end != RUN_LONE && (run->end != RUN_ODD || run->crs == 1 || !s->config->refuse_bare_newline);
}

/* Take what is here of a text of lines, `v`, up to a dot behind a CRLF. *taken_out: bytes of `v` that are done with. What
 * they become is a view of them as long as it can be, and else of `mended`. */
static struct str take_lines(struct smtp_server *s, struct str v, size_t *taken_out)
{
	struct run run;
	size_t at = 0;

	buf_clear(&s->mended);
	do {
		struct str text;

		run = find_run(s, str_from(v, at));
		text = str_make(v.p + at, run.n);
		at += run.n + run.end_n;
		*taken_out = at;
		check_text(s, text);
		if (!end_allowed(s, &run))
			server_set_lone_fault(s);
		if (s->has_fault)
			return S("");
		if (run.end != RUN_ODD && s->mended.n == 0)
			return text;
		buf_add(&s->mended, text); /* room is there: a byte becomes two at most */
		if (run.end != RUN_ODD)
			break;
		check_text(s, S("\r\n"));
		buf_add(&s->mended, S("\r\n"));
	} while (at < v.n && !(s->after_crlf && v.p[at] == '.'));
	return buf_view(&s->mended);
}

bool server_give_lines(struct smtp_server *s, struct str v, struct smtp_event *event_out)
{
	size_t taken;
	struct str text = take_lines(s, v, &taken);

	if (s->chunked)
		s->chunk_left -= taken;
	if (s->has_fault) {
		server_swallow(s, taken);
		return false;
	}
	if (text.n == 0) { /* CRs, whose LF has not come */
		buf_consume(&s->in, taken);
		return false;
	}
	s->lent = taken;
	event_out->type = SMTP_TEXT;
	event_out->bytes = text;
	return true;
}
