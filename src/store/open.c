/* open.c - opening: is this a place where a promise can be kept, and what is there already. */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* File systems that forget (memory) or on which locks and syncs do not mean what they say. */
static const struct {
	uint32_t type; /* statfs gives a long that may be negative on 32 bits */
	const char *name;
} refused[] = {
	{ TMPFS_MAGIC, "tmpfs" },     { RAMFS_MAGIC, "ramfs" },     { NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" },
	{ SMB2_SUPER_MAGIC, "SMB" },  { CIFS_SUPER_MAGIC, "CIFS" }, { AFS_SUPER_MAGIC, "AFS" }, { AFS_FS_MAGIC, "AFS" },
	{ CODA_SUPER_MAGIC, "Coda" }, { CEPH_SUPER_MAGIC, "Ceph" },
};

static struct verdict check_place(int fd, const char *path, struct arena *a)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s: %s", path, strerror(errno)));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if ((uint32_t)fs.f_type == refused[i].type)
			return perm(554, S("5.3.5"),
				    arena_printf(a, "%s is on %s, where accepted mail would not be safe; use a local disk", path,
						 refused[i].name));
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s is not writable: %s", path, strerror(errno)));
	return ok();
}

/* The database file, so that it is ours alone (SQLite would go by the umask; log and index take its mode), and its name on disk. */
static bool create_database(int state_fd)
{
	int fd = openat(state_fd, "queue.db", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	(void)close(fd); /* nothing was written */
	return fsync(state_fd) == 0;
}

/* Everything that can fail, in order. */
static struct verdict open_parts(struct writer *w, int state_fd, const char *state_dir, struct arena *a)
{
	struct verdict v = check_place(state_fd, state_dir, a);

	if (v.class != OK)
		return v;
	if (!spool_open(&w->spool, state_fd))
		return perm(554, S("5.3.5"), arena_printf(a, "%s/large: %s", state_dir, strerror(errno)));
	if (!create_database(state_fd))
		return perm(554, S("5.3.5"), arena_printf(a, "%s: %s", w->database, strerror(errno)));
	if (!db_open(&w->db, w->database))
		return temp(451, S("4.3.0"), arena_printf(a, "%s: %s", w->database, w->db.error));
	v = schema_prepare(&w->db, a);
	if (v.class != OK)
		return v;
	if (!ledger_open(w, a))
		return temp(451, S("4.3.0"), arena_printf(a, "%s: the key of known addresses is missing", w->database));
	space_init(&w->space, state_fd, w->min_free);
	if (!recover_at_open(w))
		return temp(451, S("4.3.0"), arena_printf(a, "%s: %s", w->database, w->db.error));
	return ok();
}

struct writer *writer_new(struct store *st, int state_fd, const char *state_dir, struct arena *a, struct verdict *why_out)
{
	struct writer *w = NEW(struct writer);

	w->st = st;
	w->space.dir_fd = state_fd;
	w->spool.dir_fd = -1;
	w->min_free = st->min_free;
	w->max_messages = st->max_messages;
	leases_init(&w->leases);
	list_init(&w->stalled);
	for (int i = 0; i < RANK_COUNT; i++)
		list_init(&w->batch[i]);
	if (asprintf(&w->database, "%s/queue.db", state_dir) < 0)
		abort();
	*why_out = open_parts(w, state_fd, state_dir, a);
	if (why_out->class == OK && checkpoint_start(w))
		return w;
	if (why_out->class == OK)
		*why_out = temp(451, S("4.3.0"),
				arena_printf(a, "%s: no second connection: %s", w->database, w->checkpoint.db.error));
	db_close(&w->checkpoint.db);
	writer_free(w);
	return NULL;
}

void writer_free(struct writer *w)
{
	recover_end(w);
	db_close(&w->db);
	spool_close(&w->spool);
	space_close(&w->space);
	leases_fini(&w->leases);
	ledger_close(w);
	map_fini(&w->named);
	arena_fini(&w->arena);
	free(w->tx.unlinked.at);
	free(w->tx.stored.at);
	free(w->missing.at);
	free(w->database);
	free(w);
}
