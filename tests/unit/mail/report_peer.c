/* report_peer.c - write reports of several kinds into DIR; report_peer.py reads them with Python's mail parser. */
#include "report_input.h"

#include <stdio.h>
#include <stdlib.h>

static void write_file(const char *directory, const char *name, struct str header, struct str body, bool is_8bit)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s-%s", directory, name, is_8bit ? "8bit" : "7bit");
	FILE *f = fopen(path, "w");
	if (!f || fwrite(header.p, 1, header.n, f) != header.n || fputs("\r\n", f) < 0 ||
	    fwrite(body.p, 1, body.n, f) != body.n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void write_input(const char *directory, const char *name, const struct report_input *in)
{
	struct arena a = { 0 };
	struct str header, body;
	bool is_8bit;

	mail_report(&a, in, &header, &body, &is_8bit);
	write_file(directory, name, header, body, is_8bit);
	arena_fini(&a);
}

static void write_report(const char *directory, const char *name, const struct report_recipient *r, size_t n, struct str original)
{
	struct report_input in = report_base(r, n, original);

	write_input(directory, name, &in);
}

/* The kinds that are no failures, RET=FULL, and a notice. */
static void write_others(const char *directory, struct report_recipient bob, struct str original)
{
	struct report_input in = report_base(&bob, 1, original);
	struct notification_input notice = { .hostname = S("relay.example.org"),
					     .id = 2,
					     .now_ms = NOW,
					     .to = S("alice@example.org"),
					     .subject = S("A report could not be delivered"),
					     .words = S("To: J\xc3\xb6rg\n\n    550 no") };
	struct arena a = { 0 };
	struct str header, body;
	bool is_8bit;

	in.return_full = true;
	in.original_body = S("J\xc3\xb6rg\r\n");
	write_input(directory, "full", &in);
	in.kind = REPORT_DELAY;
	in.will_retry_until = NOW + 60000;
	bob.verdict = temp(451, S("4.7.1"), S("greylisted"));
	write_input(directory, "delayed", &in);
	in.kind = REPORT_SUCCESS;
	bob.verdict = ok_text(250, S("2.1.5"), S("fine"));
	write_input(directory, "delivered", &in);
	in.kind = REPORT_RELAYED;
	write_input(directory, "relayed", &in);
	mail_notification(&a, &notice, &header, &body, &is_8bit);
	write_file(directory, "notice", header, body, is_8bit);
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	struct report_recipient bob = { .address = S("bob@example.net"),
					.orcpt = S("rfc822;bob+2Bx@example.net"),
					.verdict = perm(550, S("5.1.1"), S("no such user")),
					.remote = S("mx.example.net [192.0.2.1]"),
					.last_at = NOW - 60000 };
	struct report_recipient carol = { .address = S("carol@example.com"),
					  .verdict = temp(451, S("4.2.0"),
							  S("greylisted \xe2\x82\xac, come back later, and say again what you "
							    "want; see https://example.com/why/this/link/is/long")),
					  .remote = S("mx.example.com [2001:db8::1]") };
	struct report_recipient odd = bob;
	struct str original = S("From: Alice <alice@example.org>\r\nSubject: Dinner\r\nMessage-ID: <m@example.org>\r\n");

	if (argc != 2)
		return 64;
	write_report(argv[1], "plain", &bob, 1, original);
	write_report(argv[1], "two", (struct report_recipient[]){ bob, carol }, 2, original);
	write_others(argv[1], bob, original);
	odd.address = S("j\xc3\xb6rg@b\xc3\xbc"
			"cher.example");
	write_report(argv[1], "utf8", &odd, 1, S("From: J\xc3\xb6rg <alice@example.org>\r\nSubject: \xc3\xb6\r\n"));
	odd.address = S("bob@example.net");
	odd.verdict.text = S("no\r\n\r\n--=_posthouse_00112233445566778899aabb--\r\nX-Evil: y");
	odd.remote = S("mx\r\n\r\nX-Evil: 1");
	write_report(argv[1], "hostile", &odd, 1, original);
	return 0;
}
