/* presence.c - are the files still where they were? A database that was removed, or replaced by a copy, takes what is written into it along
 * to nowhere: nothing more is acknowledged. */
#include "writer.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOOK_EACH_MS 400

static const char *const names[PRESENCE_FILES] = { "queue.db", "queue.db-wal", "large" };

/* By its path, not by the directory that we hold: that one can be moved away, or covered by another file system. */
static bool look(const struct store *st, const char *name, struct stat *found)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", st->state_dir, name);

	return n > 0 && (size_t)n < sizeof path && lstat(path, found) == 0;
}

/* What is wrong with it; NULL: nothing. What cannot be looked at now is no news. */
static const char *trouble(const struct store *st, const char *name, struct presence_file *known)
{
	struct stat found;

	if (!look(st, name, &found))
		return known->inode && (errno == ENOENT || errno == ENOTDIR) ? "is gone" : NULL;
	if (known->inode == 0)
		*known = (struct presence_file){ .device = found.st_dev, .inode = found.st_ino };
	return found.st_dev == known->device && found.st_ino == known->inode ? NULL : "is another one";
}

void presence_check(struct writer *w)
{
	struct presence *p = &w->presence;
	uint64_t now = clock_mono_ms();
	const char *what = NULL;
	char reason[200] = "";

	if (now - p->looked_at_ms < LOOK_EACH_MS)
		return;
	p->looked_at_ms = now;
	for (size_t i = 0; i < PRESENCE_FILES && !what; i++) {
		what = trouble(w->st, names[i], &p->files[i]);
		if (what)
			(void)snprintf(reason, sizeof reason, "state_dir/%s %s", names[i], what);
	}
	if (what && !p->lost)
		writer_note(w, LOG_ERROR, "store.lost", 0, reason);
	if (!what && p->lost)
		writer_note(w, LOG_WARNING, "store.found", 0, "the files are where they were");
	p->lost = what != NULL;
}
