/* table.c - facts of a run out of a table. */
#include "table.h"
#include "zone_line.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES_MAX   600
#define PENDING_MAX 4000
#define LOOKS_MAX   200

struct server {
	struct str host;
	unsigned port;
	struct fact_probe answer;
};

struct named {
	struct str name;
	struct fact_upstream answer;
};

struct table {
	struct arena arena;
	struct config *config;
	struct doctor_options options;
	struct doctor *doctor;
	struct line lines[LINES_MAX];
	size_t lines_n;
	struct server servers[50];
	size_t servers_n;
	struct named upstreams[20];
	size_t upstreams_n;
	struct str single[10]; /* addresses of name servers with records of their own */
	size_t single_n;
	struct {
		const struct dns_question *q;
		struct fact_dns *answer;
	} asked[PENDING_MAX];
	size_t asked_n;
};

/* ---- records ---- */

static void add(struct table *t, int view, const char *records)
{
	struct str rest = str_of(records), line;

	while (str_split(&rest, '\n', &line)) {
		struct line *to = &t->lines[t->lines_n];
		struct str reverse;

		line = arena_str(&t->arena, str_trim(line));
		if (line.n == 0)
			continue;
		assert_true(t->lines_n++ < LINES_MAX);
		to->view = view;
		to->name = arena_lower(&t->arena, line_word(&line));
		reverse = reverse_name(&t->arena, to->name, S("in-addr.arpa"), S("ip6.arpa"));
		to->name = reverse.n > 0 ? reverse : to->name;
		to->type = line_word(&line);
		to->data = line;
	}
}

void table_records(struct table *t, const char *records)
{
	add(t, -1, records);
}

#define VIEW_SERVER 100 /* and the number of the server: a view of its own */

void table_server(struct table *t, const char *address, const char *lines)
{
	assert_true(t->single_n < 10);
	t->single[t->single_n] = str_of(address);
	add(t, (int)(VIEW_SERVER + t->single_n++), lines);
}

void table_view(struct table *t, enum doctor_view view, const char *records)
{
	add(t, (int)view, records);
}

/* ---- answers ---- */

/* Has the view lines of its own for the name? */
static bool own_lines(const struct table *t, int view, struct str name)
{
	for (size_t i = 0; i < t->lines_n; i++)
		if (t->lines[i].view == view && str_eq(t->lines[i].name, name))
			return true;
	return false;
}

static const struct line *next_line(const struct table *t, int view, struct str name, const char *type, size_t *at)
{
	int from = own_lines(t, view, name) ? view : -1;

	for (; *at < t->lines_n; ++*at) {
		const struct line *l = &t->lines[*at];

		if (l->view == from && str_eq(l->name, name) && (!type || str_eq(l->type, str_of(type)))) {
			++*at;
			return l;
		}
	}
	return NULL;
}

static bool has(const struct table *t, int view, struct str name, const char *type)
{
	size_t at = 0;

	return next_line(t, view, name, type, &at) != NULL;
}

static bool exists(const struct table *t, struct str name)
{
	for (size_t i = 0; i < t->lines_n; i++) {
		struct str n = t->lines[i].name;

		if (str_ends(n, name) && (n.n == name.n || n.p[n.n - name.n - 1] == '.') &&
		    !str_eq(t->lines[i].type, S("NXDOMAIN")))
			return true;
	}
	return false;
}

static void answer(struct table *t, const struct dns_question *q, struct fact_dns *f)
{
	struct arena *a = doctor_arena(t->doctor);
	int view = (int)q->view;
	struct str name = q->name;
	const struct line *l;
	size_t at = 0;

	for (size_t i = 0; i < t->single_n; i++)
		if (str_eq(q->servers, t->single[i]))
			view = (int)(VIEW_SERVER + i);
	f->server = S("192.0.2.53");
	f->ttl = 300;
	f->ms = 1;
	for (unsigned i = 0; i < 8 && q->type != DNS_CNAME && (at = 0, l = next_line(t, view, name, "CNAME", &at)) != NULL; i++)
		name = f->alias = arena_lower(a, line_name(l->data));
	f->secure = has(t, view, name, "SECURE");
	f->bogus = has(t, view, name, "BOGUS");
	f->state = FACT_UNKNOWN;
	f->why = f->bogus ? S("not authentic (DNSSEC)") : S("server failure");
	if (f->bogus || has(t, view, name, "SERVFAIL"))
		return;
	f->records = ARENA_ARRAY(a, struct fact_record, LINES_MAX);
	for (at = 0; (l = next_line(t, view, name, NULL, &at)) != NULL;)
		if (line_is(l->type, q->type))
			line_read(a, l, q->type, &f->records[f->n++]);
	f->why = S("");
	f->state = f->n > 0 ? FACT_THERE : exists(t, name) ? FACT_EMPTY : FACT_NO_NAME;
}

/* Not at once: the first look of a check finds nothing. */
static void on_dns(void *ctx, const struct dns_question *q, struct fact_dns *f)
{
	struct table *t = ctx;

	assert_true(t->asked_n < PENDING_MAX);
	t->asked[t->asked_n].q = q;
	t->asked[t->asked_n++].answer = f;
}

static void on_probe(void *ctx, const struct probe *p, struct fact_probe *f)
{
	struct table *t = ctx;

	*f = (struct fact_probe){ .state = FACT_UNKNOWN, .timed_out = true, .why = S("no answer") };
	for (size_t i = 0; i < t->servers_n; i++)
		if (str_eq(t->servers[i].host, p->host) && t->servers[i].port == p->port)
			*f = t->servers[i].answer;
}

static void on_upstream(void *ctx, struct str name, struct fact_upstream *f)
{
	struct table *t = ctx;

	*f = (struct fact_upstream){ .state = FACT_UNKNOWN, .verdict = temp(0, S(""), S("no relay runs")) };
	for (size_t i = 0; i < t->upstreams_n; i++)
		if (str_eq(t->upstreams[i].name, name))
			*f = t->upstreams[i].answer;
}

struct fact_sample (*table_sample)(struct arena *a, struct str domain, struct str selector);

static void on_sample(void *ctx, struct str domain, struct str selector, struct fact_sample *f)
{
	struct arena *a = &((struct table *)ctx)->arena;

	*f = table_sample ? table_sample(a, domain, selector) : (struct fact_sample){ FACT_UNKNOWN, .why = S("no relay runs") };
}

const struct fact_policy *table_policy;

static void on_policy(void *ctx, struct str domain, struct fact_policy *f)
{
	*f = table_policy ? *table_policy : (struct fact_policy){ FACT_UNKNOWN, .why = S("no relay runs") };
}

uint64_t table_age;

static uint64_t on_since(void *ctx, struct str key, struct str what)
{
	return ((struct table *)ctx)->options.now - table_age;
}

/* ---- a run ---- */

struct table *table_new(const char *config)
{
	struct table *t = NEW(struct table);
	const char *basics = strncmp(config, "hostname", 8) == 0 ? "" : HOST CERT;

	t->config = fixture_good(arena_cstr(&t->arena, arena_printf(&t->arena, "%s%s", basics, config)));
	t->options.now = 1772456531204;
	return t;
}

void table_free(struct table *t)
{
	doctor_free(t->doctor);
	config_free(t->config);
	arena_fini(&t->arena);
	free(t);
}

void table_end(struct table *t, const char *id, enum doctor_result result, const char *words)
{
	table_run(t);
	if (words)
		expect(t, id, result, words);
	else
		expect_silent(t, id);
	table_free(t);
}

void table_probe(struct table *t, const char *host, unsigned port, struct fact_probe a)
{
	a.state = a.state == FACT_PENDING ? FACT_THERE : a.state;
	t->servers[t->servers_n++] = (struct server){ str_of(host), port, a };
}

void table_upstream(struct table *t, const char *name, struct fact_upstream a)
{
	a.state = a.state == FACT_PENDING ? FACT_THERE : a.state;
	t->upstreams[t->upstreams_n++] = (struct named){ str_of(name), a };
}

void table_only(struct table *t, const char *pattern)
{
	struct str *at = ARENA_NEW(&t->arena, struct str);

	*at = str_of(pattern);
	t->options.only = (struct str_list){ at, 1 };
}

struct doctor_options *table_options(struct table *t)
{
	return &t->options;
}

struct doctor *table_doctor(struct table *t)
{
	return t->doctor;
}

void table_run(struct table *t)
{
	const struct doctor_source source = { t, on_dns, on_probe, on_upstream, on_sample, on_policy, on_since };
	unsigned looks = 0;

	t->doctor = doctor_new(t->config, &t->options, &source);
	while (!doctor_look(t->doctor)) {
		assert_true(++looks < LOOKS_MAX);
		for (size_t i = 0; i < t->asked_n; i++)
			answer(t, t->asked[i].q, t->asked[i].answer);
		t->asked_n = 0;
	}
}

void table_stop(struct table *t)
{
	const struct doctor_source source = { t, on_dns, on_probe, on_upstream, on_sample, on_policy, on_since };

	t->doctor = doctor_new(t->config, &t->options, &source);
	assert_false(doctor_look(t->doctor));
	doctor_give_up(t->doctor);
	assert_true(doctor_look(t->doctor));
}

static const char *all_findings(struct table *t)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(t->doctor, &n);
	struct str all = S("");

	for (size_t i = 0; i < n; i++)
		all = arena_printf(&t->arena, "%.*s%s %s [%.*s] %.*s %.*s %.*s\n", STR_ARG(all), doctor_check_id(f[i].check),
				   doctor_result_name(f[i].result), STR_ARG(f[i].domain), STR_ARG(f[i].subject),
				   STR_ARG(f[i].text), STR_ARG(f[i].after));
	return arena_cstr(&t->arena, all);
}

static bool has_words(struct table *t, const struct doctor_finding *f, struct str words)
{
	struct str all = arena_printf(&t->arena, "%.*s %.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s", STR_ARG(f->subject), STR_ARG(f->text),
				      STR_ARG(f->why), STR_ARG(f->remedy.text), STR_ARG(f->remedy.config),
				      STR_ARG(f->remedy.command), STR_ARG(f->after));

	return str_search(all, words) < all.n || words.n == 0;
}

const struct doctor_finding *expect(struct table *t, const char *id, enum doctor_result result, const char *words)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(t->doctor, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(doctor_check_id(f[i].check), id) == 0 && f[i].result == result && has_words(t, &f[i], str_of(words)))
			return &f[i];
	fprintf(stderr, "findings:\n%s", all_findings(t)); /* fail_msg() cuts it off */
	fail_msg("expected %s %s \"%s\"", id, doctor_result_name(result), words);
	return NULL;
}

void expect_silent(struct table *t, const char *pattern)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(t->doctor, &n);

	for (size_t i = 0; i < n; i++)
		if (fnmatch(pattern, doctor_check_id(f[i].check), 0) == 0 && f[i].result != DOCTOR_OK &&
		    f[i].result != DOCTOR_ADVICE && f[i].result != DOCTOR_SKIPPED) {
			fprintf(stderr, "findings:\n%s", all_findings(t));
			fail_msg("%s is not silent", doctor_check_id(f[i].check));
		}
}

void table_replaced(struct table *t, const char *lines)
{
	struct str world = str_of(WORLD), line, change, rest;

	while (str_split(&world, '\n', &line)) {
		struct str name = str_head(line, str_find(line, ' '));
		bool replaced = false;

		for (rest = str_of(lines); str_split(&rest, '\n', &change);)
			replaced = replaced || str_eq(str_head(change, str_find(change, ' ')), name);
		if (!replaced)
			table_records(t, arena_cstr(&t->arena, line));
	}
	table_records(t, lines);
}

void table_world(struct table *t, const char *records)
{
	bool replaces = records[0] == '!';

	table_replaced(t, replaces ? records + 1 : "");
	if (!replaces)
		table_records(t, records);
}

void plant(const char *config, const char *records, const char *id, enum doctor_result result, const char *words)
{
	struct table *t = table_new(config);

	table_only(t, id);
	table_world(t, records);
	table_run(t);
	expect(t, id, result, words);
	table_free(t);
}
