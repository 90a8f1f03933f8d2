/* doctor_machine.c - what can be seen of this machine without the relay: the clock, the state directory, secrets, addresses. */
#include "doctor_machine.h"

#include "posthouse/directory.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define ADDRESSES_MAX 32

/* ---- clock ---- */

static uint64_t changed_at(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000 : 0;
}

/* A program is not older than its file: packages keep the time of the build. */
static void look_at_clock(struct arena *a, const struct config *c, struct clock_facts *k)
{
	static const char *const files[] = { "queue.db", "queue.db-wal" };
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	k->known = state >= 0;
	if (!k->known)
		k->why = arena_str(a, str_of(strerror(errno)));
	k->synchronised = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
	k->built_at = changed_at("/proc/self/exe");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		uint64_t at = changed_at(arena_cstr(a, arena_printf(a, "%.*s/%s", STR_ARG(c->state_dir), files[i])));

		k->stored_at = at > k->stored_at ? at : k->stored_at;
	}
}

/* ---- state directory ---- */

struct access_look {
	struct arena *a;
	struct state_facts *s;
	size_t faults_capacity, paths_capacity;
};

static void on_fault(void *ctx, const struct config *c, const char *key, const char *path, const char *text, bool warning)
{
	struct access_look *l = ctx;
	struct state_facts *s = l->s;

	if (warning || strcmp(key, "state_dir") != 0)
		return;
	ARENA_GROW(l->a, s->faults.at, s->faults.n, l->faults_capacity);
	ARENA_GROW(l->a, s->fault_paths.at, s->fault_paths.n, l->paths_capacity);
	s->faults.at[s->faults.n++] = arena_str(l->a, str_of(text));
	s->fault_paths.at[s->fault_paths.n++] = arena_str(l->a, str_of(path));
}

/* Only root, and the relay's user itself, can try what that user can do. A file system on which mail is not safe is a fault of
 * its own. */
static void look_at_access(struct arena *a, struct config *c, struct state_facts *s)
{
	struct access_look l = { a, s, 0, 0 };
	const struct passwd *user = getpwnam(arena_cstr(a, c->run_as));

	s->user = c->run_as;
	s->access_known = geteuid() == 0 || (user && user->pw_uid == geteuid());
	if (s->access_known && s->unsafe.n == 0)
		machine_look(c, on_fault, &l);
}

static uint64_t bytes_of(struct arena *a, const struct config *c)
{
	static const char *const files[] = { "queue.db", "queue.db-wal" };
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (stat(arena_cstr(a, arena_printf(a, "%.*s/%s", STR_ARG(c->state_dir), files[i])), &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

static void look_at_state(struct arena *a, struct config *c, struct state_facts *s)
{
	const char *path = arena_cstr(a, c->state_dir), *unsafe;
	struct stat st, root;
	struct statvfs room;
	struct statfs fs;

	s->known = stat(path, &st) == 0 && statfs(path, &fs) == 0 && statvfs(path, &room) == 0;
	if (s->known) {
		unsafe = directory_unsafe(&fs);
		s->unsafe = str_of(unsafe);
		s->overlay = (uint32_t)fs.f_type == OVERLAYFS_SUPER_MAGIC;
		s->same_as_root = stat("/", &root) == 0 && root.st_dev == st.st_dev;
		s->free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
		s->total_bytes = (uint64_t)room.f_blocks * room.f_frsize;
		s->free_files = room.f_favail;
		s->total_files = room.f_files;
		s->queue_bytes = bytes_of(a, c);
	} else {
		s->why = arena_str(a, str_of(strerror(errno)));
	}
	look_at_access(a, c, s);
}

/* ---- secrets ---- */

/* Can others come to the file at all? A directory on the way that is closed to them closes it. */
static bool is_reachable(struct arena *a, struct str path)
{
	struct stat st;

	for (size_t slash = str_rfind(path, '/'); slash < path.n && slash > 0; slash = str_rfind(path, '/')) {
		path = str_head(path, slash);
		if (stat(arena_cstr(a, path), &st) == 0 && !(st.st_mode & 0001))
			return false;
	}
	return true;
}

static void look_at_secrets(struct arena *a, const struct config *c, struct secret_facts *s)
{
	s->n = c->secret_files_n;
	s->readable.at = ARENA_ARRAY(a, struct str, c->secret_files_n + 1);
	for (size_t i = 0; i < c->secret_files_n; i++) {
		const struct secret_file *f = &c->secret_files[i];

		if (f->readable && is_reachable(a, f->path))
			s->readable.at[s->readable.n++] = f->path;
	}
}

/* ---- addresses ---- */

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	return address->sa_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
					     : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

static struct str_list own_addresses(struct arena *a)
{
	struct str_list own = { .at = ARENA_ARRAY(a, struct str, ADDRESSES_MAX) };
	struct ifaddrs *all = NULL;
	char text[NI_MAXHOST];

	if (getifaddrs(&all) != 0)
		return own;
	for (struct ifaddrs *i = all; i && own.n < ADDRESSES_MAX; i = i->ifa_next) {
		sa_family_t family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

		if ((family == AF_INET || family == AF_INET6) && !is_loopback(i->ifa_addr) && i->ifa_flags & IFF_UP &&
		    getnameinfo(i->ifa_addr, n, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
			own.at[own.n++] = arena_str(a, str_of(text));
	}
	freeifaddrs(all);
	return own;
}

const struct machine_facts *machine_gather(struct arena *a, struct config *c)
{
	struct machine_facts *m = ARENA_NEW(a, struct machine_facts);

	m->gateways = c->gateways;
	m->addresses = own_addresses(a);
	look_at_clock(a, c, &m->clock);
	look_at_state(a, c, &m->state);
	look_at_secrets(a, c, &m->secrets);
	relay_gather(a, c, m);
	return m;
}
