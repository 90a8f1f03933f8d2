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

#define OWNERS_MAX   256            /* users at one look; others come with the next */
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

	snprintf(text, TAKEN_NAME, "%s-%016llx", id_format(t->id, id), (unsigned long long)t->token);
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

static uint64_t changed_at(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
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

static bool read_name(struct str name, struct taken *t)
{
	size_t dash = str_find(name, '-');
	char hex[17] = "", *end;

	if (name.n - dash != 17 || !id_parse(str_head(name, dash), &t->id))
		return false;
	memcpy(hex, name.p + dash + 1, 16);
	t->token = strtoull(hex, &end, 16);
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

		if (!read_name(str_of(e->d_name), &t) || fstatat(k->taken, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		t.uid = st.st_uid;
		t.dropped_at = changed_at(&st);
		add_found(k->look, &t);
	}
	if (d)
		closedir(d);
}

/* ---- what is new ---- */

/* How many more files of this user can be taken. */
static size_t room_of(const struct look *l, uint64_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < l->held_n; i++)
		n += l->held[i].uid == uid;
	for (size_t i = 0; i < l->found_n; i++)
		n += l->found[i].uid == uid;
	return n < TAKEN_PER_USER ? TAKEN_PER_USER - n : 0;
}

static struct owner *owner_of(struct looking *k, uint64_t uid)
{
	struct owner *o;

	for (size_t i = k->owners_n; i > 0; i--)
		if (k->owners[i - 1].uid == uid)
			return &k->owners[i - 1];
	if (k->owners_n == OWNERS_MAX)
		return NULL;
	o = &k->owners[k->owners_n++];
	*o = (struct owner){ .uid = uid, .room = room_of(k->look, uid), .of = xcalloc(TAKEN_PER_USER, sizeof *o->of) };
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

	for (size_t i = 0; i < n && l->found_n + l->held_n < TAKEN_MAX; i++) {
		struct taken t = { .id = id_next(l->ids, clock_now_ms()),
				   .token = random_u64(),
				   .uid = all[i].uid,
				   .dropped_at = all[i].dropped_at };
		char name[TAKEN_NAME];

		if (renameat(k->dir, all[i].name, k->taken, file_name(&t, name)) != 0)
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
