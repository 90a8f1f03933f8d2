/* export.c - from a database whose nodes have stopped into a new state_dir, on which a relay with SQLite can start. From its
 * first transaction on the database is marked, and no node starts on it: its mail would be delivered twice. */
#include "base.h"
#include "cluster.h"
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART "queue.db.part" /* until it is whole: no relay starts on it */

static bool copy_all(struct copy *c)
{
	struct arena *a = c->t->arena;
	struct str history, key;

	c->same_keys = true;
	return c->from->ops->meta(c->from, "history", a, &history) && c->from->ops->meta(c->from, "known_key", a, &key) &&
	       copy_begin(c, history, S("")) && c->to->ops->put_meta(c->to, "known_key", key) && copy_run(c);
}

/* The lines for the account file: they are read again at the end, also by a run that continues. */
static bool read_accounts(struct copy *c)
{
	struct store_transfer *t = c->t;
	struct page p = page_of(TABLE_account, t->arena);
	const struct value *last = NULL;
	size_t before;
	bool done;

	do {
		before = p.n;
		done = c->from->ops->read_after(c->from, last, 1000, &p);
		last = p.n > 0 ? page_row(&p, p.n - 1) : NULL;
	} while (done && p.n > before);
	t->accounts = ARENA_ARRAY(t->arena, struct store_account, p.n + 1);
	t->accounts_n = p.n;
	for (size_t i = 0; i < p.n; i++)
		t->accounts[i] = (struct store_account){ page_row(&p, i)[0].s, page_row(&p, i)[1].s, page_row(&p, i)[2].s };
	return done;
}

static bool make_directory(struct store_transfer *t, struct verdict *v_out)
{
	const char *queue = arena_cstr(t->arena, arena_printf(t->arena, "%s/queue.db", t->directory));

	if (mkdir(t->directory, 0700) != 0 && errno != EEXIST) {
		*v_out = perm(554, S("5.3.0"), arena_printf(t->arena, "%s: %s", t->directory, strerror(errno)));
		return false;
	}
	if (access(queue, F_OK) != 0)
		return true;
	*v_out = perm(554, S("5.3.0"), arena_printf(t->arena, "%s is there already: give a new directory", queue));
	return false;
}

static struct verdict verdict_of(struct store_transfer *t, const struct side *s)
{
	struct str text = arena_printf(t->arena, "%s", s->why);

	return s->away ? temp(451, S("4.3.0"), text) : perm(554, S("5.3.0"), text);
}

/* Close the database, for the copy that is in the directory. One that was begun goes on as long as the database has been closed
 * for it; mail of a database that was exported elsewhere, or of before it was opened again, would be delivered twice. */
static struct verdict seal(struct copy *c)
{
	struct store_transfer *t = c->t;
	struct side *from = c->from, *to = c->to;
	struct str history, exported, begun;

	if (!from->ops->meta(from, "history", t->arena, &history) || !from->ops->meta(from, "exported", t->arena, &exported) ||
	    !to->ops->meta(to, "history", t->arena, &begun))
		return verdict_of(t, from->failed ? from : to);
	if (begun.n > 0 && !str_eq(begun, history))
		return perm(554, S("5.3.0"),
			    arena_printf(t->arena, "%s has the beginning of another export: give a new directory", t->directory));
	if (begun.n == 0 && exported.n > 0)
		return perm(554, S("5.3.5"),
			    arena_printf(t->arena,
					 "the queue of this database was exported to %.*s: if that is not used, remove it, and "
					 "`posthouse store restored` opens the database again",
					 STR_ARG(exported)));
	return to->ops->put_meta(to, "history", history) && cluster_seal(from, str_of(t->directory))
		       ? ok()
		       : verdict_of(t, from->failed ? from : to);
}

static struct verdict export_from(struct store_transfer *t, struct side *from)
{
	struct verdict v = visitor_stopped(&base_of(from)->db, t->database, true, t->arena);
	struct copy c = { .t = t, .from = from };
	char why[400];

	if (v.class != OK || !make_directory(t, &v))
		return v;
	c.to = lite_open(t->directory, PART, true, t->arena, why);
	if (!c.to)
		return perm(554, S("5.3.0"), arena_printf(t->arena, "%s", why));
	v = seal(&c);
	if (v.class == OK && (!copy_all(&c) || !read_accounts(&c) || !lite_finish(c.to)))
		v = verdict_of(t, from->failed ? from : c.to);
	c.to->ops->close(c.to);
	return v;
}

struct verdict store_export(struct store_transfer *t)
{
	struct verdict v = ok();
	struct side *from = base_open(t->database, t->arena, &v);

	if (!from)
		return v;
	v = export_from(t, from);
	from->ops->close(from);
	return v;
}

struct verdict store_export_end(struct store_transfer *t)
{
	int fd = open(t->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = fd >= 0 && renameat(fd, PART, fd, "queue.db") == 0 && fsync(fd) == 0;
	int error = errno;

	if (fd >= 0)
		(void)close(fd); /* only synced */
	return done ? ok() : perm(554, S("5.3.0"), arena_printf(t->arena, "%s/queue.db: %s", t->directory, strerror(error)));
}
