/* headers.c - `posthouse doctor --headers FILE|-`: reads a message, looks up the keys of its signatures, and prints what it
 * tells. */
#include "headers.h"

#include "posthouse/clock.h"
#include "posthouse/dns_library.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define TEXT_MAX (64 * MIB)
#define LOOK_MS  8000

static struct str read_text(struct arena *a, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char piece[65536];
	struct str text;
	struct buf b;

	if (!f)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	buf_init(&b, TEXT_MAX);
	for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
		if (!buf_add(&b, str_make(piece, n)))
			die(EX_DATAERR, "%s: more than 64 MiB", path);
	if (ferror(f))
		die(EX_IOERR, "%s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	text = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return text;
}

/* ---- the keys ---- */

struct look {
	struct arena *a;
	uv_loop_t loop;
	struct dns *dns;
	size_t open;
};
struct question {
	struct look *look;
	struct headers_key *key;
};

static void on_found(void *ctx, const struct dns_found *f)
{
	struct question *q = ctx;
	struct headers_key *k = q->key;

	if (f->verdict.class != OK) {
		k->state = KEY_UNKNOWN;
		k->why = arena_str(q->look->a, f->why);
	} else {
		k->state = f->n > 0 ? KEY_THERE : KEY_MISSING;
		k->record = f->n > 0 ? dns_text(q->look->a, f->records[0]) : S("");
	}
	if (--q->look->open == 0)
		uv_stop(&q->look->loop);
}

static void look_up(struct arena *a, const struct config *c, const char *resolver, struct headers_input *in)
{
	struct dns_options o = { .resolver = resolver ? str_of(resolver) : c->delivery.resolver,
				 .trust_anchor = c->delivery.trust_anchor,
				 .unsigned_zones = c->delivery.unsigned_zones,
				 .ipv4 = true,
				 .ipv6 = true };
	struct question *questions = ARENA_ARRAY(a, struct question, in->signatures_n + 1);
	struct look l = { .a = a };
	struct verdict why;

	if (in->signatures_n == 0)
		return;
	uv_loop_init(&l.loop);
	l.dns = dns_open(&l.loop, &o, a, &why);
	for (size_t i = 0; i < in->signatures_n; i++) {
		in->keys[i].why = l.dns ? S("no answer") : why.text;
		if (!l.dns || in->signatures[i].fault.n > 0)
			continue;
		questions[i] = (struct question){ &l, &in->keys[i] };
		l.open++;
		dns_ask(l.dns, in->keys[i].name, DNS_TXT, LOOK_MS, on_found, &questions[i]);
	}
	while (l.open > 0)
		uv_run(&l.loop, UV_RUN_DEFAULT);
	dns_close(l.dns);
	uv_run(&l.loop, UV_RUN_DEFAULT);
	uv_loop_close(&l.loop);
}

/* ---- output ---- */

static void print_lines(struct arena *a, const struct headers_line *lines, size_t n)
{
	static const char *const labels[] = { [DOCTOR_OK] = "good",
					      [DOCTOR_ADVICE] = "tip",
					      [DOCTOR_WARNING] = "WARN",
					      [DOCTOR_FAILURE] = "FAIL",
					      [DOCTOR_UNKNOWN] = "??" };

	for (size_t i = 0; i < n; i++) {
		printf("%-4s  %-13s ", labels[lines[i].result], lines[i].id);
		doctor_print_wrapped(a, lines[i].text, 20, 6);
		if (lines[i].remedy.n > 0) {
			printf("%6s", "");
			doctor_print_wrapped(a, lines[i].remedy, 6, 6);
		}
	}
}

static void print_json(const struct headers_line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_print(json_pack("{s:s, s:s, s:s, s:o, s:o}", "kind", "header", "id", lines[i].id, "result",
				     doctor_result_name(lines[i].result), "text", json_text(lines[i].text), "remedy",
				     lines[i].remedy.n > 0 ? json_text(lines[i].remedy) : json_null()));
	json_print(json_pack("{s:s, s:i, s:b}", "kind", "end", "n", (int)n, "truncated", 0));
}

int doctor_headers(const struct options *o, const char *config_path, const char *file)
{
	struct headers_line lines[HEADERS_LINES_MAX];
	struct headers_input in = { .now = clock_now_ms() };
	struct config_faults faults = { 0 };
	struct arena a = { 0 };
	struct config *c;
	bool failed = false;
	size_t n;

	if (!headers_read(&a, read_text(&a, file), &in))
		die(EX_DATAERR,
		    "%s is no message: it has to begin with its fields (\"Received: …\"), as \"show original\" or "
		    "\"view source\" "
		    "has them",
		    file);
	c = config_load(config_path, &faults); /* faults elsewhere do not matter here */
	in.config = c;
	look_up(&a, c, options_value(o, "resolver"), &in);
	n = headers_judge(&a, &in, lines);
	if (options_given(o, "json"))
		print_json(lines, n);
	else
		print_lines(&a, lines, n);
	for (size_t i = 0; i < n; i++)
		failed = failed || lines[i].result == DOCTOR_FAILURE ||
			 (options_given(o, "strict") && lines[i].result == DOCTOR_WARNING);
	config_free(c);
	arena_fini(&a);
	return failed ? 1 : EX_OK;
}
