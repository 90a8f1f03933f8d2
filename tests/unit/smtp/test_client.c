/* test_client.c - the client machine against scripted servers: whole replies at a time, and byte by byte. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posthouse/smtp_client.h"
#include "posthouse/smtp_server.h"

/* A dialogue: lines of the server ("S: "), lines that the client must write ("C: "), events it must give ("E: "), calls that the user
 * makes ("U: "), bytes of a chunk that it must write ("B: number"), whether it takes text ("T: yes" or "no"). Written as one text, a line
 * each.
 *
 * Events:  STARTTLS | CHALLENGE MECHANISM first|next BYTES | READY | TEXT | RECIPIENT n class code enhanced text
 *          DONE class code enhanced text fault reusable|broken[ untouched][ pipelining?][ dsn?][ chunking?][ 8bitmime?][ utf8?] | FAILED class code enhanced text fault
 * Calls:   tls | response X | abort X | send A B C | text X | fill NUMBER | end | quit | closed | raw X (bytes without a line end; \r \n \0 as escapes) */
struct dialogue {
	const char *name;
	const char *script;
	bool use_starttls, need_tls, tls;
	const char *mechanisms;
	bool login_optional;
	unsigned body;
	uint64_t size;
	bool utf8;
	const char *envid, *orcpt;
	unsigned ret, notify;
	bool plain;
	int by_s, priority; /* priority: RFC 6710's */
	unsigned by_mode;
	bool require_tls;
};

struct play {
	struct smtp_client *client;
	struct buf output; /* of the client, not yet compared */
	struct smtp_recipient recipients[8];
	const char *at;
	bool byte_by_byte;
	const struct dialogue *d;
};

static const char *const class_names[] = { "ok", "temp", "perm" };
static const char *const fault_names[] = { "none", "connection", "peer", "tls", "auth" };

static struct str shown(struct verdict v)
{
	static char text[4096];
	int n = snprintf(text, sizeof text, "%s %u %.*s %.*s", class_names[v.class], v.code,
			 STR_ARG(v.enhanced.n ? v.enhanced : S("-")), STR_ARG(v.text));

	return str_make(text, (size_t)n);
}

/* The next event as a line; empty when there is none. */
static void event_line(struct play *p, char *line, size_t size)
{
	struct smtp_client_event e;

	line[0] = 0;
	if (!smtp_client_next(p->client, &e))
		return;
	switch (e.type) {
	case CLIENT_STARTTLS: snprintf(line, size, "STARTTLS"); return;
	case CLIENT_CHALLENGE:
		snprintf(line, size, "CHALLENGE %.*s %s %.*s", STR_ARG(e.mechanism), e.first ? "first" : "next",
			 STR_ARG(e.bytes));
		return;
	case CLIENT_READY: snprintf(line, size, "READY"); return;
	case CLIENT_TEXT: snprintf(line, size, "TEXT"); return;
	case CLIENT_RECIPIENT: snprintf(line, size, "RECIPIENT %zu %.*s", e.index, STR_ARG(shown(e.verdict))); return;
	case CLIENT_DONE:
		snprintf(line, size, "DONE %.*s %s %s%s%s%s%s%s%s", STR_ARG(shown(e.verdict)), fault_names[e.fault],
			 e.reusable ? "reusable" : "broken", e.untouched ? " untouched" : "",
			 e.suspect & PEER_PIPELINING ? " pipelining?" : "", e.suspect & PEER_DSN ? " dsn?" : "",
			 e.suspect & PEER_CHUNKING ? " chunking?" : "", e.suspect & PEER_8BITMIME ? " 8bitmime?" : "",
			 e.suspect & PEER_SMTPUTF8 ? " utf8?" : "");
		return;
	case CLIENT_FAILED: snprintf(line, size, "FAILED %.*s %s", STR_ARG(shown(e.verdict)), fault_names[e.fault]); return;
	}
}

/* Move what the client has written to the play's own buffer. */
static void drain(struct play *p)
{
	struct buf *o = smtp_client_output(p->client);

	assert_true(buf_add(&p->output, buf_view(o)));
	buf_consume(o, o->n);
}

static void feed(struct play *p, struct str bytes)
{
	if (!p->byte_by_byte) {
		smtp_client_feed(p->client, bytes);
		return;
	}
	for (size_t i = 0; i < bytes.n; i++) {
		char *one = malloc(1); /* of exactly that size: the sanitizer sees who reads on or keeps it */

		*one = bytes.p[i];
		smtp_client_feed(p->client, str_make(one, 1));
		free(one);
	}
}

static struct str unescape(const char *s, size_t n, char *to)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\\' || i + 1 == n) {
			to[k++] = s[i];
			continue;
		}
		i++;
		to[k++] = s[i] == 'r' ? '\r' : s[i] == 'n' ? '\n' : s[i] == '0' ? '\0' : s[i];
	}
	return str_make(to, k);
}

/* A piece of text of that many bytes, which ends within a line. */
static void fill(struct play *p, struct str number)
{
	struct str line = S(".a line, .\r\n");
	struct buf b;
	uint64_t n;

	assert_true(str_to_u64(number, &n));
	buf_init(&b, 1 << 20);
	while (b.n < n)
		assert_true(buf_add(&b, str_head(line, n - b.n)));
	smtp_client_text(p->client, buf_view(&b));
	buf_fini(&b);
}

static void call(struct play *p, struct str line)
{
	struct str rest = line, verb, word;
	struct smtp_transaction t = { .sender = S("s@example.org"), .body = p->d->body, .size = p->d->size, .utf8 = p->d->utf8 };
	char bytes[1024];

	t.avoid = p->d->plain ? PEER_CHUNKING : 0;
	t.by_s = p->d->by_s;
	t.by_mode = p->d->by_mode;
	t.priority = (unsigned)(p->d->priority + PRIORITY_NORMAL);
	t.require_tls = p->d->require_tls;
	t.envid = str_of(p->d->envid);
	t.ret = p->d->ret;
	str_split(&rest, ' ', &verb);
	if (str_eq(verb, S("send"))) {
		while (str_split(&rest, ' ', &word))
			p->recipients[t.recipients_n++] =
				(struct smtp_recipient){ .address = str_eq(word, S("bad")) ? S("x\r\nRSET") : word,
							 .orcpt = p->d->orcpt ? str_of(p->d->orcpt) : S(""),
							 .notify = p->d->notify };
		t.recipients = p->recipients;
		smtp_client_send(p->client, &t);
	} else if (str_eq(verb, S("tls"))) {
		smtp_client_tls_started(p->client);
	} else if (str_eq(verb, S("response"))) {
		smtp_client_auth_response(p->client, unescape(rest.p, rest.n, bytes));
	} else if (str_eq(verb, S("abort"))) {
		smtp_client_auth_abort(p->client, temp(451, S("4.3.0"), rest));
	} else if (str_eq(verb, S("text"))) {
		struct str text = unescape(rest.p, rest.n, bytes);

		if (!p->byte_by_byte)
			smtp_client_text(p->client, text);
		for (size_t i = 0; p->byte_by_byte && i < text.n; i++)
			smtp_client_text(p->client, str_make(text.p + i, 1));
	} else if (str_eq(verb, S("fill"))) {
		fill(p, rest);
	} else if (str_eq(verb, S("end"))) {
		smtp_client_text_end(p->client);
	} else if (str_eq(verb, S("quit"))) {
		smtp_client_quit(p->client);
	} else if (str_eq(verb, S("closed"))) {
		smtp_client_closed(p->client, (struct verdict){ .text = rest }, FAULT_CONNECTION);
	} else if (str_eq(verb, S("raw"))) {
		feed(p, unescape(rest.p, rest.n, bytes));
	} else {
		fail_msg("%s: no such call: %.*s", p->d->name, STR_ARG(line));
	}
}

static void expect_output(struct play *p, struct str line)
{
	struct str out;
	size_t n;

	drain(p);
	out = buf_view(&p->output);
	n = str_search(out, S("\r\n"));
	if (n == out.n)
		fail_msg("%s: nothing written, expected C: %.*s", p->d->name, STR_ARG(line));
	if (!str_eq(str_head(out, n), line))
		fail_msg("%s: written C: %.*s, expected C: %.*s", p->d->name, STR_ARG(str_head(out, n)), STR_ARG(line));
	buf_consume(&p->output, n + 2);
}

static void expect_bytes(struct play *p, struct str number)
{
	uint64_t n;

	drain(p);
	if (!str_to_u64(number, &n) || p->output.n < n)
		fail_msg("%s: written %zu bytes, expected B: %.*s", p->d->name, p->output.n, STR_ARG(number));
	buf_consume(&p->output, n);
}

static void expect_event(struct play *p, struct str expected)
{
	char line[4096];

	event_line(p, line, sizeof line);
	if (!str_eq(str_of(line), expected))
		fail_msg("%s: E: %s, expected E: %.*s", p->d->name, line, STR_ARG(expected));
}

/* Nothing may be left that the script does not know of, before the server speaks again and at the end. */
static void expect_nothing(struct play *p, const char *where)
{
	char line[4096];

	event_line(p, line, sizeof line);
	if (line[0])
		fail_msg("%s: unexpected E: %s (%s)", p->d->name, line, where);
	drain(p);
	if (p->output.n)
		fail_msg("%s: unexpected C: %.*s (%s)", p->d->name, STR_ARG(buf_view(&p->output)), where);
}

static void run_dialogue(const struct dialogue *d, bool byte_by_byte)
{
	struct smtp_client_config config = { .hostname = S("relay.example.org"),
					     .use_starttls = d->use_starttls,
					     .need_tls = d->need_tls,
					     .tls = d->tls,
					     .mechanisms = str_of(d->mechanisms),
					     .login_optional = d->login_optional };
	struct play p = { .client = smtp_client_new(&config), .byte_by_byte = byte_by_byte, .d = d };
	struct str rest = str_of(d->script), line;
	bool after_server = false;

	buf_init(&p.output, 1 << 20);
	while (str_split(&rest, '\n', &line)) {
		struct str content = str_from(line, 3);

		if (line.n == 0)
			continue;
		switch (line.p[0]) {
		case 'S':
			if (!after_server)
				expect_nothing(&p, "before the server speaks");
			feed(&p, content);
			feed(&p, S("\r\n"));
			break;
		case 'C': expect_output(&p, content); break;
		case 'B': expect_bytes(&p, content); break;
		case 'T': assert_int_equal(smtp_client_takes_text(p.client), str_eq(content, S("yes"))); break;
		case 'E': expect_event(&p, content); break;
		case 'U': call(&p, content); break;
		default: fail_msg("%s: what is %.*s?", d->name, STR_ARG(line));
		}
		after_server = line.p[0] == 'S';
		if (line.p[0] == 'S' && rest.n > 0 &&
		    rest.p[0] == 'C') { /* replies are read by next(), which has no event to tell */
			expect_event(&p, S(""));
		}
	}
	expect_nothing(&p, "at the end");
	buf_fini(&p.output);
	smtp_client_free(p.client);
}

#define HELLO                                                                                                                    \
	"S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\n"                                                               \
	"S: 250-mx.example.net\nS: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250 ENHANCEDSTATUSCODES\nE: READY\n"
#define HELLO_PIPELINING                                                                                                         \
	"S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\nS: 250-mx.example.net\nS: 250 PIPELINING\nE: READY\n"
#define HELLO_DSN                                                                                                                \
	"S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\nS: 250-mx.example.net\nS: 250-DSN\nS: 250 PIPELINING\nE: READY\n"
#define HELLO_CHUNKING                                                                                                           \
	"S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\nS: 250-mx.example.net\nS: 250-PIPELINING\nS: 250 CHUNKING\nE: READY\n"
#define CHUNKS_2                                                                                                                 \
	"U: send a@x b@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: RCPT TO:<b@x>\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nE: TEXT\n"
#define BOTH(class, code, text)                                                                                                  \
	"E: RECIPIENT 0 " class " " code " " text "\nE: RECIPIENT 1 " class " " code " " text "\nE: DONE " class " " code " " text
#define GROUP_2 "U: send a@x b@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: RCPT TO:<b@x>\nC: DATA\n"

#define HELLO_ALL                                                                                                                \
	"S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\nS: 250-mx.example.net\nS: 250-PIPELINING\nS: 250-8BITMIME\n"    \
	"S: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-REQUIRETLS\nS: 250-DELIVERBY 30\nS: 250 MT-PRIORITY MIXER\nE: READY\n"
#define SEND_1 "U: send a@x\nC: MAIL FROM:<s@example.org>"

static const struct dialogue dialogues[] = {
	{ "binary text in a chunk, not a byte is added",
	  HELLO_ALL SEND_1
	  " BODY=BINARYMIME\nC: RCPT TO:<a@x>\nS: 250 Ok\nS: 250 Ok\nE: TEXT\nU: text a\\0\\n.\\rb\nU: end\nC: BDAT 6 LAST\n"
	  "B: 6\nS: 250 queued\nE: RECIPIENT 0 ok 250 - queued\nE: DONE ok 250 - queued none reusable\nE: READY\n",
	  .body = BODY_BINARYMIME },
	{ "binary text without CHUNKING",
	  "S: 220 mx.example.net ESMTP\nC: EHLO relay.example.org\nS: 250-mx.example.net\nS: 250-8BITMIME\nS: 250 BINARYMIME\nE: READY\n"
	  "U: send a@x\nE: RECIPIENT 0 perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks\n"
	  "E: DONE perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks none reusable\nE: READY\n",
	  .body = BODY_BINARYMIME },
	{ "binary text with CHUNKING alone",
	  HELLO_CHUNKING
	  "U: send a@x\nE: RECIPIENT 0 perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks\n"
	  "E: DONE perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks none reusable\nE: READY\n",
	  .body = BODY_BINARYMIME },
	{ "binary text never goes by DATA",
	  HELLO_ALL "U: send a@x\nE: RECIPIENT 0 perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks\n"
		    "E: DONE perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks none reusable\nE: READY\n",
	  .body = BODY_BINARYMIME, .plain = true },
	{ "no such body",
	  HELLO_ALL "U: send a@x\nE: RECIPIENT 0 perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks\n"
		    "E: DONE perm 554 5.6.3 the message needs BINARYMIME, which the next hop lacks none reusable\nE: READY\n",
	  .body = 7 },
	{ "8 bits in a chunk, the last line is ended",
	  HELLO_ALL SEND_1
	  " BODY=8BITMIME\nC: RCPT TO:<a@x>\nS: 250 Ok\nS: 250 Ok\nE: TEXT\nU: text hi\nU: end\nC: BDAT 4 LAST\nB: 4\n"
	  "S: 250 queued\nE: RECIPIENT 0 ok 250 - queued\nE: DONE ok 250 - queued none reusable\nE: READY\n",
	  .body = BODY_8BITMIME },
	{ "treatment", HELLO_ALL SEND_1 " BY=120;RT MT-PRIORITY=-4 REQUIRETLS\nC: RCPT TO:<a@x>\n", .tls = true, .by_s = 120,
	  .by_mode = BY_RETURN | BY_TRACE, .priority = -4, .require_tls = true },
	{ "treatment: late, and urgent", HELLO_ALL SEND_1 " BY=-7;N MT-PRIORITY=9\nC: RCPT TO:<a@x>\n", .by_s = -7,
	  .by_mode = BY_NOTIFY, .priority = 9 },
	{ "treatment: nine digits", HELLO_ALL SEND_1 " BY=999999999;N\nC: RCPT TO:<a@x>\n", .by_s = 2000000000,
	  .by_mode = BY_NOTIFY },
	{ "treatment: trace alone is nothing", HELLO_ALL SEND_1 "\nC: RCPT TO:<a@x>\n", .by_s = 5, .by_mode = BY_TRACE },
	{ "treatment that the server does not know", HELLO_PIPELINING SEND_1 "\nC: RCPT TO:<a@x>\nC: DATA\n", .by_s = 120,
	  .by_mode = BY_RETURN, .priority = 3 },
	{ "REQUIRETLS that the server does not know",
	  HELLO_PIPELINING
	  "U: send a@x\nE: RECIPIENT 0 perm 550 5.7.30 the message demands REQUIRETLS, which the next hop lacks\n"
	  "E: DONE perm 550 5.7.30 the message demands REQUIRETLS, which the next hop lacks none reusable\nE: READY\n",
	  .tls = true, .require_tls = true },
	{ "REQUIRETLS without TLS",
	  HELLO_ALL "U: send a@x\nE: RECIPIENT 0 perm 550 5.7.30 the message demands REQUIRETLS, which the next hop lacks\n"
		    "E: DONE perm 550 5.7.30 the message demands REQUIRETLS, which the next hop lacks none reusable\nE: READY\n",
	  .require_tls = true },
	{ "one by one",
	  HELLO "U: send a@x b@x\nC: MAIL FROM:<s@example.org> SIZE=10\nS: 250 2.1.0 Ok\nC: RCPT TO:<a@x>\nS: 250 2.1.5 Ok\n"
		"C: RCPT TO:<b@x>\nS: 250 2.1.5 Ok\nC: DATA\nS: 354 go\nE: TEXT\nU: text hi\\r\\n\nU: end\nC: hi\nC: .\n"
		"S: 250 2.0.0 queued as 1\nE: RECIPIENT 0 ok 250 2.0.0 queued as 1\nE: RECIPIENT 1 ok 250 2.0.0 queued as 1\n"
		"E: DONE ok 250 2.0.0 queued as 1 none reusable\nE: READY\nU: quit\nC: QUIT\nS: 221 2.0.0 Bye\n",
	  .size = 10 },
	{ "pipelined", HELLO_PIPELINING GROUP_2
	  "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nE: TEXT\nU: text hi\\r\\n\nU: end\nC: hi\nC: .\nS: 250 queued\n"
	  "E: RECIPIENT 0 ok 250 - queued\nE: RECIPIENT 1 ok 250 - queued\nE: DONE ok 250 - queued none reusable\nE: READY\n"
	  "U: send c@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<c@x>\nC: DATA\nU: closed\n"
	  "E: RECIPIENT 0 temp 421 4.4.2 connection lost at MAIL\nE: DONE temp 421 4.4.2 connection lost at MAIL connection broken untouched pipelining?\n" },
	{ "one refused early", HELLO_PIPELINING GROUP_2
	  "S: 250 Ok\nS: 550-5.1.1 no such\nS: 550 5.1.1 user here\nE: RECIPIENT 0 perm 550 5.1.1 no such user here\n"
	  "S: 250 Ok\nS: 354 go\nE: TEXT\nU: text x\nU: end\nC: x\nC: .\nS: 451 4.3.0 later\nE: RECIPIENT 1 temp 451 4.3.0 later\n"
	  "E: DONE temp 451 4.3.0 later none reusable\nE: READY\n" },
	{ "all refused, 354 all the same", HELLO_PIPELINING GROUP_2
	  "S: 250 Ok\nS: 550 no\nE: RECIPIENT 0 perm 550 - no\nS: 450 wait\nE: RECIPIENT 1 temp 450 - wait\nS: 354 go\nC: .\n"
	  "S: 554 no valid recipients\nE: DONE temp 450 - wait none reusable\nE: READY\n" },
	{ "all refused, DATA refused", HELLO_PIPELINING GROUP_2
	  "S: 250 Ok\nS: 550 no\nE: RECIPIENT 0 perm 550 - no\nS: 550 no\nE: RECIPIENT 1 perm 550 - no\nS: 503 no recipients\n"
	  "E: DONE perm 550 - no none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "all refused one by one",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 551 5.1.6 moved\n"
		"E: RECIPIENT 0 perm 551 5.1.6 moved\nE: DONE perm 551 5.1.6 moved none reusable\nC: RSET\n"
		"S: 250 Ok\nE: READY\nU: send a@x\nC: MAIL FROM:<s@example.org>\n" },
	{ "MAIL refused, one by one", HELLO "U: send a@x b@x\nC: MAIL FROM:<s@example.org>\nS: 452 4.3.1 full\n"
					    "E: RECIPIENT 0 temp 452 4.3.1 full\nE: RECIPIENT 1 temp 452 4.3.1 full\n"
					    "E: DONE temp 452 4.3.1 full none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "MAIL refused, pipelined", HELLO_PIPELINING GROUP_2
	  "S: 550 5.7.1 not you\nE: RECIPIENT 0 perm 550 5.7.1 not you\nE: RECIPIENT 1 perm 550 5.7.1 not you\nS: 503 MAIL first\n"
	  "S: 250 whatever\nS: 354 go\nC: .\nS: 250 Ok\nE: DONE perm 550 5.7.1 not you none reusable\nE: READY\n" },
	{ "DATA refused",
	  HELLO_PIPELINING GROUP_2 "S: 250 Ok\nS: 250 Ok\nS: 550 no\nE: RECIPIENT 1 perm 550 - no\nS: 451 4.3.2 not now\n"
				   "E: RECIPIENT 0 temp 451 4.3.2 not now\nE: DONE temp 451 4.3.2 not now none reusable\n"
				   "C: RSET\nS: 500 what?\nE: FAILED perm 500 - what? peer\n" },
	{ "421 within a group",
	  HELLO_PIPELINING GROUP_2 "S: 250 Ok\nS: 250 Ok\nS: 421 4.3.2 going down\nE: RECIPIENT 0 temp 421 4.3.2 going down\n"
				   "E: RECIPIENT 1 temp 421 4.3.2 going down\nE: DONE temp 421 4.3.2 going down peer broken\n" },
	{ "421 to MAIL",
	  HELLO_PIPELINING "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\nS: 421 idle too long\n"
			   "E: RECIPIENT 0 temp 421 - idle too long\nE: DONE temp 421 - idle too long peer broken untouched\n" },
	{ "421 while idle", HELLO "S: 421 4.4.2 timeout\nE: FAILED temp 421 4.4.2 timeout peer\n" },
	{ "unasked while idle",
	  HELLO "S: 250 Ok\nE: FAILED temp 421 4.5.0 the server answered 250 out of order (at idle) peer\n" },
	{ "closed after the dot",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\n"
		"E: TEXT\nU: end\nC: .\nU: closed\n"
		"E: RECIPIENT 0 temp 421 4.4.2 outcome unknown: connection lost at end of data\n"
		"E: DONE temp 421 4.4.2 outcome unknown: connection lost at end of data connection broken\n" },
	{ "nonsense after the dot",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\n"
		"E: TEXT\nU: end\nC: .\nS: hello\n"
		"E: RECIPIENT 0 temp 421 4.5.0 outcome unknown: the server does not speak SMTP (at end of data)\n"
		"E: DONE temp 421 4.5.0 outcome unknown: the server does not speak SMTP (at end of data) peer broken\n" },
	{ "354 after the dot",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\n"
		"E: TEXT\nU: end\nC: .\nS: 354 go\n"
		"E: RECIPIENT 0 temp 421 4.5.0 outcome unknown: the server answered 354 out of order (at end of data)\n"
		"E: DONE temp 421 4.5.0 outcome unknown: the server answered 354 out of order (at end of data) peer broken\n" },
	{ "refused within the text",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\n"
		"E: TEXT\nU: text some\\r\\n\nC: some\nS: 552 5.3.4 enough\nE: RECIPIENT 0 perm 552 5.3.4 enough\n"
		"E: DONE perm 552 5.3.4 enough peer broken\nU: text more\nU: end\nU: quit\n" },
	{ "250 within the text",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\n"
		"E: TEXT\nS: 250 Ok\nE: RECIPIENT 0 temp 421 4.5.0 the server answered 250 out of order (at text)\n"
		"E: DONE temp 421 4.5.0 the server answered 250 out of order (at text) peer broken\n" },
	{ "250 to DATA", HELLO_PIPELINING
	  "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\n"
	  "E: RECIPIENT 0 temp 421 4.5.0 the server answered 250 out of order (at DATA)\n"
	  "E: DONE temp 421 4.5.0 the server answered 250 out of order (at DATA) peer broken\n" },
	{ "354 to RCPT",
	  HELLO_PIPELINING "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\nS: 250 Ok\nS: 354 go\n"
			   "E: RECIPIENT 0 temp 421 4.5.0 the server answered 354 out of order (at RCPT)\n"
			   "E: DONE temp 421 4.5.0 the server answered 354 out of order (at RCPT) peer broken pipelining?\n" },
	{ "codes that differ within a reply",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-one\nS: 251 two\nE: FAILED temp 421 4.5.0 the server does not speak SMTP (at EHLO) peer\n" },
	{ "greeting 554", "S: 554 5.7.1 go away\nE: FAILED perm 554 5.7.1 go away peer\nU: quit\nC: QUIT\nS: 221 bye\n" },
	{ "greeting 421", "S: 421 4.7.0 too many\nE: FAILED temp 421 4.7.0 too many peer\n" },
	{ "greeting 250",
	  "S: 250 hi\nE: FAILED temp 421 4.5.0 the server answered 250 out of order (at greeting) peer\nU: quit\n" },
	{ "not a mail server",
	  "S: SSH-2.0-OpenSSH_9.2\nE: FAILED temp 421 4.5.0 the server does not speak SMTP (at greeting) peer\n" },
	{ "no greeting", "U: closed timed out\nE: FAILED temp 421 4.4.2 timed out connection\n" },
	{ "long greeting", "S: 220-one\nS: 220-two\nS: 220 three\nC: EHLO relay.example.org\n" },
	{ "HELO",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 502 5.5.2 what?\nC: HELO relay.example.org\nS: 250 hi\nE: READY\n"
	  "U: send a@x\nC: MAIL FROM:<s@example.org>\n",
	  .size = 10 },
	{ "HELO refused",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 550 no\nC: HELO relay.example.org\nS: 550 go\nE: FAILED perm 550 - go peer\n" },
	{ "EHLO 451", "S: 220 hi\nC: EHLO relay.example.org\nS: 451 later\nE: FAILED temp 451 - later peer\n" },
	{ "HELO where TLS is demanded",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 502 no\nC: HELO relay.example.org\nS: 250 hi\n"
	  "E: FAILED temp 421 4.7.4 the server does not offer STARTTLS, which is demanded of it tls\nU: quit\nC: QUIT\n",
	  .use_starttls = true, .need_tls = true },
	{ "STARTTLS",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nE: STARTTLS\n"
	  "U: tls\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN LOGIN\nE: CHALLENGE PLAIN first \nU: response \\0me\\0pw\n"
	  "C: AUTH PLAIN AG1lAHB3\nS: 235 2.7.0 in\nE: READY\n",
	  .use_starttls = true, .need_tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "STARTTLS with text behind it",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\n"
	  "U: raw 220 go\\r\\n250 injected\\r\\n\n"
	  "E: FAILED temp 421 4.7.0 the server sent clear text where TLS should begin tls\nU: quit\n",
	  .use_starttls = true, .need_tls = true },
	{ "STARTTLS not offered",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250 hi\n"
	  "E: FAILED temp 421 4.7.4 the server does not offer STARTTLS, which is demanded of it tls\n",
	  .use_starttls = true, .need_tls = true },
	{ "STARTTLS refused, demanded",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 no\nE: FAILED temp 454 4.7.0 no tls\n",
	  .use_starttls = true, .need_tls = true },
	{ "STARTTLS refused, opportunistic",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 no\nE: READY\n",
	  .use_starttls = true },
	{ "handshake failed",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nE: STARTTLS\n"
	  "U: closed no trust\nE: FAILED temp 421 4.4.2 no trust connection\n",
	  .use_starttls = true },
	{ "no login in clear text",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN\n"
	  "E: FAILED temp 421 4.7.4 a login is configured, and is never sent without TLS tls\n",
	  .mechanisms = "PLAIN" },
	{ "LOGIN",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH=LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\n"
	  "E: CHALLENGE LOGIN first Username:\nU: response me\nC: bWU=\nS: 334 UGFzc3dvcmQ6\nE: CHALLENGE LOGIN next Password:\n"
	  "U: response pw\nC: cHc=\nS: 535 5.7.8 no\nE: FAILED perm 535 5.7.8 no auth\nU: quit\nC: QUIT\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "no common mechanism",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH GSSAPI\n"
	  "E: FAILED temp 421 4.7.0 the server offers no way to log in that we know auth\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "vault cannot",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\n"
	  "E: CHALLENGE LOGIN first Username:\nU: abort away\nC: *\nE: FAILED temp 451 4.3.0 away auth\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "challenges of LOGIN in clear text",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 Who are you?\n"
	  "E: CHALLENGE LOGIN first Who are you?\nU: response me\nC: bWU=\nS: 334\nE: CHALLENGE LOGIN next \nU: response pw\nC: cHc=\nS: 235 in\n"
	  "E: READY\n",
	  .tls = true, .mechanisms = "LOGIN" },
	{ "a challenge that is none",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH SCRAM-SHA-256\nE: CHALLENGE SCRAM-SHA-256 first \n"
	  "U: response x\nC: AUTH SCRAM-SHA-256 eA==\nS: 334 ???\n"
	  "E: FAILED temp 454 4.7.8 the server's challenge is not one auth\nC: *\n",
	  .tls = true, .mechanisms = "SCRAM-SHA-256" },
	{ "PLAIN's initial response is overlooked",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN\nE: CHALLENGE PLAIN first \nU: response pw\n"
	  "C: AUTH PLAIN cHc=\nS: 334 go on\nC: cHc=\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "PLAIN" },
	{ "EXTERNAL's empty initial response is overlooked",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH EXTERNAL\nE: CHALLENGE EXTERNAL first \nU: response \n"
	  "C: AUTH EXTERNAL =\nS: 334 \nC: \nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "EXTERNAL" },
	{ "a certificate where no login is wanted",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN LOGIN\nE: READY\n", .tls = true,
	  .mechanisms = "EXTERNAL", .login_optional = true },
	{ "a certificate by which the login is offered",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN EXTERNAL\nE: CHALLENGE EXTERNAL first \n"
	  "U: response \nC: AUTH EXTERNAL =\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "EXTERNAL", .login_optional = true },
	{ "a certificate that is not shown without TLS",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH EXTERNAL\nE: READY\n", .mechanisms = "EXTERNAL",
	  .login_optional = true },
	{ "CRAM-MD5: the challenge comes first",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH CRAM-MD5\nC: AUTH CRAM-MD5\nS: 334 PGE+\n"
	  "E: CHALLENGE CRAM-MD5 first <a>\nU: response me x\nC: bWUgeA==\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "CRAM-MD5" },
	{ "CRAM-MD5: a challenge that is none",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH CRAM-MD5\nC: AUTH CRAM-MD5\nS: 334 <a>\n"
	  "E: FAILED temp 454 4.7.8 the server's challenge is not one auth\nC: *\n",
	  .tls = true, .mechanisms = "CRAM-MD5" },
	{ "XOAUTH2 is refused by a challenge",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN XOAUTH2\nE: CHALLENGE XOAUTH2 first \n"
	  "U: response x\nC: AUTH XOAUTH2 eA==\nS: 334 e30=\nE: CHALLENGE XOAUTH2 next {}\nU: response \nC: \n"
	  "S: 535 5.7.8 no\nE: FAILED perm 535 5.7.8 no auth\n",
	  .tls = true, .mechanisms = "OAUTHBEARER XOAUTH2" },
	{ "OAUTHBEARER is refused by a challenge that is not encoded, and XOAUTH2 is not tried",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH XOAUTH2 OAUTHBEARER\nE: CHALLENGE OAUTHBEARER first \n"
	  "U: response x\nC: AUTH OAUTHBEARER eA==\nS: 334 {}\nE: CHALLENGE OAUTHBEARER next {}\nU: response y\nC: eQ==\n"
	  "S: 535 5.7.8 no\nE: FAILED perm 535 5.7.8 no auth\n",
	  .tls = true, .mechanisms = "OAUTHBEARER XOAUTH2" },
	{ "OAUTHBEARER is offered, but not built",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH XOAUTH2 OAUTHBEARER\nE: CHALLENGE OAUTHBEARER first \n"
	  "U: response x\nC: AUTH OAUTHBEARER eA==\nS: 504 5.5.4 what?\nE: CHALLENGE XOAUTH2 first \nU: response y\n"
	  "C: AUTH XOAUTH2 eQ==\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "OAUTHBEARER XOAUTH2" },
	{ "XOAUTH2's initial response is overlooked",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH XOAUTH2\nE: CHALLENGE XOAUTH2 first \nU: response x\n"
	  "C: AUTH XOAUTH2 eA==\nS: 334 \nC: eA==\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "XOAUTH2" },
	{ "a token is refused: no password follows",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN PLAIN XOAUTH2\nE: CHALLENGE XOAUTH2 first \n"
	  "U: response x\nC: AUTH XOAUTH2 eA==\nS: 535 5.7.3 no\nE: FAILED perm 535 5.7.3 no auth\n",
	  .tls = true, .mechanisms = "XOAUTH2" },
	{ "a server that repeats the credentials",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH PLAIN\nE: CHALLENGE PLAIN first \nU: response secret\n"
	  "C: AUTH PLAIN c2VjcmV0\nS: 534-5.5.2 unknown: AUTH PLAIN c2VjcmV0\nS: 534 5.5.2 try\n"
	  "E: FAILED perm 534 5.5.2 unknown: AUTH PLAIN ******** try auth\n",
	  .tls = true, .mechanisms = "PLAIN" },
	{ "the next mechanism once",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN PLAIN SCRAM-SHA-256\n"
	  "E: CHALLENGE SCRAM-SHA-256 first \nU: response x\nC: AUTH SCRAM-SHA-256 eA==\nS: 504 5.5.4 not that\n"
	  "E: CHALLENGE PLAIN first \nU: response pw\nC: AUTH PLAIN cHc=\nS: 535 5.7.8 no\nE: FAILED perm 535 5.7.8 no auth\n",
	  .tls = true, .mechanisms = "SCRAM-SHA-256 PLAIN LOGIN" },
	{ "the next mechanism is LOGIN, and works",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN PLAIN\nE: CHALLENGE PLAIN first \nU: response pw\n"
	  "C: AUTH PLAIN cHc=\nS: 535 no\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nE: CHALLENGE LOGIN first Username:\nU: response me\n"
	  "C: bWU=\nS: 334 UGFzc3dvcmQ6\nE: CHALLENGE LOGIN next Password:\nU: response pw\nC: cHc=\nS: 235 in\nE: READY\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "a refusal for another reason",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN PLAIN\nE: CHALLENGE PLAIN first \nU: response pw\n"
	  "C: AUTH PLAIN cHc=\nS: 534 5.7.9 app password\nE: FAILED perm 534 5.7.9 app password auth\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "hangs up on the second mechanism",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN PLAIN\nE: CHALLENGE PLAIN first \nU: response pw\n"
	  "C: AUTH PLAIN cHc=\nS: 535 5.7.8 no\nC: AUTH LOGIN\nU: closed gone\nE: FAILED perm 535 5.7.8 no auth\n",
	  .tls = true, .mechanisms = "PLAIN LOGIN" },
	{ "AUTH 421",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 421 busy\nE: FAILED temp 421 - busy peer\n",
	  .tls = true, .mechanisms = "LOGIN" },
	{ "DSN",
	  HELLO_DSN
	  "U: send a@x b@x\nC: MAIL FROM:<s@example.org> RET=FULL ENVID=e+2B1\nC: RCPT TO:<a@x> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@x\n"
	  "C: RCPT TO:<b@x> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@x\nC: DATA\n",
	  .envid = "e+2B1", .ret = RET_FULL, .orcpt = "rfc822;a@x", .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
	{ "DSN never", HELLO_DSN "U: send a@x\nC: MAIL FROM:<s@example.org> RET=HDRS\nC: RCPT TO:<a@x> NOTIFY=NEVER\nC: DATA\n",
	  .ret = RET_HDRS, .notify = NOTIFY_NEVER },
	{ "DSN without anything to say", HELLO_DSN "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\n" },
	{ "DSN that would be a command",
	  HELLO_DSN "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x> NOTIFY=FAILURE\nC: DATA\n", .envid = "x\r\nRSET",
	  .orcpt = "rfc822;a b", .notify = NOTIFY_FAILURE },
	{ "DSN in UTF-8, to a server without", HELLO_DSN "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\n",
	  .orcpt = "utf-8;\xc3\xbc@x" },
	{ "DSN to a server without", HELLO_PIPELINING "U: send a@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: DATA\n",
	  .envid = "e1", .ret = RET_FULL, .orcpt = "rfc822;a@x", .notify = NOTIFY_DELAY },
	{ "too large",
	  HELLO "U: send a@x b@x\nE: RECIPIENT 0 perm 552 5.3.4 the message is larger than the next hop takes\n"
		"E: RECIPIENT 1 perm 552 5.3.4 the message is larger than the next hop takes\n"
		"E: DONE perm 552 5.3.4 the message is larger than the next hop takes none reusable\nE: READY\n",
	  .size = 1001 },
	{ "8-bit", HELLO "U: send a@x\nC: MAIL FROM:<s@example.org> SIZE=1000 BODY=8BITMIME\n", .size = 1000,
	  .body = BODY_8BITMIME },
	{ "8-bit to a server without",
	  HELLO_PIPELINING
	  "U: send a@x\nE: RECIPIENT 0 perm 554 5.6.3 the message needs 8BITMIME, which the next hop lacks\n"
	  "E: DONE perm 554 5.6.3 the message needs 8BITMIME, which the next hop lacks none reusable\nE: READY\n",
	  .body = BODY_8BITMIME },
	{ "UTF-8 to a server without",
	  HELLO_PIPELINING
	  "U: send a@x\nE: RECIPIENT 0 perm 550 5.6.7 the addresses need SMTPUTF8, which the next hop lacks\n"
	  "E: DONE perm 550 5.6.7 the addresses need SMTPUTF8, which the next hop lacks none reusable\nE: READY\n",
	  .utf8 = true },
	{ "an address that would be a command", HELLO
	  "U: send bad a@x bad\nE: RECIPIENT 0 perm 553 5.1.3 the recipient's address cannot be sent\n"
	  "E: RECIPIENT 2 perm 553 5.1.3 the recipient's address cannot be sent\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\n"
	  "S: 250 Ok\nC: DATA\nS: 354 go\nE: TEXT\nU: end\nC: .\nS: 250 Ok\nE: RECIPIENT 1 ok 250 - Ok\nE: DONE ok 250 - Ok none reusable\nE: READY\n" },
	{ "only such addresses", HELLO "U: send bad\nE: RECIPIENT 0 perm 553 5.1.3 the recipient's address cannot be sent\n"
				       "E: DONE perm 553 5.1.3 no recipient's address can be sent none reusable\nE: READY\n" },
	{ "bare line feeds are tolerated in replies",
	  "U: raw 220 hi\\n\nE: \nC: EHLO relay.example.org\nU: raw 250 hi\\n\nE: READY\n" },
	{ "dots",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\nC: RCPT TO:<a@x>\nS: 250 Ok\nC: DATA\nS: 354 go\nE: TEXT\n"
		"U: text .\\r\\n..\\r\\na.b\\r\\n.\nU: text .\\r\\n\nU: text .end\nU: end\n"
		"C: ..\nC: ...\nC: a.b\nC: ...\nC: ..end\nC: .\n" },
	{ "enhanced codes that are none",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 550 4.1.1 odd\nE: RECIPIENT 0 perm 550 - 4.1.1 odd\n"
		"E: DONE perm 550 - 4.1.1 odd none reusable\nC: RSET\nS: 250 Ok\nE: READY\n"
		"U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 550 5.1234.1 odd\nE: RECIPIENT 0 perm 550 - 5.1234.1 odd\n"
		"E: DONE perm 550 - 5.1234.1 odd none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "one chunk, no dots stuffed, the last line ended", HELLO_CHUNKING CHUNKS_2
	  "T: yes\nU: text .hi\\r\\n.\\r\\n.x\nU: end\nU: end\nC: BDAT 12 LAST\nC: .hi\nC: .\nC: .x\nS: 250 2.0.0 queued\n" BOTH(
		  "ok", "250",
		  "2.0.0 queued") " none reusable\nE: READY\nU: send c@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<c@x>\n"
				  "S: 250 Ok\nS: 250 Ok\nE: TEXT\nU: text y\\r\\n\nU: end\nC: BDAT 3 LAST\nC: y\nS: 250 Ok\nE: RECIPIENT 0 ok 250 - Ok\n"
				  "E: DONE ok 250 - Ok none reusable\nE: READY\n" },
	{ "no text in chunks",
	  HELLO_CHUNKING CHUNKS_2 "U: end\nC: BDAT 0 LAST\nS: 250 Ok\n" BOTH("ok", "250", "- Ok") " none reusable\nE: READY\n" },
	{ "DATA in spite of CHUNKING",
	  HELLO_CHUNKING GROUP_2 "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nE: TEXT\nU: end\nC: .\n", .plain = true },
	{ "chunks, pipelined, the last one waits", HELLO_CHUNKING CHUNKS_2
	  "U: fill 40000\nT: yes\nU: fill 40000\nC: BDAT 40000\nB: 40000\nT: yes\nU: fill 100\nC: BDAT 40000\nB: 40000\nU: text \\r\\n\nU: end\n"
	  "S: 250 one\nE: \nS: 250 two\nC: BDAT 102 LAST\nB: 102\nS: 250 Ok\n" BOTH("ok", "250",
										    "- Ok") " none reusable\nE: READY\n" },
	{ "chunks one by one",
	  "S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250 CHUNKING\nE: READY\nU: send a@x b@x\nC: MAIL FROM:<s@example.org>\nS: 250 Ok\n"
	  "C: RCPT TO:<a@x>\nS: 250 Ok\nC: RCPT TO:<b@x>\nS: 550 no\nE: RECIPIENT 1 perm 550 - no\nE: TEXT\nU: fill 40000\nT: yes\nU: fill 40000\n"
	  "C: BDAT 40000\nB: 40000\nT: no\nS: 250 one\nE: \nT: yes\nU: text z\nC: BDAT 40000\nB: 40000\nT: yes\nU: end\nS: 250 two\n"
	  "C: BDAT 3 LAST\nC: z\nS: 452 4.3.1 full\nE: RECIPIENT 0 temp 452 4.3.1 full\nE: DONE temp 452 4.3.1 full none reusable\nC: RSET\n"
	  "S: 250 Ok\nE: READY\n" },
	{ "chunks: all refused", HELLO_CHUNKING
	  "U: send a@x b@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: RCPT TO:<b@x>\nS: 250 Ok\nS: 550 no\nE: RECIPIENT 0 perm 550 - no\n"
	  "S: 450 no\nE: RECIPIENT 1 temp 450 - no\nE: DONE temp 450 - no none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "chunks: MAIL refused", HELLO_CHUNKING
	  "U: send a@x b@x\nC: MAIL FROM:<s@example.org>\nC: RCPT TO:<a@x>\nC: RCPT TO:<b@x>\nS: 550 no\nE: RECIPIENT 0 perm 550 - no\n"
	  "E: RECIPIENT 1 perm 550 - no\nS: 503 no\nS: 503 no\nE: DONE perm 550 - no none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "a chunk in the middle is refused", HELLO_CHUNKING CHUNKS_2
	  "U: fill 40000\nU: fill 40000\nC: BDAT 40000\nB: 40000\nU: fill 40000\nC: BDAT 40000\nB: 40000\nS: 250 one\nE: \nS: 552 5.3.4 too big\n" BOTH(
		  "perm", "552", "5.3.4 too big") " peer broken\nU: fill 40000\nU: end\n" },
	{ "the first of several chunks is refused for the time being",
	  HELLO_CHUNKING CHUNKS_2 "U: fill 40000\nU: fill 40000\nC: BDAT 40000\nB: 40000\nU: end\nS: 452 4.3.1 full\n" BOTH(
		  "temp", "452", "4.3.1 full") " peer broken\n" },
	{ "BDAT is not known, one chunk",
	  HELLO_CHUNKING CHUNKS_2 "U: text x\nU: end\nC: BDAT 3 LAST\nC: x\nS: 502 5.5.1 what?\n" BOTH(
		  "temp", "451", "4.5.0 the server offers CHUNKING, and answers 502 to BDAT: what?") " peer broken chunking?\n" },
	{ "BDAT is not known, several",
	  HELLO_CHUNKING CHUNKS_2 "U: fill 40000\nU: fill 40000\nC: BDAT 40000\nB: 40000\nS: 500 what?\n" BOTH(
		  "temp", "451", "4.5.0 the server offers CHUNKING, and answers 500 to BDAT: what?") " peer broken chunking?\n" },
	{ "503 to a later chunk is a refusal", HELLO_CHUNKING CHUNKS_2
	  "U: fill 40000\nU: text x\nC: BDAT 40000\nB: 40000\nU: end\nS: 250 one\nC: BDAT 3 LAST\nB: 3\nS: 503 no\n" BOTH(
		  "perm", "503", "- no") " none reusable\nC: RSET\nS: 250 Ok\nE: READY\n" },
	{ "an answer before any chunk",
	  HELLO_CHUNKING CHUNKS_2 "S: 500 enough\n" BOTH("perm", "500", "- enough") " peer broken\n" },
	{ "an answer to a chunk too many",
	  HELLO_CHUNKING CHUNKS_2 "U: fill 40000\nU: text x\nC: BDAT 40000\nB: 40000\nS: 250 one\nE: \nS: 250 two\n" BOTH(
		  "temp", "421", "4.5.0 the server answered 250 out of order (at BDAT)") " peer broken chunking?\n" },
	{ "354 to a chunk",
	  HELLO_CHUNKING CHUNKS_2 "U: text x\nU: end\nC: BDAT 3 LAST\nC: x\nS: 354 go\n" BOTH(
		  "temp", "421",
		  "4.5.0 outcome unknown: the server answered 354 out of order (at end of data)") " peer broken chunking?\n" },
	{ "lost between chunks",
	  HELLO_CHUNKING CHUNKS_2 "U: fill 40000\nU: text x\nC: BDAT 40000\nB: 40000\nU: end\nU: closed\n" BOTH(
		  "temp", "421", "4.4.2 connection lost at BDAT") " connection broken chunking?\n" },
	{ "lost after the last chunk",
	  HELLO_CHUNKING CHUNKS_2 "U: text x\nU: end\nC: BDAT 3 LAST\nC: x\nU: closed\n" BOTH(
		  "temp", "421", "4.4.2 outcome unknown: connection lost at end of data") " connection broken chunking?\n" },
	{ "421 between chunks", HELLO_CHUNKING CHUNKS_2
	  "U: fill 40000\nU: text x\nC: BDAT 40000\nB: 40000\nS: 421 4.3.2 bye\n" BOTH("temp", "421",
										       "4.3.2 bye") " peer broken\n" },
	{ "a reply without text",
	  HELLO "U: send a@x\nC: MAIL FROM:<s@example.org>\nS: 250\nC: RCPT TO:<a@x>\nS: 550\nE: RECIPIENT 0 perm 550 - \n"
		"E: DONE perm 550 -  none reusable\nC: RSET\nS: 250\nE: READY\n" },
};

static void test_dialogues(void **state)
{
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		run_dialogue(&dialogues[i], false);
		run_dialogue(&dialogues[i], true);
	}
}

/* A client that has come to READY after `ehlo` as the answer to EHLO. */
static struct smtp_client *ready_client(const struct smtp_client_config *config, const char *ehlo)
{
	struct smtp_client *c = smtp_client_new(config);
	struct smtp_client_event e;

	smtp_client_feed(c, S("220 mx.example.net ready\r\n"));
	assert_false(smtp_client_next(c, &e));
	assert_int_equal(smtp_client_waits(c), WAIT_COMMAND);
	assert_string_equal(smtp_client_stage(c), "EHLO");
	smtp_client_feed(c, str_of(ehlo));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_READY);
	assert_int_equal(smtp_client_waits(c), WAIT_NONE);
	buf_clear(smtp_client_output(c));
	return c;
}

static void test_peer(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = ready_client(
		&config, "250-mx SIZE 7\r\n250-size 123\r\n250-Pipelining\r\n250-8BITMIME\r\n250-DSN\r\n"
			 "250-SMTPUTF8\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250-REQUIRETLS\r\n"
			 "250-AUTH plain  Login\r\n250-AUTH=XOAUTH2 NTLM\r\n250-LIMITS MAILMAX=5 RCPTMAX=77\r\n250 STARTTLS\r\n");
	const struct smtp_peer *peer = smtp_client_peer(c);

	assert_int_equal(peer->features, PEER_PIPELINING | PEER_8BITMIME | PEER_STARTTLS | PEER_SIZE | PEER_DSN | PEER_SMTPUTF8 |
						 PEER_CHUNKING | PEER_ENHANCED | PEER_REQUIRETLS);
	assert_int_equal(peer->size, 123);
	assert_int_equal(peer->rcptmax, 77);
	assert_int_equal(peer->mailmax, 5);
	assert_true(str_eq(peer->mechanisms, S("PLAIN LOGIN XOAUTH2 NTLM")));
	assert_true(str_eq(peer->greeting, S("mx.example.net ready")));
	smtp_client_free(c);

	c = ready_client(&config, "250-mx\r\n250-SIZE\r\n250-PIPELINING2\r\n250 X-RCPTLIMIT 9\r\n");
	assert_int_equal(smtp_client_peer(c)->features, PEER_SIZE);
	assert_int_equal(smtp_client_peer(c)->size, 0);
	assert_int_equal(smtp_client_peer(c)->rcptmax, 9);
	smtp_client_free(c);

	c = ready_client(&config, "250-mx\r\n250-BinaryMIME\r\n250-DELIVERBY 600\r\n250 MT-PRIORITY STANAG4406\r\n");
	assert_int_equal(smtp_client_peer(c)->features, PEER_BINARYMIME | PEER_DELIVERBY | PEER_MT_PRIORITY);
	assert_int_equal(smtp_client_peer(c)->by_min_s, 600);
	smtp_client_free(c);

	c = ready_client(&config, "250-mx\r\n250 DELIVERBY soon\r\n");
	assert_int_equal(smtp_client_peer(c)->features, PEER_DELIVERBY);
	assert_int_equal(smtp_client_peer(c)->by_min_s, 0);
	smtp_client_free(c);
}

/* Whatever the server sends, memory and texts stay bounded. */
static void test_bounds(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = smtp_client_new(&config);
	struct smtp_client_event e;
	static char line[4096], huge[65536];

	memset(line, 'x', sizeof line);
	memset(huge, 'x', sizeof huge);
	smtp_client_feed(c, S("220 "));
	smtp_client_feed(c, str_make(huge, sizeof huge - 5));
	assert_false(smtp_client_next(c, &e));
	smtp_client_feed(c, str_make(line, 1)); /* a line without an end */
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_FAILED);
	assert_int_equal(e.verdict.code, 421);
	assert_true(str_eq(e.verdict.enhanced, S("4.5.0")));
	smtp_client_free(c);

	c = smtp_client_new(&config); /* lines without an end */
	memcpy(line, "220-", 4);
	memcpy(line + 3000, "\r\n", 2);
	for (int i = 0; i < 21; i++)
		smtp_client_feed(c, str_make(line, 3002));
	assert_false(smtp_client_next(c, &e));
	smtp_client_feed(c, str_make(line, 3002));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_FAILED);
	smtp_client_free(c);

	c = smtp_client_new(&config);
	memcpy(line, "554-", 4);
	memcpy(line + 2000, "\r\n", 2);
	for (int i = 0; i < 10; i++)
		smtp_client_feed(c, str_make(line, 2002));
	smtp_client_feed(c, S("554 end\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.verdict.class, PERM);
	assert_in_range(e.verdict.text.n, 900, 1024);
	assert_true(str_ends(e.verdict.text, S("...")));
	smtp_client_free(c);

	c = ready_client(&config, "250 hi\r\n"); /* silence is demanded of an idle server */
	for (int i = 0; i < 100; i++)
		smtp_client_feed(c, str_make(line, sizeof line));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_FAILED);
	assert_int_equal(e.fault, FAULT_PEER);
	smtp_client_free(c);
}

/* Talkative servers: a greeting of 3,000 bytes, an EHLO of 120 lines, a refusal of 70; the codes count, the words are cut for keeping. */
static void test_long_replies(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = smtp_client_new(&config);
	struct smtp_recipient recipients[] = { { S("a@x") } };
	struct smtp_transaction t = { .sender = S("s@x"), .recipients = recipients, .recipients_n = 1 };
	struct smtp_client_event e;
	char line[3100];

	memset(line, 'x', sizeof line);
	memcpy(line, "220 ", 4);
	memcpy(line + 3000, "\r\n", 2);
	smtp_client_feed(c, str_make(line, 3002));
	assert_false(smtp_client_next(c, &e));
	for (int i = 0; i < 120; i++)
		smtp_client_feed(c, i == 110 ? S("250-SMTPUTF8\r\n") : S("250-XTENSION-OF-OURS with parameters\r\n"));
	smtp_client_feed(c, S("250 SIZE 1000\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_READY);
	assert_int_equal(smtp_client_peer(c)->features, PEER_SMTPUTF8 | PEER_SIZE);
	smtp_client_send(c, &t);
	assert_false(smtp_client_next(c, &e));
	memcpy(line, "550-5.7.1 ", 10);
	for (int i = 0; i < 20; i++)
		smtp_client_feed(c, str_make(line, 3002));
	for (int i = 0; i < 50; i++)
		smtp_client_feed(c, S("550-and so on\r\n"));
	smtp_client_feed(c, S("550 5.7.1 the end\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_RECIPIENT);
	assert_int_equal(e.verdict.code, 550);
	assert_true(str_eq(e.verdict.enhanced, S("5.7.1")));
	assert_in_range(e.verdict.text.n, 900, 1024);
	smtp_client_free(c);
}

/* Any bytes whatever, in pieces, arrive as they are. */
static void test_binary(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = ready_client(&config, "250-hi\r\n250-CHUNKING\r\n250 BINARYMIME\r\n");
	struct smtp_recipient recipients[] = { { S("a@x") } };
	struct smtp_transaction t = { .sender = S("s@x"), .body = BODY_BINARYMIME, .recipients = recipients, .recipients_n = 1 };
	struct smtp_client_event e;
	char bytes[1024];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	memcpy(bytes, "\r\n.\r\n.", 7);
	smtp_client_send(c, &t);
	smtp_client_feed(c, S("250 Ok\r\n"));
	assert_false(smtp_client_next(c, &e));
	smtp_client_feed(c, S("250 Ok\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_TEXT);
	buf_clear(smtp_client_output(c));
	for (size_t i = 0; i < sizeof bytes; i += 64)
		smtp_client_text(c, str_make(bytes + i, 64));
	smtp_client_text_end(c);
	assert_int_equal(smtp_client_output(c)->n, 16 + sizeof bytes);
	assert_memory_equal(buf_view(smtp_client_output(c)).p, "BDAT 1024 LAST\r\n", 16);
	assert_memory_equal(buf_view(smtp_client_output(c)).p + 16, bytes, sizeof bytes);
	smtp_client_free(c);
}

/* A user who decides at the last moment: the chunks before the last one are answered, and it is small. */
static void test_last_moment(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = ready_client(&config, "250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
	struct smtp_recipient recipients[] = { { S("a@x") } };
	struct smtp_transaction t = { .sender = S("s@x"), .recipients = recipients, .recipients_n = 1 };
	struct smtp_client_event e;
	static char bytes[50000];

	memset(bytes, 'x', sizeof bytes);
	smtp_client_send(c, &t);
	smtp_client_feed(c, S("250 Ok\r\n250 Ok\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_TEXT);
	buf_clear(smtp_client_output(c));
	smtp_client_text(c, str_make(bytes, sizeof bytes));
	smtp_client_text(c, S("end")); /* the bytes before go */
	assert_true(str_starts(buf_view(smtp_client_output(c)), S("BDAT 50000\r\n")));
	buf_clear(smtp_client_output(c));
	smtp_client_text(c, str_make(bytes, 3000));
	assert_false(smtp_client_nears_end(c)); /* the first chunk has no answer */
	assert_int_equal(smtp_client_output(c)->n, 0);
	smtp_client_feed(c, S("250 Ok\r\n"));
	assert_false(smtp_client_next(c, &e));
	assert_false(smtp_client_nears_end(c));
	assert_true(str_starts(buf_view(smtp_client_output(c)), S("BDAT 1979\r\nendxx")));
	assert_int_equal(smtp_client_output(c)->n, 11 + 1979);
	buf_clear(smtp_client_output(c));
	assert_false(smtp_client_nears_end(c));
	assert_int_equal(smtp_client_output(c)->n, 0);
	smtp_client_feed(c, S("250 Ok\r\n"));
	assert_false(smtp_client_next(c, &e));
	assert_true(smtp_client_nears_end(c));
	assert_int_equal(smtp_client_output(c)->n, 0);
	smtp_client_text_end(c);
	assert_true(str_starts(buf_view(smtp_client_output(c)), S("BDAT 1026 LAST\r\nxx")));
	assert_false(smtp_client_nears_end(c));
	smtp_client_free(c);
}

/* A group of more commands than the window goes out in parts, and each reply makes room for one more. */
static void test_window(void **state)
{
	enum { N = 250 };
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = ready_client(&config, "250-hi\r\n250 PIPELINING\r\n");
	struct smtp_recipient recipients[N];
	struct smtp_transaction t = { .sender = S(""), .recipients = recipients, .recipients_n = N };
	struct smtp_client_event e;
	size_t answered = 0, told = 0;
	bool text = false;

	for (size_t i = 0; i < N; i++)
		recipients[i] = (struct smtp_recipient){ S("a@x") };
	smtp_client_send(c, &t);
	for (size_t written = 0; !text;) {
		struct str out = buf_view(smtp_client_output(c)), line;

		while (str_split(&out, '\n', &line))
			written += line.n > 0;
		buf_clear(smtp_client_output(c));
		assert_in_range(written - answered, 1, 100);
		smtp_client_feed(c, ++answered <= N + 1 ? S("250 Ok\r\n") : S("354 go\r\n"));
		text = smtp_client_next(c, &e);
	}
	assert_int_equal(e.type, CLIENT_TEXT);
	assert_int_equal(answered, N + 2);
	smtp_client_text_end(c);
	smtp_client_feed(c, S("250 done\r\n"));
	while (smtp_client_next(c, &e))
		told += e.type == CLIENT_RECIPIENT && e.verdict.class == OK;
	assert_int_equal(told, N);
	smtp_client_free(c);
}

/* A client that has an initial response of this length to send. */
static struct smtp_client *long_login(const struct smtp_client_config *config, size_t n)
{
	struct smtp_client *c = smtp_client_new(config);
	struct smtp_client_event e;
	static char secret[16000];

	memset(secret, 'p', sizeof secret);
	smtp_client_feed(c, S("220 hi\r\n250-hi\r\n250 AUTH PLAIN XOAUTH2\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_CHALLENGE);
	buf_clear(smtp_client_output(c));
	smtp_client_auth_response(c, str_make(secret, n));
	return c;
}

/* RFC 4954 section 4: the line of AUTH has at most 512 octets; a longer initial response waits for the server's 334. */
static void test_long_initial_response(void **state)
{
	struct smtp_client_config config = { .hostname = S("h"), .tls = true, .mechanisms = S("PLAIN") };
	struct smtp_client *c = long_login(&config, 372);
	struct smtp_client_event e;

	assert_int_equal(smtp_client_output(c)->n, strlen("AUTH PLAIN ") + 496 + 2); /* 509: four more are too many */
	smtp_client_free(c);

	c = long_login(&config, 375);
	assert_true(str_eq(buf_view(smtp_client_output(c)), S("AUTH PLAIN\r\n")));
	buf_clear(smtp_client_output(c));
	smtp_client_feed(c, S("334 \r\n"));
	assert_false(smtp_client_next(c, &e));
	assert_int_equal(smtp_client_output(c)->n, 502);
	smtp_client_feed(c, S("235 in\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_READY);
	smtp_client_free(c);
}

/* 12288 octets are enough for every mechanism (RFC 4954 section 4). A server that takes no AUTH without initial response gets it. */
static void test_long_token(void **state)
{
	struct smtp_client_config config = { .hostname = S("h"), .tls = true, .mechanisms = S("XOAUTH2") };
	struct smtp_client *c = long_login(&config, 9000);
	struct smtp_client_event e;

	smtp_client_feed(c, S("334 \r\n"));
	buf_clear(smtp_client_output(c));
	assert_false(smtp_client_next(c, &e));
	assert_int_equal(smtp_client_output(c)->n, 12002);
	buf_clear(smtp_client_output(c));
	smtp_client_feed(c, S("334 e30=\r\n")); /* the answer to the token */
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_CHALLENGE);
	assert_true(str_search(smtp_client_transcript(c), S("cHBw")) == smtp_client_transcript(c).n);
	smtp_client_free(c);

	c = long_login(&config, 9000);
	smtp_client_feed(c, S("501 5.5.4 Syntax: AUTH mechanism initial-response\r\n"));
	buf_clear(smtp_client_output(c));
	assert_false(smtp_client_next(c, &e));
	assert_int_equal(smtp_client_output(c)->n, strlen("AUTH XOAUTH2 ") + 12000 + 2);
	assert_true(str_search(smtp_client_transcript(c), S("cHBw")) == smtp_client_transcript(c).n);
	smtp_client_feed(c, S("501 5.5.4 no\r\n")); /* once */
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_FAILED);
	smtp_client_free(c);
}

/* The transcript has begin and end, no credentials, and at most 4 KiB. */
static void test_transcript(void **state)
{
	struct smtp_client_config config = { .hostname = S("relay.example.org"), .tls = true, .mechanisms = S("LOGIN PLAIN") };
	struct smtp_client *c = smtp_client_new(&config);
	struct smtp_client_event e;
	struct smtp_recipient recipients[200];
	struct str seen;
	struct smtp_transaction t = { .sender = S("s@example.org"), .recipients = recipients, .recipients_n = 1 };

	smtp_client_feed(c, S("220 hi\r\n"));
	assert_false(smtp_client_next(c, &e));
	smtp_client_feed(c, S("250-hi\r\n250-PIPELINING\r\n250 AUTH LOGIN\r\n"));
	assert_false(smtp_client_next(c, &e));
	smtp_client_feed(c, S("334 VXNlcm5hbWU6\r\n"));
	assert_true(smtp_client_next(c, &e));
	smtp_client_auth_response(c, S("secret-name"));
	smtp_client_feed(c, S("334 UGFzc3dvcmQ6\r\n"));
	assert_true(smtp_client_next(c, &e));
	smtp_client_auth_response(c, S("secret-word"));
	smtp_client_feed(c, S("235 in\r\n"));
	assert_true(smtp_client_next(c, &e));
	recipients[0] = (struct smtp_recipient){ S("first@x") };
	smtp_client_send(c, &t);
	smtp_client_feed(c, S("250 Ok\r\n550 5.1.1 unknown\r\n554 no\r\n"));
	while (smtp_client_next(c, &e))
		;
	assert_true(str_eq(
		smtp_client_transcript(c),
		S("S: 220 hi\nC: EHLO relay.example.org\nS: 250-hi\nS: 250-PIPELINING\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\n"
		  "S: 334 (challenge)\nC: (credentials)\nS: 334 (challenge)\nC: (credentials)\nS: 235 in\n"
		  "C: MAIL FROM:<s@example.org>\nC: RCPT TO:<first@x>\nC: DATA\nS: 250 Ok\nS: 550 5.1.1 unknown\nS: 554 no\nC: RSET\n")));
	smtp_client_feed(c, S("250 Ok\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_READY);

	for (size_t i = 0; i < 200; i++)
		recipients[i] = (struct smtp_recipient){ S("a.recipient@with.a.long.name.example.org") };
	t.recipients_n = 200;
	smtp_client_send(c, &t);
	for (int i = 0; i < 201; i++) {
		smtp_client_feed(c, S("250 Ok\r\n"));
		assert_false(smtp_client_next(c, &e));
	}
	smtp_client_feed(c, S("354 go\r\n"));
	assert_true(smtp_client_next(c, &e));
	smtp_client_text(c, S("hidden\r\n"));
	smtp_client_text_end(c);
	smtp_client_feed(c, S("554 5.6.0 spam\r\n"));
	while (smtp_client_next(c, &e))
		;
	seen = smtp_client_transcript(c);
	assert_in_range(seen.n, 2000, 4096);
	assert_true(str_starts(seen, S("S: 220 hi\n")));
	assert_true(str_search(seen, S("\n...\n")) < seen.n);
	assert_true(str_search(seen, S("first@x")) == seen.n);
	assert_true(str_search(seen, S("hidden")) == seen.n);
	assert_true(str_search(seen, S("secret")) == seen.n);
	assert_true(str_ends(seen, S("S: 354 go\nC: (text, 8 bytes)\nC: .\nS: 554 5.6.0 spam\n")));
	smtp_client_free(c);
}

/* Steps of the dialogue, and whose words a verdict is. */
static void test_steps(void **state)
{
	struct smtp_client_config config = { .hostname = S("h"), .tls = true, .mechanisms = S("PLAIN") };
	struct smtp_client *c = smtp_client_new(&config);
	struct smtp_client_event e;
	struct smtp_recipient recipients[] = { { S("a@x") }, { S("b@x") } };
	struct smtp_transaction t = { .sender = S("s@x"), .recipients = recipients, .recipients_n = 2 };

	smtp_client_feed(c, S("220 hi\r\n250-hi\r\n250 AUTH PLAIN\r\n"));
	assert_true(smtp_client_next(c, &e));
	smtp_client_auth_response(c, S("x"));
	smtp_client_feed(c, S("535 5.7.8 no\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_FAILED);
	assert_int_equal(e.step, STEP_AUTH);
	assert_true(e.replied);
	smtp_client_free(c);

	c = smtp_client_new(&config);
	smtp_client_feed(c, S("220 hi\r\n250 hi\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.fault, FAULT_AUTH);
	assert_false(e.replied);
	smtp_client_free(c);

	config.mechanisms = S("");
	c = ready_client(&config, "250-hi\r\n250 PIPELINING\r\n");
	smtp_client_send(c, &t);
	smtp_client_feed(c, S("250 Ok\r\n550 no\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.step, STEP_RCPT);
	smtp_client_feed(c, S("250 Ok\r\n354 go\r\n"));
	assert_true(smtp_client_next(c, &e));
	smtp_client_text_end(c);
	smtp_client_feed(c, S("550 no\r\n"));
	assert_true(smtp_client_next(c, &e));
	assert_int_equal(e.type, CLIENT_RECIPIENT);
	assert_int_equal(e.step, STEP_DATA);
	smtp_client_free(c);
}

/* Only whole replies and what follows from them are progress. */
static void test_progress(void **state)
{
	struct smtp_client_config config = { .hostname = S("h") };
	struct smtp_client *c = smtp_client_new(&config);
	struct smtp_client_event e;
	uint64_t before = smtp_client_progress(c);

	for (int i = 0; i < 20; i++) {
		smtp_client_feed(c, i % 2 ? S("\r\n") : S("220-hello"));
		assert_false(smtp_client_next(c, &e));
		assert_int_equal(smtp_client_progress(c), before);
	}
	smtp_client_feed(c, S("220 at last\r\n"));
	assert_false(smtp_client_next(c, &e));
	assert_true(smtp_client_progress(c) > before);
	smtp_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),   cmocka_unit_test(test_peer),
		cmocka_unit_test(test_bounds),      cmocka_unit_test(test_long_replies),
		cmocka_unit_test(test_binary),      cmocka_unit_test(test_window),
		cmocka_unit_test(test_last_moment), cmocka_unit_test(test_long_initial_response),
		cmocka_unit_test(test_long_token),  cmocka_unit_test(test_transcript),
		cmocka_unit_test(test_steps),       cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
