/* exposition.c - see exposition.h. A metric is a row of metrics.def; its samples come from all processes that tell it. */
#include "exposition.h"

#include "posthouse/metrics.h"
#include "posthouse/utf8.h"

#define PREFIX "posthouse_"

struct page {
	struct buf *b;
	enum exposition form;
	struct arena arena;
	bool good; /* all fitted so far */
};

static void add(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct page *p, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	p->good = p->good && buf_vprintf(p->b, format, arguments);
	va_end(arguments);
}

const char *exposition_type(enum exposition form)
{
	return form == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					      : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- values and labels ---- */
static void add_char(struct page *p, char c)
{
	p->good = p->good && buf_add_char(p->b, c);
}

static void add_value(struct page *p, enum metric_unit unit, uint64_t value)
{
	if (unit == METRIC_UNIT_MS || unit == METRIC_UNIT_UNIX_MS)
		add(p, " %llu.%03u\n", (unsigned long long)(value / 1000), (unsigned)(value % 1000));
	else
		add(p, " %llu\n", (unsigned long long)value);
}

/* name="value"; line ends, quotes and backslashes are escaped, and what is not UTF-8 is replaced. */
static void add_label(struct page *p, bool *first, struct str name, struct str value)
{
	add(p, "%s%.*s=\"", *first ? "{" : ",", STR_ARG(name));
	*first = false;
	value = utf8_shown(&p->arena, value);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			add_char(p, '\\');
		add_char(p, value.p[i]);
	}
	add(p, "\"");
}

/* The labels of a row. Which process tells it is a label where there can be several. `le`: of a bucket. */
static void add_labels(struct page *p, const struct metric_facts *m, const struct role_told *r, struct str label, struct str le)
{
	struct str names = str_of(m->labels), name = str_head(names, str_find(names, ' '));
	enum role_id role = (enum role_id)r->state.role;
	bool of_each = (m->roles & (m->roles - 1)) != 0, first = true;

	if (of_each)
		add_label(p, &first, S("role"), str_of(role_name(role)));
	if (of_each || role_facts[role].instances == PER_WORKER)
		add_label(p, &first, S("worker"), arena_printf(&p->arena, "%llu", (unsigned long long)r->state.index));
	if (name.n < names.n) {
		size_t at = str_rfind(label, ' ');

		add_label(p, &first, name, str_head(label, at));
		add_label(p, &first, str_from(names, name.n + 1), str_from(label, at + 1));
	} else if (name.n > 0) {
		add_label(p, &first, name, label);
	}
	if (le.n > 0)
		add_label(p, &first, S("le"), le);
	if (!first)
		add(p, "}");
}

/* ---- metrics ---- */
static void add_head(struct page *p, const struct metric_facts *m)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	struct str name = str_of(m->name);
	bool newer = p->form == EXPOSITION_OPENMETRICS;

	/* the name of a counter ends in _total; in OpenMetrics its family is named without */
	if (newer && m->type == METRIC_TYPE_COUNTER)
		name.n -= strlen("_total");
	add(p, "# HELP " PREFIX "%.*s %s\n# TYPE " PREFIX "%.*s %s\n", STR_ARG(name), m->help, STR_ARG(name), types[m->type]);
	if (newer && str_ends(name, S("_seconds")))
		add(p, "# UNIT " PREFIX "%.*s seconds\n", STR_ARG(name));
	else if (newer && str_ends(name, S("_bytes")))
		add(p, "# UNIT " PREFIX "%.*s bytes\n", STR_ARG(name));
}

/* A row of a histogram: see figures_histogram(). */
static void add_part(struct page *p, const struct metric_facts *m, const struct role_told *r, const struct rec_stat *row)
{
	const char *part = row->label.n == 0 ? "_count" : str_eq(row->label, S("sum")) ? "_sum" : "_bucket";
	bool bucket = strcmp(part, "_bucket") == 0;

	add(p, PREFIX "%s%s", m->name, part);
	add_labels(p, m, r, S(""), bucket ? row->label : S(""));
	add_value(p, strcmp(part, "_sum") == 0 ? METRIC_UNIT_MS : METRIC_UNIT_NUMBER, row->value);
}

static void add_samples(struct page *p, enum metric metric, const struct role_told *r, bool *headed)
{
	const struct metric_facts *m = &metric_facts[metric];

	for (size_t i = 0; r->answers && i < r->stats_n; i++) {
		const struct rec_stat *row = &r->stats[i];

		if (row->metric != metric)
			continue;
		if (!*headed)
			add_head(p, m);
		*headed = true;
		if (m->type == METRIC_TYPE_HISTOGRAM) {
			add_part(p, m, r, row);
			continue;
		}
		add(p, PREFIX "%s", m->name);
		add_labels(p, m, r, row->label, S(""));
		add_value(p, m->unit, row->value);
	}
}

bool exposition_write(struct buf *b, enum exposition form, const struct role_told *roles, size_t n)
{
	struct page p = { .b = b, .form = form, .good = true };

	for (unsigned metric = 0; metric < METRIC_COUNT && p.good; metric++) {
		bool headed = false;

		for (size_t i = 0; i < n; i++)
			add_samples(&p, (enum metric)metric, &roles[i], &headed);
		arena_reset(&p.arena);
	}
	if (form == EXPOSITION_OPENMETRICS)
		add(&p, "# EOF\n");
	arena_fini(&p.arena);
	return p.good;
}
