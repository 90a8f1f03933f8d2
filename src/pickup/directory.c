/* directory.c - the drop directory: what is in it, whose it is, and how it is taken. Every user can put anything there: nothing
 * is opened here, only names in the directory are touched, and what is no message is removed or put aside. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNERS_MAX   256            /* users with room at one look; others come with the next */
#define FORGOTTEN_MS (24 * HOUR_MS) /* a file that is not finished after so long never will be */

struct candidate {
	char name[NAME_MAX + 1];
	uint64_t uid, dropped_at;
};

struct owner {
	uint64_t uid;
	size_t room, n;
	struct candidate *of; /* the oldest of his files */
};

struct looking {
	struct look *look;
	int dir, taken, held;
	struct owner *owners;
	size_t owners_n;
};

static const char *file_name(const struct taken *t, char text[TAKEN_NAME])
{
	char id[ID_TEXT_MAX];

	if (t->from == 0 && t->count == 0)
		snprintf(text, TAKEN_NAME, "%s-%016llx", id_format(t->id, id), (unsigned long long)t->token);
	else
		snprintf(text, TAKEN_NAME, "%s-%016llx-%llx-%llx", id_format(t->id, id), (unsigned long long)t->token,
			 (unsigned long long)t->from, (unsigned long long)t->count);
	return text;
}

const char *taken_path(struct arena *a, const char *directory, const struct taken *t)
{
	char name[TAKEN_NAME];

	return arena_cstr(a, arena_printf(a, "%s/taken/%s", directory, file_name(t, name)));
}

const char *held_path(struct arena *a, const char *directory, const struct taken *t)
{
	char name[TAKEN_NAME];

	return arena_cstr(a, arena_printf(a, "%s/held/%s", directory, file_name(t, name)));
}

bool taken_sync(const char *directory)
{
	struct arena a = { 0 };
	int fd = open(arena_cstr(&a, arena_printf(&a, "%s/taken", directory)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	arena_fini(&a);
	return synced;
}

static uint64_t ms_of(struct timespec t)
{
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The owner of a file can set this time to any, but not the one when that was done. */
static uint64_t changed_at(const struct stat *st)
{
	uint64_t at = ms_of(st->st_mtim), seen = ms_of(st->st_ctim), now = clock_now_ms();

	seen = seen < now ? seen : now;
	at = at < seen ? at : seen;
	return at > 0 ? at : 1;
}

/* A directory of ours that nobody else can enter. A thing of somebody else that has this name goes out of the way. */
static int open_own(int dir, const char *name)
{
	for (int i = 0; i < 2; i++) {
		char away[64];
		struct stat st;
		int fd = mkdirat(dir, name, 0700) == 0 || errno == EEXIST
				 ? openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
				 : -1;

		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0077) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
		snprintf(away, sizeof away, ".foreign-%016llx", (unsigned long long)random_u64());
		if (renameat(dir, name, dir, away) != 0)
			break;
	}
	return -1;
}

/* ---- what earlier processes have taken ---- */

static bool read_name(const char *name, struct taken *t)
{
	size_t dash = str_find(str_of(name), '-');
	char *end;

	if (name[dash] != '-' || !id_parse(str_make(name, dash), &t->id))
		return false;
	t->token = strtoull(name + dash + 1, &end, 16);
	if (*end == '-')
		t->from = strtoull(end + 1, &end, 16);
	if (*end == '-')
		t->count = strtoull(end + 1, &end, 16);
	return *end == '\0';
}

static void add_found(struct look *l, const struct taken *t)
{
	l->found[l->found_n++] = *t;
	if (l->oldest_at == 0 || t->dropped_at < l->oldest_at)
		l->oldest_at = t->dropped_at;
}

static void find_taken(struct looking *k)
{
	DIR *d = fdopendir(dup(k->taken));
	struct dirent *e;

	while (d && (e = readdir(d)) && k->look->found_n < TAKEN_MAX) {
		struct taken t = { 0 };
		struct stat st;

		if (!read_name(e->d_name, &t) || fstatat(k->taken, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		t.uid = st.st_uid;
		t.dropped_at = changed_at(&st);
		add_found(k->look, &t);
	}
	if (d)
		closedir(d);
}

/* ---- what is new ---- */

/* How many files of one user can be in work while there are `n` of all users of his kind. */
static size_t share_at(size_t n, size_t most)
{
	return n < most / 2 ? TAKEN_PER_USER : n < most / 4 * 3 ? TAKEN_PER_USER / 8 : n < most ? 1 : 0;
}

/* How many more files of this user can be taken. What waits for its next try is in work too, for days perhaps: so a few users
 * must not fill the room of all. */
static size_t room_of(const struct look *l, uint64_t uid)
{
	bool is_program = uid < PEOPLE_FROM;
	size_t of_user = 0, of_kind = 0, share;

	for (size_t i = 0; i < l->held_n + l->found_n; i++) {
		uint64_t other = i < l->held_n ? l->held[i].uid : l->found[i - l->held_n].uid;

		of_user += other == uid;
		of_kind += (other < PEOPLE_FROM) == is_program;
	}
	share = share_at(of_kind, is_program ? TAKEN_PROGRAMS : TAKEN_PEOPLE);
	return of_user < share ? share - of_user : 0;
}

/* NULL: there are too many. Who has no room gives way. */
static struct owner *owner_of(struct looking *k, uint64_t uid)
{
	struct owner *o = NULL;

	for (size_t i = k->owners_n; i > 0; i--) {
		if (k->owners[i - 1].uid == uid)
			return &k->owners[i - 1];
		if (k->owners[i - 1].room == 0)
			o = &k->owners[i - 1];
	}
	if (k->owners_n < OWNERS_MAX)
		o = &k->owners[k->owners_n++];
	if (!o)
		return NULL;
	*o = (struct owner){ .uid = uid, .room = room_of(k->look, uid) };
	o->of = o->room > 0 ? xcalloc(o->room, sizeof *o->of) : NULL;
	return o;
}

/* Keep the oldest of each user. */
static void consider(struct looking *k, const char *name, const struct stat *st)
{
	struct owner *o = owner_of(k, st->st_uid);
	struct candidate c = { .uid = st->st_uid, .dropped_at = changed_at(st) };
	size_t newest = 0;

	k->look->waiting++;
	if (k->look->oldest_at == 0 || c.dropped_at < k->look->oldest_at)
		k->look->oldest_at = c.dropped_at;
	if (!o || o->room == 0)
		return;
	snprintf(c.name, sizeof c.name, "%s", name);
	if (o->n < o->room) {
		o->of[o->n++] = c;
		return;
	}
	for (size_t i = 1; i < o->n; i++)
		if (o->of[i].dropped_at > o->of[newest].dropped_at)
			newest = i;
	if (c.dropped_at < o->of[newest].dropped_at)
		o->of[newest] = c;
}

/* Links, pipes and sockets have no message in them; a directory, and a file with a second name, go aside: perhaps somebody misses
 * them. */
static void discard(struct looking *k, const char *name, const struct stat *st)
{
	char aside[64];
	int result;

	snprintf(aside, sizeof aside, "odd-%016llx", (unsigned long long)random_u64());
	result =
		S_ISDIR(st->st_mode) || S_ISREG(st->st_mode) ? renameat(k->dir, name, k->held, aside) : unlinkat(k->dir, name, 0);
	if (result == 0) {
		k->look->discarded++;
		k->look->discarded_uid = st->st_uid;
	} else if (errno != ENOENT) { /* only root can move the directory of somebody else */
		k->look->left++;
		k->look->left_uid = st->st_uid;
		k->look->left_error = errno;
	}
}

static void look_at(struct looking *k, const char *name)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "taken") == 0 || strcmp(name, "held") == 0 ||
	    fstatat(k->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (name[0] == '.') { /* it is being written */
		if (changed_at(&st) + FORGOTTEN_MS < clock_now_ms())
			discard(k, name, &st);
	} else if (S_ISREG(st.st_mode) && st.st_nlink == 1) {
		consider(k, name, &st);
	} else {
		discard(k, name, &st);
	}
}

static int older(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;

	return one->dropped_at < other->dropped_at ? -1 : one->dropped_at > other->dropped_at;
}

/* Move them to `taken`, where the new name has the id; it counts when it is on the disk. */
static void take(struct looking *k, const struct candidate *all, size_t n)
{
	struct look *l = k->look;
	size_t before = l->found_n;

	for (size_t i = 0; i < n; i++) {
		struct taken t = { .id = id_next(l->ids, clock_now_ms()),
				   .token = random_u64(),
				   .uid = all[i].uid,
				   .dropped_at = all[i].dropped_at };
		char name[TAKEN_NAME];

		if (room_of(l, t.uid) == 0 || renameat(k->dir, all[i].name, k->taken, file_name(&t, name)) != 0)
			continue;
		l->waiting--;
		add_found(l, &t);
	}
	if (l->found_n > before) {
		fsync(k->taken);
		fsync(k->dir);
	}
}

static void find_new(struct looking *k)
{
	DIR *d = fdopendir(dup(k->dir));
	struct candidate *all;
	struct dirent *e;
	size_t n = 0;

	k->owners = xcalloc(OWNERS_MAX, sizeof *k->owners);
	while (d && (e = readdir(d)))
		look_at(k, e->d_name);
	if (d)
		closedir(d);
	all = xcalloc(k->owners_n * TAKEN_PER_USER + 1, sizeof *all);
	for (size_t i = 0; i < k->owners_n; i++) {
		if (k->owners[i].n > 0)
			memcpy(all + n, k->owners[i].of, k->owners[i].n * sizeof *all);
		n += k->owners[i].n;
		free(k->owners[i].of);
	}
	qsort(all, n, sizeof *all, older);
	take(k, all, n);
	free(all);
	free(k->owners);
}

void directory_look(struct look *l)
{
	struct looking k = {
		.look = l, .dir = open(l->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), .taken = -1, .held = -1
	};
	struct stat st;

	l->found = xcalloc(2 * TAKEN_MAX, sizeof *l->found);
	l->error = k.dir < 0 ? errno : 0;
	if (l->error == 0 && (fstat(k.dir, &st) != 0 || st.st_uid != geteuid()))
		l->error = EPERM;
	if (l->error == 0) {
		k.taken = open_own(k.dir, "taken");
		k.held = open_own(k.dir, "held");
		l->error = k.taken < 0 || k.held < 0 ? EACCES : 0;
	}
	if (l->error == 0 && l->first)
		find_taken(&k);
	if (l->error == 0)
		find_new(&k);
	for (int i = 0; i < 3; i++)
		if ((int[]){ k.dir, k.taken, k.held }[i] >= 0)
			close((int[]){ k.dir, k.taken, k.held }[i]);
}
