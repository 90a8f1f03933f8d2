/* report.c - see report.h. */
#include "report.h"

#include "posthouse/date.h"
#include "posthouse/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <zlib.h>

/* I-JSON (RFC 7493 2.1) is UTF-8, and what servers say need not be. */
static json_t *json_text(struct arena *a, struct str s)
{
	struct str shown = utf8_shown(a, s);
	json_t *j = json_stringn(shown.p, shown.n);

	assert(j);
	return j;
}

/* An empty text says that something is not known: its member is left out. */
static void set_text(struct arena *a, json_t *object, const char *name, struct str s)
{
	if (s.n > 0)
		json_object_set_new(object, name, json_text(a, s));
}

static json_t *json_lines(struct arena *a, struct str lines)
{
	json_t *array = json_array();
	struct str line;

	while (str_split(&lines, '\n', &line))
		json_array_append_new(array, json_text(a, line));
	return array;
}

static json_t *json_time(struct arena *a, uint64_t ms)
{
	struct buf b;
	json_t *j;

	buf_init(&b, 64);
	date_add(&b, ms);
	j = json_text(a, buf_view(&b));
	buf_fini(&b);
	return j;
}

static json_t *json_failure(struct arena *a, const struct report_failure *f)
{
	json_t *j = json_object();

	json_object_set_new(j, "result-type", json_string(tls_result_word(f->result)));
	set_text(a, j, "sending-mta-ip", f->source);
	set_text(a, j, "receiving-mx-hostname", f->host);
	set_text(a, j, "receiving-mx-helo", f->helo);
	set_text(a, j, "receiving-ip", f->ip);
	json_object_set_new(j, "failed-session-count", json_integer((json_int_t)f->count));
	set_text(a, j, "failure-reason-code", f->reason);
	return j;
}

static json_t *json_policy(struct arena *a, const struct report_policy_counts *p)
{
	static const char *const words[] = { "no-policy-found", "tlsa", "sts" };
	json_t *j = json_object(), *policy = json_object(), *failures = json_array();

	json_object_set_new(policy, "policy-type", json_string(words[p->type]));
	if (p->text.n > 0)
		json_object_set_new(policy, "policy-string", json_lines(a, p->text));
	set_text(a, policy, "policy-domain", p->domain);
	if (p->mx.n > 0)
		json_object_set_new(policy, "mx-host", json_lines(a, p->mx));
	json_object_set_new(j, "policy", policy);
	json_object_set_new(j, "summary",
			    json_pack("{s:I, s:I}", "total-successful-session-count", (json_int_t)p->successful,
				      "total-failure-session-count", (json_int_t)p->failed));
	for (size_t i = 0; i < p->failures_n; i++)
		json_array_append_new(failures, json_failure(a, &p->failures[i]));
	if (p->failures_n > 0)
		json_object_set(j, "failure-details", failures);
	json_decref(failures);
	return j;
}

struct str report_json(struct arena *a, const struct report *r, bool for_people)
{
	json_t *j = json_object(), *range = json_object(), *policies = json_array();
	char *text;
	struct str copy;

	json_object_set_new(j, "organization-name", json_text(a, r->org));
	json_object_set_new(range, "start-datetime", json_time(a, r->day_ms));
	json_object_set_new(range, "end-datetime", json_time(a, r->day_ms + DAY_MS - SECOND_MS));
	json_object_set_new(j, "date-range", range);
	json_object_set_new(j, "contact-info", json_text(a, r->contact));
	json_object_set_new(j, "report-id", json_text(a, r->id));
	for (size_t i = 0; i < r->policies_n; i++)
		json_array_append_new(policies, json_policy(a, &r->policies[i]));
	json_object_set_new(j, "policies", policies);
	text = json_dumps(j, (for_people ? JSON_INDENT(2) : JSON_COMPACT));
	assert(text);
	copy = arena_str(a, str_of(text));
	free(text);
	json_decref(j);
	return copy;
}

struct str report_file_name(struct arena *a, const struct report *r)
{
	struct str sender = str_from(r->contact, str_rfind(r->contact, '@') + 1);

	return arena_printf(a, "%.*s!%.*s!%llu!%llu.json.gz", STR_ARG(sender), STR_ARG(r->domain),
			    (unsigned long long)(r->day_ms / SECOND_MS),
			    (unsigned long long)((r->day_ms + DAY_MS) / SECOND_MS - 1));
}

struct str report_gzip(struct arena *a, struct str text)
{
	enum { GZIP = 16 }; /* added to the size of the window: the format of gzip, with its time and name left out */
	z_stream z = { 0 };
	size_t room;
	char *out;
	int r;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* there is no memory */
	room = deflateBound(&z, text.n);
	out = arena_alloc(a, room);
	z.next_in = (Bytef *)(uintptr_t)text.p;
	z.avail_in = (uInt)text.n;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)room;
	r = deflate(&z, Z_FINISH);
	assert(r == Z_STREAM_END);
	room -= z.avail_out;
	deflateEnd(&z);
	return str_make(out, room);
}
