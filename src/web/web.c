/* web.c - the web role: answers monitoring programs by HTTP. It asks the other roles for their numbers when it is asked itself;
 * it has no secret, and it can change nothing. */
#include "collect.h"
#include "http.h"
#include "pages.h"
#include "summary.h"

#include <stdlib.h>

#define WAITING_MAX 32 /* requests: http has no more connections */

struct web {
	struct role *role;
	struct http *http;
	struct collect collect;
	struct summary summary;
	struct http_request *waiting[WAITING_MAX];
	size_t waiting_n;
	int sockets[2]; /* that came before the start */
	size_t sockets_n;
};

static struct web web;

/* ---- requests ---- */
static bool has_page(void *ctx, struct str path)
{
	return page_is(path);
}

/* Requests that come while the roles are being asked get the same answer. */
static void asked(void *ctx, struct http_request *q)
{
	struct web *w = ctx;

	if (w->waiting_n == WAITING_MAX || role_stopping(w->role)) {
		http_answer(q, 503, "text/plain", S("too many requests, or the relay stops\n"));
		return;
	}
	if (page_is_of_master(http_path(q)) && w->collect.running && w->collect.is.master_answers) {
		page_answer(q, &w->collect.is, NULL, 0);
		return;
	}
	w->waiting[w->waiting_n++] = q;
	role_busy(w->role, 1);
	collect_begin(&w->collect);
}

static void summed(void *ctx, const struct msg_queue_summed *m)
{
	summary_first_page(&((struct web *)ctx)->summary, m);
}

/* Master has answered: who asks for it alone does not wait for roles that are slow. */
static void alive(void *ctx)
{
	struct web *w = ctx;
	size_t kept = 0;

	for (size_t i = 0; i < w->waiting_n; i++)
		if (page_is_of_master(http_path(w->waiting[i]))) {
			page_answer(w->waiting[i], &w->collect.is, NULL, 0);
			role_busy(w->role, -1);
		} else {
			w->waiting[kept++] = w->waiting[i];
		}
	w->waiting_n = kept;
}

/* Answer all that wait: from the numbers of the roles, of master and of this process. */
static void collected(void *ctx)
{
	struct web *w = ctx;
	const struct collected *is = &w->collect.is;
	struct role_told *all = xcalloc(is->health.n + 2, sizeof *all);
	struct figures *own = role_figures(w->role);
	size_t n = 0;

	all[n++] = is->master;
	for (size_t i = 0; i < is->health.n; i++)
		if (i != is->own)
			all[n++] = is->health.roles[i];
	all[n++] = (struct role_told){ .state = { .role = ROLE_WEB }, .answers = true, .stats = own->rows, .stats_n = own->n };
	for (size_t i = 0; i < w->waiting_n; i++) {
		page_answer(w->waiting[i], is, all, n);
		role_busy(w->role, -1);
	}
	w->waiting_n = 0;
	free(all);
}

/* ---- figures ---- */
static void tell_roles(struct web *w)
{
	const struct collected *is = &w->collect.is;
	struct arena a = { 0 };

	if (!is->master_answers)
		return;
	role_stat_of(w->role, METRIC_WEB_BUILD, is->version, 1, S(""));
	role_stat(w->role, METRIC_WEB_CONFIGURATION, is->generation);
	for (size_t i = 0; i < is->health.n; i++) {
		const struct role_told *r = &is->health.roles[i];
		struct str label =
			arena_printf(&a, "%s %llu", role_name((enum role_id)r->state.role), (unsigned long long)r->state.index);

		role_stat_of(w->role, METRIC_WEB_ROLE_UP, label, r->state.ready && (r->answers || i == is->own), S(""));
	}
	arena_fini(&a);
}

static void stats(struct role *r)
{
	role_stat(r, METRIC_WEB_REQUESTS, http_answered(web.http));
	role_stat(r, METRIC_WEB_REFUSED, http_refused(web.http));
	tell_roles(&web);
	summary_stats(&web.summary);
}

/* ---- life ---- */
static struct verdict start(struct role *r)
{
	static const struct http_ops ops = { .has_page = has_page, .asked = asked };
	struct web *w = &web;

	w->role = r;
	w->http = http_new(role_loop(r), &ops, w);
	if (!w->http)
		return temp(0, S(""), S("libmicrohttpd cannot be started"));
	collect_init(&w->collect, r);
	summary_init(&w->summary, r);
	w->collect.done = collected;
	w->collect.summed = summed;
	w->collect.alive = alive;
	w->collect.ctx = w;
	while (w->sockets_n > 0)
		http_listen(w->http, w->sockets[--w->sockets_n]);
	role_set_data(r, w);
	return ok();
}

static void on_listener(struct role *r, unsigned listen, int fd)
{
	struct web *w = &web;

	if (w->http)
		http_listen(w->http, fd);
	else if (w->sockets_n < sizeof w->sockets / sizeof w->sockets[0])
		w->sockets[w->sockets_n++] = fd;
}

/* Requests that wait for the roles are still answered. */
static void stop(struct role *r, uint64_t grace_ms)
{
	http_stop_listening(web.http);
	summary_stop(&web.summary);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers none;
	static const struct role_ops ops = {
		.id = ROLE_WEB, .start = start, .listener = on_listener, .stop = stop, .stats = stats, .handlers = &none
	};

	return role_main(argc, argv, &ops);
}
