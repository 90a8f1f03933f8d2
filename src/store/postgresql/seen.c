/* seen.c - which database this node has seen, and on which timeline: an old primary that still lives when its standby was
 * promoted is not used again, also not by the next process. A timeline is that of a history (of meta), since what an
 * administrator has restored begins with any. */
#include "identity.h"
#include "node.h"

#include <errno.h>
#include <stdio.h>

static void note_seen(struct node *n, struct identity *i)
{
	uv_mutex_lock(&n->lock);
	if (strcmp(i->history, n->history) == 0 && i->timeline < n->timeline)
		i->timeline = n->timeline; /* the other thread is ahead */
	(void)snprintf(n->history, sizeof n->history, "%s", i->history);
	n->timeline = i->timeline;
	uv_mutex_unlock(&n->lock);
}

struct verdict node_recall(struct node *n, struct arena *a)
{
	struct identity i;

	if (!identity_read(n->host->state_dir, &i))
		return perm(554, S("5.3.5"), arena_printf(a, "%s/node cannot be used: %s", n->host->state_dir, strerror(errno)));
	note_seen(n, &i);
	return ok();
}

struct db_target node_target(const struct node *n, struct arena *a)
{
	const struct store_database *d = n->host->database;
	struct node *m = (struct node *)n; /* a lock changes nothing that its user sees */
	struct db_target target = { .connection = arena_cstr(a, d->connection),
				    .password = d->password,
				    .application_name = arena_cstr(a, node_name(n, a)) };

	uv_mutex_lock(&m->lock);
	target.timeline_seen = m->timeline;
	target.history_seen = arena_cstr(a, str_of(m->history));
	uv_mutex_unlock(&m->lock);
	return target;
}

/* A full disk is no reason not to work. */
static void write_file(struct node *n, const struct identity *i)
{
	if (!identity_write(n->host->state_dir, i))
		node_note(n, LOG_WARNING, "node.unwritten", "%s/node: %s: an older copy of the database would not be noticed",
			  n->host->state_dir, strerror(errno));
}

void node_saw_timeline(struct node *n, uint32_t timeline, const char *history)
{
	struct identity i;
	bool newer;

	uv_mutex_lock(&n->lock);
	newer = strcmp(history, n->history) == 0 && timeline > n->timeline;
	if (newer)
		n->timeline = timeline;
	uv_mutex_unlock(&n->lock);
	if (!newer)
		return;
	uv_mutex_lock(&n->file_lock);
	if (identity_read(n->host->state_dir, &i) && strcmp(i.history, history) == 0 && i.timeline < timeline) {
		i.timeline = timeline;
		write_file(n, &i);
	}
	uv_mutex_unlock(&n->file_lock);
}

void node_saw_database(struct node *n, struct identity seen)
{
	uv_mutex_lock(&n->file_lock);
	note_seen(n, &seen);
	write_file(n, &seen);
	uv_mutex_unlock(&n->file_lock);
}
