/* presence.c - checks that the files are still where they were. What is written into a database that was removed or replaced
 * by a copy is lost, so then nothing more is acknowledged. */
#include "writer.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOOK_EACH_MS 400

/* By its path, not by the directory that we hold: that one can be moved away, or covered by another file system. */
static bool look(const struct store *st, const char *name, struct stat *found)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", st->state_dir, name);

	return n > 0 && (size_t)n < sizeof path && lstat(path, found) == 0;
}

/* What is wrong with the file; NULL: nothing. Its size is added. A file that cannot be examined now counts as unchanged. */
static const char *trouble(const struct store *st, const char *name, struct presence_file *known, uint64_t *bytes)
{
	struct stat found;

	if (!look(st, name, &found))
		return known->inode && (errno == ENOENT || errno == ENOTDIR) ? "is gone" : NULL;
	*bytes += S_ISREG(found.st_mode) ? (uint64_t)found.st_size : 0;
	if (known->inode == 0)
		*known = (struct presence_file){ .device = found.st_dev, .inode = found.st_ino };
	return found.st_dev == known->device && found.st_ino == known->inode ? NULL : "is another one";
}

/* The i-th file to look at: the engine's, then the directory of large messages; NULL: after the last. */
static const char *file_name(const struct store_engine *engine, size_t i)
{
	size_t n = 0;

	while (engine->files[n])
		n++;
	return i < n ? engine->files[i] : i == n ? "large" : NULL;
}

void presence_check(struct writer *w)
{
	struct presence *p = &w->presence;
	uint64_t now = clock_mono_ms();
	const char *what = NULL, *name;
	char reason[200] = "";
	uint64_t bytes = 0;

	if (now - p->looked_at_ms < LOOK_EACH_MS)
		return;
	p->looked_at_ms = now;
	for (size_t i = 0; i < PRESENCE_FILES_MAX && !what && (name = file_name(w->engine, i)); i++) {
		what = trouble(w->st, name, &p->files[i], &bytes);
		if (what)
			(void)snprintf(reason, sizeof reason, "state_dir/%s %s", name, what);
	}
	if (what && !p->lost)
		store_note(w->st, LOG_ERROR, "store.lost", 0, reason);
	if (!what && p->lost)
		store_note(w->st, LOG_WARNING, "store.found", 0, "the files are where they were");
	p->lost = what != NULL;
	p->bytes = bytes;
}
