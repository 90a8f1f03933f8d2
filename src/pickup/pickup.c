/* pickup.c - the pickup role: it looks into the drop directory when something changes there, and gives each file that it has
 * taken its turn. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define RUNNING_MAX  3         /* at once: each has a thread, and a look needs one too */
#define FRESH_MAX    256       /* while so many have not had a first turn, it looks for no others */
#define LOOK_SOON_MS 50        /* what is dropped together is seen together */
#define LOOK_EACH_MS MINUTE_MS /* without being told */

static struct pickup pickup;

static void serve(struct pickup *p);
static void look_soon(struct pickup *p, uint64_t ms);

/* ---- which file is next ---- */

static void on_due(uv_timer_t *timer)
{
	serve(timer->data);
}

/* The first that is due; NULL: none, and *next_out is when one will be. */
static struct file *find_due(struct pickup *p, uint64_t now, uint64_t *next_out)
{
	*next_out = UINT64_MAX;
	LIST_EACH_OF (struct file, f, &p->files, link) {
		if (f->running)
			continue;
		if (f->due_at <= now && p->running < RUNNING_MAX)
			return f;
		if (f->due_at < *next_out)
			*next_out = f->due_at;
	}
	return NULL;
}

static void serve(struct pickup *p)
{
	uint64_t now = clock_mono_ms(), next;
	struct file *f;

	if (role_stopping(p->role))
		return;
	while ((f = find_due(p, now, &next)))
		file_begin(f);
	if (next != UINT64_MAX && p->running < RUNNING_MAX)
		uv_timer_start(&p->due_timer, on_due, next > now ? next - now : 0, 0);
}

/* ---- looking ---- */

/* What a user can have in work is bounded, so files can still be in the directory. Within serve() a turn can be over at once: the
 * next one begins by the timer, not here. */
static void on_turn_over(struct pickup *p)
{
	size_t fresh = 0;

	LIST_EACH_OF (const struct file, f, &p->files, link)
		fresh += f->attempts == 0;
	if (p->waiting > 0 && fresh < FRESH_MAX)
		look_soon(p, LOOK_SOON_MS);
	if (!role_stopping(p->role))
		uv_timer_start(&p->due_timer, on_due, 0, 0);
}

static void work_look(uv_work_t *work)
{
	directory_look(&((struct pickup *)work->data)->look);
}

static void add_file(struct pickup *p, const struct taken *t, bool unsure)
{
	struct file *f = NEW(struct file);

	*f = (struct file){ .pickup = p, .t = *t, .unsure = unsure, .reading.fd = -1, .report_fd = -1 };
	list_append(&p->files, &f->link);
	p->files_n++;
}

static void on_watch(uv_fs_event_t *watch, const char *name, int events, int status)
{
	look_soon(watch->data, LOOK_SOON_MS);
}

/* A directory that is made again needs another watch: each look without one tries. */
static void watch(struct pickup *p)
{
	if (p->watching && p->error != 0)
		uv_fs_event_stop(&p->watch);
	if (p->error == 0 && !p->watching && uv_fs_event_start(&p->watch, on_watch, p->path, 0) == 0)
		p->watching = p->look_again = true; /* for what came between the look and the watch */
	p->watching = p->watching && p->error == 0;
}

static void on_looked(uv_work_t *work, int status)
{
	struct pickup *p = work->data;
	struct look *l = &p->look;

	p->looking = false;
	node_use(p);
	if (l->error != 0 && l->error != p->error)
		log_warning(NULL, "pickup.unusable", kv("path", p->path), kv("reason", strerror(l->error)));
	p->error = l->error;
	p->waiting = l->waiting;
	p->oldest_at = l->oldest_at;
	if (l->discarded > 0)
		log_warning(NULL, "pickup.discarded", kv("uid", l->discarded_uid), kv("count", l->discarded));
	if (l->left > p->left)
		log_warning(NULL, "pickup.left", kv("uid", l->left_uid), kv("count", l->left),
			    kv("reason", strerror(l->left_error)));
	p->left = l->left;
	for (size_t i = 0; i < l->found_n; i++)
		add_file(p, &l->found[i], l->first);
	p->first_done = p->first_done || l->error == 0;
	free(l->found);
	watch(p);
	role_busy(p->role, -1);
	look_soon(p, p->look_again ? LOOK_SOON_MS : LOOK_EACH_MS);
	p->look_again = false;
	serve(p);
}

static void on_look_timer(uv_timer_t *timer)
{
	struct pickup *p = timer->data;
	size_t n = 0;

	if (p->looking || p->ids.waits || role_stopping(p->role))
		return;
	LIST_EACH_OF (const struct file, f, &p->files, link)
		if (n < TAKEN_MAX)
			p->in_work[n++] = f->t;
	p->looking = true;
	p->look = (struct look){ .path = p->path, .first = !p->first_done, .ids = &p->ids, .held = p->in_work, .held_n = n };
	p->look_work.data = p;
	role_busy(p->role, +1);
	uv_queue_work(role_loop(p->role), &p->look_work, work_look, on_looked);
}

static void look_soon(struct pickup *p, uint64_t ms)
{
	if (role_stopping(p->role))
		return;
	if (p->looking)
		p->look_again = true;
	else if (!uv_is_active((uv_handle_t *)&p->look_timer) || uv_timer_get_due_in(&p->look_timer) > ms)
		uv_timer_start(&p->look_timer, on_look_timer, ms, 0);
}

/* ---- the role ---- */

static struct verdict start(struct role *r)
{
	struct pickup *p = &pickup;
	bool in_cluster = role_config(r)->store.engine == ENGINE_POSTGRESQL;

	p->role = r;
	p->path = arena_cstr(&p->arena, role_config(r)->local.drop);
	p->ids = (struct id_source){ .node = ID_NODE_OTHERS, .worker = ID_WORKER_PICKUP, .waits = in_cluster };
	p->part_ids = (struct id_source){ .node = ID_NODE_OTHERS, .worker = ID_WORKER_PARTS, .waits = in_cluster };
	p->turn_over = on_turn_over;
	list_init(&p->files);
	uv_timer_init(role_loop(r), &p->look_timer);
	uv_timer_init(role_loop(r), &p->due_timer);
	uv_fs_event_init(role_loop(r), &p->watch);
	p->look_timer.data = p->due_timer.data = p->watch.data = p;
	role_set_data(r, p);
	return ok();
}

/* Who was away is back: nothing has to wait for its time. */
static void peer_up(struct role *r, struct channel *ch)
{
	struct pickup *p = role_data(r);

	LIST_EACH_OF (struct file, f, &p->files, link)
		f->due_at = 0;
	if (!p->first_done)
		look_soon(p, LOOK_SOON_MS);
	serve(p);
}

static void handle_node_is(void *ctx, struct channel *ch, const struct msg_node_is *m, int fd)
{
	struct pickup *p = role_data(ctx);
	bool waited = p->ids.waits;

	if (!node_heard(p, m))
		channel_close(ch, "a node that cannot be");
	if (waited && !p->ids.waits)
		look_soon(p, LOOK_SOON_MS);
}

static void stop(struct role *r, uint64_t grace_ms)
{
	uv_timer_stop(&pickup.look_timer);
	uv_timer_stop(&pickup.due_timer);
	uv_fs_event_stop(&pickup.watch);
}

static void stats(struct role *r)
{
	const struct pickup *p = role_data(r);
	uint64_t oldest = p->waiting > 0 ? p->oldest_at : 0;

	LIST_EACH_OF (const struct file, f, &p->files, link)
		if (oldest == 0 || f->t.dropped_at < oldest)
			oldest = f->t.dropped_at;
	role_stat(r, METRIC_PICKUP_WAITING, p->waiting + p->files_n);
	role_stat(r, METRIC_PICKUP_OLDEST, oldest);
	role_stat(r, METRIC_PICKUP_HANDED_OVER, p->handed_over);
	role_stat(r, METRIC_PICKUP_REFUSED, p->refused);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .node_is = handle_node_is };
	static const struct role_ops ops = {
		.id = ROLE_PICKUP, .start = start, .peer_up = peer_up, .stop = stop, .stats = stats, .handlers = &handlers
	};

	return role_main(argc, argv, &ops);
}
