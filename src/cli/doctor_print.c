/* doctor_print.c - the findings of doctor for people. */
#include "doctor.h"

#include "posthouse/records.h"

#include <stdio.h>

#define COLUMNS    80
#define INDENT     6
#define NAMES_MAX  2 /* domains that are named where several have the same findings */
#define ID_COLUMNS 13

static const char *const labels[] = {
	[DOCTOR_OK] = "good",    [DOCTOR_ADVICE] = "tip",   [DOCTOR_WARNING] = "WARN",   [DOCTOR_FAILURE] = "FAIL",
	[DOCTOR_UNKNOWN] = "??", [DOCTOR_SKIPPED] = "skip", [DOCTOR_IGNORED] = "ignored"
};

void doctor_count(const struct doctor *d, size_t counts[DOCTOR_RESULTS])
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(d, &n);

	memset(counts, 0, DOCTOR_RESULTS * sizeof *counts);
	for (size_t i = 0; i < n; i++)
		counts[f[i].result]++;
}

/* ---- words in lines ---- */

/* Columns of UTF-8 text, one for each character. */
static size_t width(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* One line of the text, from column `at` on. Blanks at its front indent all of it; no line ends in a blank. */
static void print_line(struct str line, size_t at, size_t indent)
{
	size_t blanks = 0;
	bool first = true;
	struct str word;

	for (; line.n > 0 && line.p[0] == ' '; line = str_from(line, 1))
		blanks++;
	indent += blanks;
	while (str_split(&line, ' ', &word)) {
		if (word.n > 0 && !first && at + blanks + width(word) > COLUMNS) {
			printf("\n%*s", (int)indent, "");
			at = indent;
			blanks = 0;
		}
		if (word.n > 0) {
			printf("%*s%.*s", (int)blanks, "", STR_ARG(word));
			at += blanks + width(word);
			blanks = 0;
			first = false;
		}
		blanks++;
	}
}

void doctor_print_wrapped(struct arena *a, struct str text, size_t at, size_t indent)
{
	struct str line;

	while (str_split(&text, '\n', &line)) {
		print_line(utf8_shown(a, line), at, indent);
		at = indent;
		if (text.n > 0)
			printf("\n%*s", (int)indent, "");
	}
	putchar('\n');
}

static void print_indented(struct arena *a, struct str text)
{
	if (text.n == 0)
		return;
	printf("%*s", INDENT, "");
	doctor_print_wrapped(a, text, INDENT, INDENT);
}

/* ---- one finding ---- */

static struct str sentence(struct arena *a, const struct doctor_finding *f)
{
	struct str who = f->subject.n > 0 ? f->subject : f->domain;
	struct str text =
		f->result != DOCTOR_SKIPPED || f->after.n == 0
			? f->text
			: arena_printf(a, "%s%.*s", str_find(f->after, ' ') == f->after.n ? "skipped: after " : "skipped: ",
				       STR_ARG(f->after));

	if (who.n == 0)
		return text;
	return arena_printf(a, "%.*s %.*s", STR_ARG(who), STR_ARG(text));
}

/* One line each, however long: so that a record can be copied. */
static void print_records_of(struct arena *a, const struct doctor_finding *f)
{
	for (size_t i = 0; i < f->remedy.records_n; i++) {
		struct str line = dns_entry_line(a, &f->remedy.records[i]);

		printf("%*s%s%.*s\n", INDENT, "", f->remedy.text.n > 0 ? "    " : "Add:  ", STR_ARG(utf8_shown(a, line)));
	}
}

static void print_remedy(struct arena *a, const struct doctor *d, const struct doctor_finding *f)
{
	struct str config = f->remedy.config, command = f->remedy.command;
	bool both = config.n > 0 && command.n > 0, fit = INDENT + 4 + width(config) + 2 + width(command) <= COLUMNS;
	const struct doctor_finding *same = doctor_same_records(d, f);

	if (same) {
		print_indented(a, arena_printf(a, "The record for %.*s has this one too.", STR_ARG(same->subject)));
		return;
	}
	print_indented(a, f->remedy.text);
	print_records_of(a, f);
	if (config.n > 0 || command.n > 0)
		print_indented(a, arena_printf(a, "    %.*s%s%.*s", STR_ARG(config),
					       !both ? ""
					       : fit ? "  "
						     : "\n    ",
					       STR_ARG(command)));
}

static bool is_shown(const struct doctor_finding *f, bool all)
{
	return all || (f->result != DOCTOR_OK && f->result != DOCTOR_ADVICE && f->result != DOCTOR_SKIPPED);
}

static void print_finding(struct arena *a, const struct doctor *d, const struct doctor_finding *f)
{
	int at = printf("%-4s  %-*s ", labels[f->result], ID_COLUMNS, doctor_check_id(f->check));

	doctor_print_wrapped(a, sentence(a, f), (size_t)at, INDENT);
	if (f->result == DOCTOR_OK || f->result == DOCTOR_SKIPPED || f->result == DOCTOR_IGNORED)
		return;
	print_indented(a, f->why);
	print_remedy(a, d, f);
}

/* ---- blocks: the machine, then each domain, those with equal findings together ---- */

/* The text without the domain's own name, to compare with those of other domains. */
static struct str without(struct arena *a, struct str text, struct str name)
{
	struct str all = S("");
	size_t at;

	while ((at = str_search(text, name)) < text.n) {
		all = arena_printf(a, "%.*s%.*s\1", STR_ARG(all), (int)at, text.p);
		text = str_from(text, at + name.n);
	}
	return arena_printf(a, "%.*s%.*s", STR_ARG(all), STR_ARG(text));
}

static struct str signature(struct arena *a, const struct doctor *d, struct str domain, bool all)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(d, &n);
	struct str text = S("");

	for (size_t i = 0; i < n; i++)
		if (str_eq(f[i].domain, domain) && is_shown(&f[i], all))
			text = arena_printf(a, "%.*s\n%d %d %.*s %.*s", STR_ARG(text), (int)f[i].check, (int)f[i].result,
					    STR_ARG(f[i].subject), STR_ARG(f[i].text));
	return without(a, text, domain);
}

/* "a.test, b.test, 12 more" */
static struct str names_text(struct arena *a, const struct str *names, size_t n)
{
	struct str all = S("");

	for (size_t i = 0; i < n && (i < NAMES_MAX || n == NAMES_MAX + 1); i++)
		all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "", STR_ARG(names[i]));
	return n > NAMES_MAX + 1 ? arena_printf(a, "%.*s, %zu more", STR_ARG(all), n - NAMES_MAX) : all;
}

static void print_domain(struct arena *a, const struct doctor *d, struct str domain, bool all)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(d, &n);

	for (size_t i = 0; i < n; i++)
		if (str_eq(f[i].domain, domain) && is_shown(&f[i], all))
			print_finding(a, d, &f[i]);
}

static void print_blocks(struct arena *a, const struct doctor *d, bool all)
{
	const struct situation *s = doctor_situation(d);
	struct str *signatures = ARENA_ARRAY(a, struct str, s->domains_n + 1);
	struct str *names = ARENA_ARRAY(a, struct str, s->domains_n + 1);

	print_domain(a, d, S(""), all);
	for (size_t i = 0; i < s->domains_n; i++)
		signatures[i] = signature(a, d, s->domains[i].name, all);
	for (size_t i = 0; i < s->domains_n; i++) {
		size_t n = 0;

		for (size_t j = 0; j < i; j++)
			if (str_eq(signatures[j], signatures[i]))
				n = SIZE_MAX;
		if (n > 0 || signatures[i].n == 0)
			continue;
		for (size_t j = i; j < s->domains_n; j++)
			if (str_eq(signatures[j], signatures[i]))
				names[n++] = s->domains[j].name;
		if (s->domains_n > 1)
			printf("%.*s:\n", STR_ARG(names_text(a, names, n)));
		print_domain(a, d, s->domains[i].name, all);
	}
}

/* ---- first and last line ---- */

static struct str upstreams_text(struct arena *a, const struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str all = S("");

	for (size_t i = 0; i < s->domains_n; i++)
		for (size_t j = 0; j < s->domains[i].upstreams_n; j++) {
			struct str host = s->domains[i].upstreams[j]->host;

			if (str_search(all, host) == all.n)
				all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.n ? ", " : "", STR_ARG(host));
		}
	return all;
}

static struct str direct_text(struct arena *a, const struct situation *s)
{
	struct str all = S("");

	for (size_t i = 0; i < s->addresses_n; i++)
		all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "", STR_ARG(s->addresses[i].text));
	if (s->addresses_n == 0)
		return S("direct delivery from an address that is not known");
	return arena_printf(a, "direct delivery from %.*s (%.*s)", STR_ARG(all), STR_ARG(s->addresses_from));
}

struct str doctor_situation_text(struct arena *a, const struct doctor *d, const struct config *c)
{
	const struct situation *s = doctor_situation(d);
	struct str *names = ARENA_ARRAY(a, struct str, s->domains_n + 1), who = c->hostname, through = S("");

	for (size_t i = 0; i < s->domains_n; i++)
		names[i] = s->domains[i].name;
	if (s->domains_n > 0)
		who = names_text(a, names, s->domains_n);
	if (s->upstream)
		through = arena_printf(a, "through %.*s", STR_ARG(upstreams_text(a, d)));
	return arena_printf(a, "%.*s: %.*s%s%.*s%s", STR_ARG(who), STR_ARG(through), s->mx && s->upstream ? "; " : "",
			    STR_ARG(s->mx ? direct_text(a, s) : S("")), s->container ? ", in a container" : "");
}

static struct str counted(struct arena *a, struct str so_far, size_t n, const char *words)
{
	return n > 0 ? arena_printf(a, "%.*s, %zu %s", STR_ARG(so_far), n, words) : so_far;
}

static void print_summary(struct arena *a, const struct doctor *d)
{
	size_t n[DOCTOR_RESULTS];
	struct str line;

	doctor_count(d, n);
	line = arena_printf(a, "%zu failure%s, %zu warning%s", n[DOCTOR_FAILURE], n[DOCTOR_FAILURE] == 1 ? "" : "s",
			    n[DOCTOR_WARNING], n[DOCTOR_WARNING] == 1 ? "" : "s");
	line = counted(a, line, n[DOCTOR_UNKNOWN], "unknown");
	line = arena_printf(a, "%.*s, %zu good", STR_ARG(line), n[DOCTOR_OK]);
	line = counted(a, line, n[DOCTOR_ADVICE], "advice (--all)");
	line = counted(a, line, n[DOCTOR_IGNORED], "ignored");
	line = counted(a, line, n[DOCTOR_SKIPPED], "skipped");
	doctor_print_wrapped(a, line, 0, INDENT);
}

void doctor_print(struct doctor_run *run, const struct config *c, bool all)
{
	struct doctor *d = doctor_of(run);
	struct arena *a = doctor_arena(d);

	doctor_print_wrapped(a, doctor_situation_text(a, d, c), 0, INDENT);
	if (!doctor_sees_world(run) && !doctor_situation(d)->offline && all)
		print_indented(
			a,
			S("Seen by one resolver: a recursion of our own is not possible here (port 53), or was not asked for."));
	print_blocks(a, d, all);
	print_summary(a, d);
}
