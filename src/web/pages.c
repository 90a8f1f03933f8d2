/* pages.c - see pages.h. */
#include "pages.h"

#include "exposition.h"

#include "posthouse/log.h"
#include "posthouse/units.h"
#include "posthouse/utf8.h"

#define TEXT_TYPE "text/plain; charset=utf-8"
#define PAGE_MAX  (16 * MIB)

enum { GOOD = 200, AWAY = 503 };

struct page_row {
	const char *path;
	void (*answer)(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n);
	bool of_master;
};

/* /metrics: what is there. Which role is missing is told by posthouse_role_up. */
static void answer_metrics(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n)
{
	enum exposition form = exposition_wanted(http_accept(q));
	struct buf b;

	buf_init(&b, PAGE_MAX);
	if (exposition_write(&b, form, roles, n))
		http_answer(q, GOOD, exposition_type(form), buf_view(&b));
	else
		http_answer(q, AWAY, TEXT_TYPE, S("the numbers are longer than a page can be\n"));
	buf_fini(&b);
}

/* /healthz: this process answers; does master? The roles are master's business, which starts them again. */
static void answer_alive(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n)
{
	if (is->master_answers)
		http_answer(q, GOOD, TEXT_TYPE, S("alive\n"));
	else
		http_answer(q, AWAY, TEXT_TYPE, S("master does not answer\n"));
}

/* /readyz: "ready", or why not, one reason a line. */
static void answer_ready(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n)
{
	struct str faults[HEALTH_FAULTS_MAX], text = S("");
	struct arena a = { 0 };
	size_t faults_n = 0;

	if (is->master_answers)
		faults_n = health_obstacles(&a, &is->health, faults);
	else
		faults[faults_n++] = S("master does not answer");
	for (size_t i = 0; i < faults_n; i++)
		text = arena_printf(&a, "%.*s%.*s\n", STR_ARG(text), STR_ARG(utf8_shown(&a, faults[i])));
	if (faults_n > 0)
		http_answer(q, AWAY, TEXT_TYPE, text);
	else
		http_answer(q, GOOD, TEXT_TYPE, S("ready\n"));
	arena_fini(&a);
}

static const struct page_row pages[] = {
	{ "/metrics", answer_metrics },
	{ "/healthz", answer_alive, .of_master = true },
	{ "/readyz", answer_ready },
};

static const struct page_row *page_of(struct str path)
{
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (str_eq(str_of(pages[i].path), path))
			return &pages[i];
	return NULL;
}

bool page_is(struct str path)
{
	return page_of(path) != NULL;
}

bool page_is_of_master(struct str path)
{
	return page_of(path)->of_master;
}

void page_answer(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n)
{
	page_of(http_path(q))->answer(q, is, roles, n);
}
