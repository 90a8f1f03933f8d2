/* change.c - changing the account file: under the lock, from a fresh reading, by a new file that is renamed over the old. */
#include "internal.h"
#include "posthouse/clock.h"
#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 20

static const char heading[] =
	"# Accounts of posthouse: name, device (- = main password), SCRAM-SHA-256 verifier, time of creation in ms, "
	"time of expiry if any, time and reason of a lock if any.\n"
	"# Change it with `posthouse user`; other comments are not kept.\n";

static struct verdict unwritable(const char *what)
{
	return temp(451, S("4.3.0"), file_fault("account file: %s: %s", what, strerror(errno)));
}

/* The lock is a file of its own, because the account file itself is replaced. -1: errno says why. */
static int take_lock(int directory)
{
	int fd = openat(directory, "accounts.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	uint64_t give_up_at = clock_mono_ms() + LOCK_WAIT_MS;

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int why = errno;

		if ((why != EWOULDBLOCK && why != EINTR) || clock_mono_ms() >= give_up_at) {
			close(fd);
			errno = why;
			return -1;
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000L }, NULL);
	}
	return fd;
}

static bool write_accounts(int fd, bool is_copy, const struct content *c)
{
	struct arena lines = { 0 };
	bool written = file_write(fd, is_copy ? account_copy_heading : S(heading));

	for (size_t i = 0; written && i < c->n; i++) {
		written = file_write(fd, account_format_line(&lines, &c->at[i]));
		arena_reset(&lines);
	}
	arena_fini(&lines);
	return written;
}

struct verdict account_file_replace(int directory, bool is_copy, const struct content *c)
{
	int fd = file_put_begin(directory, "accounts.new", 0600);

	errno = file_put_end(directory, "accounts.new", "accounts", fd, fd >= 0 && write_accounts(fd, is_copy, c));
	return errno == 0 ? ok() : unwritable("cannot write");
}

/* The last line of an account is removed: the lines that its name had shadowed go with it. Otherwise the next reading would
 * take one of them, with its old password, for the account. */
static void take_shadowed(const struct content *c, struct str name, bool *skip)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].lost.n > 0 && str_eq(c->at[i].lost, name))
			skip[i] = true;
}

/* A further password of an account: locked where all others are, so that nobody gets in who was locked out. */
static void inherit_lock(const struct content *c, struct account *new)
{
	const struct account *like = NULL;

	for (size_t i = 0; i < c->n; i++) {
		if (!str_eq(c->at[i].name, new->name))
			continue;
		if (!c->at[i].locked_at)
			return;
		like = &c->at[i];
	}
	if (like) {
		new->locked_at = like->locked_at;
		new->reason = like->reason;
	}
}

/* Mark the lines to remove in `skip`, and check that the new one agrees with those that stay. */
static struct verdict plan(const struct content *c, enum account_operation operation, struct account *new, bool *skip)
{
	size_t same = 0, others = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct account *old = &c->at[i];
		bool whole_account = operation == ACCOUNT_REMOVE && new->device.n == 0;

		if (!str_eq(old->name, new->name))
			continue;
		skip[i] = whole_account || str_eq(old->device, new->device);
		same += skip[i];
		others += !skip[i];
		if (!skip[i] && operation != ACCOUNT_REMOVE &&
		    !str_eq(verifier_shared(old->verifier), verifier_shared(new->verifier)))
			return perm(550, S("5.5.2"), S("all passwords of an account share one salt and iteration count"));
	}
	if (operation == ACCOUNT_ADD && others)
		inherit_lock(c, new);
	if (operation == ACCOUNT_ADD && same)
		return perm(550, S("5.5.2"),
			    new->device.n ? S("the account has such a device already") : S("the account exists already"));
	if (operation != ACCOUNT_ADD && !same)
		return perm(550, S("5.1.1"), others || new->device.n ? S("no such account or device") : S("no such account"));
	if (operation == ACCOUNT_REMOVE && others == 0)
		take_shadowed(c, new->name, skip);
	return ok();
}

/* Keep times of the old password where they stay, and refuse a new one that has expired already. */
static struct verdict set_times(struct account *new, const struct account *old)
{
	uint64_t now = clock_now_ms();

	new->created_at = old ? old->created_at : now;
	if (old) {
		new->locked_at = old->locked_at;
		new->reason = old->reason;
	}
	if (new->expires_at == ACCOUNTS_KEEP_EXPIRY)
		new->expires_at = old ? old->expires_at : 0;
	if (new->expires_at &&new->expires_at <= now)
		return perm(550, S("5.5.2"),
			    S("the time of this password is over: say how long the new one is good, --expires TIME"));
	return ok();
}

/* A line has one reason, which cannot end it. */
static struct str reason_in_line(struct arena *a, struct str reason)
{
	char *p = arena_alloc(a, reason.n + 1);

	for (size_t i = 0; i < reason.n; i++)
		p[i] = (unsigned char)reason.p[i] < ' ' || reason.p[i] == 0x7f ? ' ' : reason.p[i];
	return str_trim(str_make(p, reason.n));
}

/* Lock or unlock lines. */
static struct verdict lock_lines(const struct content *c, enum account_operation operation, const struct account *what,
				 struct arena *arena, struct content *changed_out)
{
	bool found = false;

	for (size_t i = 0; i < c->n; i++) {
		struct account *to = &changed_out->at[changed_out->n++];

		*to = c->at[i];
		if (!str_eq(to->name, what->name) || (what->device.n > 0 && !str_eq(to->device, what->device)))
			continue;
		found = true;
		to->reason = operation == ACCOUNT_LOCK ? reason_in_line(arena, what->reason) : S("");
		to->locked_at = operation == ACCOUNT_UNLOCK ? 0 : to->locked_at ? to->locked_at : clock_now_ms();
	}
	if (found)
		return ok();
	return perm(550, S("5.1.1"), what->device.n ? S("no such account or device") : S("no such account"));
}

/* All lines but those in `skip`, with `extra` (can be NULL) in its place. */
static void merge(const struct content *c, const bool *skip, const struct account *extra, struct content *changed_out)
{
	for (size_t i = 0; i < c->n; i++) {
		if (extra && account_compare(extra, &c->at[i]) <= 0) {
			changed_out->at[changed_out->n++] = *extra;
			extra = NULL;
		}
		if (!skip[i])
			changed_out->at[changed_out->n++] = c->at[i];
	}
	if (extra)
		changed_out->at[changed_out->n++] = *extra;
}

struct verdict account_change_compute(const struct accounts *a, enum account_operation operation, struct account *new,
				      struct arena *arena, struct content *changed_out)
{
	const struct content *c = a->content;
	bool *skip = ARENA_ARRAY(arena, bool, c->n + 1);
	struct verdict v;

	*changed_out = (struct content){ .at = ARENA_ARRAY(arena, struct account, c->n + 1) };
	if (operation == ACCOUNT_LOCK || operation == ACCOUNT_UNLOCK)
		return lock_lines(c, operation, new, arena, changed_out);
	/* accounts from before this rule can have other names, and can get more devices */
	if (operation == ACCOUNT_ADD && !login_is_proper(new->name) && !accounts_any(a, new->name))
		return perm(
			550, S("5.5.2"),
			S("a name has letters, digits and ASCII signs only, all of one direction of writing (RFC 8265, 3.3)"));
	v = plan(c, operation, new, skip);
	if (v.class == OK && operation != ACCOUNT_REMOVE)
		v = set_times(new, operation == ACCOUNT_PASSWD ? accounts_find(a, new->name, new->device) : NULL);
	if (v.class == OK)
		merge(c, skip, operation == ACCOUNT_REMOVE ? NULL : new, changed_out);
	return v;
}

struct verdict account_change_check(enum account_operation operation, const struct account *new)
{
	struct verifier checked;

	if (operation < ACCOUNT_ADD || operation > ACCOUNT_UNLOCK)
		return perm(550, S("5.5.2"), S("unknown operation"));
	if (!account_name_valid(new->name) || !account_device_valid(new->device))
		return perm(550, S("5.5.2"), S("the name is malformed"));
	if ((operation == ACCOUNT_ADD || operation == ACCOUNT_PASSWD) && !verifier_parse(new->verifier, &checked))
		return perm(550, S("5.5.2"), S("the verifier is malformed"));
	return ok();
}

struct verdict account_file_lock(const struct accounts *a, int *directory_out, int *lock_out)
{
	*directory_out = open(a->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*directory_out < 0)
		return unwritable("cannot open the state directory");
	*lock_out = take_lock(*directory_out);
	if (*lock_out >= 0)
		return ok();
	close(*directory_out);
	return unwritable("cannot lock");
}

static struct verdict change(struct accounts *a, enum account_operation operation, struct account *new)
{
	struct verdict v = account_change_check(operation, new);
	struct arena arena = { 0 };
	struct content changed;
	int directory, lock;

	if (v.class == OK)
		v = account_file_lock(a, &directory, &lock);
	if (v.class != OK)
		return v;
	v = accounts_refresh(a);
	if (v.class == OK)
		v = account_change_compute(a, operation, new, &arena, &changed);
	if (v.class == OK)
		v = account_file_replace(directory, false, &changed);
	if (v.class == OK)
		v = accounts_refresh(a);
	arena_fini(&arena);
	close(lock);
	close(directory);
	return v;
}

struct verdict accounts_change(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			       struct str verifier, uint64_t expires_at)
{
	struct account new = { .name = name, .device = device, .verifier = verifier, .expires_at = expires_at };

	if (operation > ACCOUNT_REMOVE)
		return perm(550, S("5.5.2"), S("unknown operation"));
	return change(a, operation, &new);
}

struct verdict accounts_lock(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			     struct str reason)
{
	struct account which = { .name = name, .device = device, .reason = reason };

	if (operation < ACCOUNT_LOCK)
		return perm(550, S("5.5.2"), S("unknown operation"));
	return change(a, operation, &which);
}
