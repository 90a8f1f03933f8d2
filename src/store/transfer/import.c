/* import.c - from the state_dir of a stopped relay into a database. Nodes can work on that meanwhile. */
#include "base.h"
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* Hold the lock of the state_dir, so that no relay starts on it. One without a lock was never used. -1: *why_out says why not. */
static int lock_directory(struct store_transfer *t, struct verdict *why_out)
{
	const char *path = arena_cstr(t->arena, arena_printf(t->arena, "%s/lock", t->directory));
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		*why_out = perm(554, S("5.3.5"),
				arena_printf(t->arena, "%s: %s: is it the state_dir of a relay?", path, strerror(errno)));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	(void)close(fd); /* nothing was written */
	*why_out = temp(451, S("4.3.0"), arena_printf(t->arena, "a relay runs on %s: stop it first", t->directory));
	return -1;
}

/* Events of a message go by their numbers, and so must those that nodes add later. */
static bool reserve_events(struct side *from, struct side *to, struct arena *a)
{
	uint64_t last, reserved;
	const char *sql;

	if (!lite_number(from, "SELECT coalesce(max(seq),0) FROM event", &last))
		return false;
	sql = arena_cstr(
		a, arena_printf(a, "SELECT CASE WHEN last_value>%llu THEN 0 ELSE setval('event_seq',%llu) END FROM event_seq",
				(unsigned long long)last, (unsigned long long)last + 1000000));
	return base_number(to, sql, &reserved);
}

/* Recipients that logins have written to are hidden by a key. A database in which nothing is hidden so far takes the key of the
 * source; else its own stays, and those of the source mean nothing there. */
static bool take_key(struct copy *c)
{
	struct str theirs, ours;
	uint64_t used;

	if (!c->from->ops->meta(c->from, "known_key", c->t->arena, &theirs) ||
	    !c->to->ops->meta(c->to, "known_key", c->t->arena, &ours) ||
	    !base_number(c->to,
			 "SELECT count(*) FROM (SELECT 1 FROM message UNION ALL SELECT 1 FROM known"
			 " UNION ALL SELECT 1 FROM node WHERE state IN ('up','draining') LIMIT 1) AS u",
			 &used))
		return false;
	c->same_keys = str_eq(theirs, ours);
	if (!c->same_keys && used == 0) {
		c->same_keys = true;
		return c->to->ops->put_meta(c->to, "known_key", theirs);
	}
	return c->same_keys || lite_number(c->from, "SELECT count(*) FROM known", &c->t->known_left_out);
}

/* What no relay leaves as it was when it takes mail or delivers. */
static bool read_state(struct side *from, struct arena *a, struct str *state_out)
{
	static const char *const numbers[] = {
		"SELECT max(id) FROM message", "SELECT open_messages FROM counter", "SELECT waiting FROM counter",
		"SELECT held FROM counter",    "SELECT failed FROM counter",        "SELECT at FROM counter",
	};
	uint64_t number = 0;
	bool done = true;

	*state_out = S("");
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && done; i++) {
		done = lite_number(from, numbers[i], &number);
		*state_out = arena_printf(a, "%.*s%s%llu", STR_ARG(*state_out), i ? " " : "", (unsigned long long)number);
	}
	return done;
}

static bool copy_all(struct copy *c)
{
	struct str instance, state;

	return c->from->ops->meta(c->from, "instance", c->t->arena, &instance) && read_state(c->from, c->t->arena, &state) &&
	       copy_begin(c, instance, state) && lite_put_accounts(c->from, c->t->accounts, c->t->accounts_n) &&
	       reserve_events(c->from, c->to, c->t->arena) && take_key(c) && copy_run(c);
}

static struct verdict verdict_of(struct store_transfer *t, const struct side *s)
{
	struct str text = arena_printf(t->arena, "%s", s->why);

	return s->away ? temp(451, S("4.3.0"), text) : perm(554, S("5.3.0"), text);
}

static struct verdict import_from(struct store_transfer *t, struct side *from)
{
	struct verdict v = ok();
	struct str exported;
	struct copy c = { .t = t, .from = from, .to = base_open(t->database, t->arena, &v), .renumbers = true };

	if (!c.to)
		return v;
	if (!c.to->ops->meta(c.to, "exported", t->arena, &exported))
		v = verdict_of(t, c.to);
	else if (exported.n > 0)
		v = perm(554, S("5.3.5"),
			 arena_printf(t->arena, "the queue of this database was exported to %.*s: import into an empty database",
				      STR_ARG(exported)));
	else if (!copy_all(&c))
		v = verdict_of(t, from->failed ? from : c.to);
	c.to->ops->close(c.to);
	return v;
}

struct verdict store_import(struct store_transfer *t)
{
	struct verdict v = ok();
	int lock_fd = lock_directory(t, &v);
	struct side *from;
	char why[400];

	if (lock_fd < 0)
		return v;
	from = lite_open(t->directory, "queue.db", false, t->arena, why);
	if (from) {
		v = import_from(t, from);
		from->ops->close(from);
	} else {
		v = perm(554, S("5.3.0"), arena_printf(t->arena, "%s", why));
	}
	(void)close(lock_fd); /* only locked */
	return v;
}
