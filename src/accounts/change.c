/* change.c - changing the account file: under the lock, from a fresh reading, by a new file that is renamed over the old. */
#include "internal.h"
#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

bool account_write_all(int fd, struct str text)
{
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text = str_from(text, (size_t)n);
	}
	return true;
}

/* Write all accounts but those in `skip` into the open file, with `extra` (can be NULL) in its place. */
static bool write_accounts(int fd, const struct content *c, const bool *skip, const struct account *extra)
{
	struct arena lines = { 0 };
	bool written = account_write_all(fd, S(heading));

	for (size_t i = 0; written && i < c->n; i++) {
		if (extra && account_compare(extra, &c->at[i]) <= 0) {
			written = account_write_all(fd, account_format_line(&lines, extra));
			extra = NULL;
		}
		if (written && !skip[i])
			written = account_write_all(fd, account_format_line(&lines, &c->at[i]));
		arena_reset(&lines);
	}
	if (written && extra)
		written = account_write_all(fd, account_format_line(&lines, extra));
	arena_fini(&lines);
	return written;
}

/* New file, data on disk, new name, name on disk. */
static struct verdict replace(int directory, const struct content *c, const bool *skip, const struct account *extra)
{
	int fd = openat(directory, "accounts.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool written;
	int why;

	if (fd < 0)
		return unwritable("cannot write beside it");
	written = write_accounts(fd, c, skip, extra) && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
	why = errno;
	if (close(fd) < 0 && written) {
		written = false;
		why = errno;
	}
	crash_point("accounts_written");
	if (written && renameat(directory, "accounts.new", directory, "accounts") < 0) {
		written = false;
		why = errno;
	}
	if (!written) {
		unlinkat(directory, "accounts.new", 0);
		errno = why;
		return unwritable("cannot write");
	}
	crash_point("accounts_renamed");
	if (fsync(directory) < 0)
		return unwritable("cannot sync the directory");
	return ok();
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

/* Lock or unlock lines: all of them are written again, in their order. */
static struct verdict lock_lines(struct accounts *a, int directory, enum account_operation operation, const struct account *what)
{
	struct content *c = a->content, changed = *c;
	struct arena arena = { 0 };
	bool *skip = ARENA_ARRAY(&arena, bool, c->n + 1);
	struct verdict v = perm(550, S("5.1.1"), what->device.n ? S("no such account or device") : S("no such account"));
	bool found = false;

	changed.at = ARENA_ARRAY(&arena, struct account, c->n + 1);
	for (size_t i = 0; i < c->n; i++) {
		struct account *to = &changed.at[i];

		*to = c->at[i];
		if (!str_eq(to->name, what->name) || (what->device.n > 0 && !str_eq(to->device, what->device)))
			continue;
		found = true;
		to->reason = operation == ACCOUNT_LOCK ? reason_in_line(&arena, what->reason) : S("");
		to->locked_at = operation == ACCOUNT_UNLOCK ? 0 : to->locked_at ? to->locked_at : clock_now_ms();
	}
	if (found)
		v = replace(directory, &changed, skip, NULL);
	arena_fini(&arena);
	return v;
}

/* The part under the lock. */
static struct verdict change_locked(struct accounts *a, int directory, enum account_operation operation, struct account *new)
{
	struct verdict v;
	bool *skip;

	v = accounts_refresh(a);
	if (v.class != OK)
		return v;
	if (operation == ACCOUNT_LOCK || operation == ACCOUNT_UNLOCK) {
		v = lock_lines(a, directory, operation, new);
		return v.class == OK ? accounts_refresh(a) : v;
	}
	/* accounts from before this rule can have other names, and can get more devices */
	if (operation == ACCOUNT_ADD && !login_is_proper(new->name) && !accounts_any(a, new->name))
		return perm(
			550, S("5.5.2"),
			S("a name has letters, digits and ASCII signs only, all of one direction of writing (RFC 8265, 3.3)"));
	skip = xcalloc(a->content->n + 1, sizeof(skip[0]));
	v = plan(a->content, operation, new, skip);
	if (v.class == OK && operation != ACCOUNT_REMOVE)
		v = set_times(new, operation == ACCOUNT_PASSWD ? accounts_find(a, new->name, new->device) : NULL);
	if (v.class == OK)
		v = replace(directory, a->content, skip, operation == ACCOUNT_REMOVE ? NULL : new);
	free(skip);
	if (v.class == OK)
		v = accounts_refresh(a);
	return v;
}

static struct verdict change(struct accounts *a, enum account_operation operation, struct account *new)
{
	struct verdict v;
	int directory, lock;

	if (!account_name_valid(new->name) || !account_device_valid(new->device))
		return perm(550, S("5.5.2"), S("the name is malformed"));
	directory = open(a->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return unwritable("cannot open the state directory");
	lock = take_lock(directory);
	if (lock < 0) {
		v = unwritable("cannot lock");
	} else {
		v = change_locked(a, directory, operation, new);
		close(lock);
	}
	close(directory);
	return v;
}

struct verdict accounts_change(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			       struct str verifier, uint64_t expires_at)
{
	struct account new = { .name = name, .device = device, .verifier = verifier, .expires_at = expires_at };
	struct verifier checked;

	if (operation != ACCOUNT_ADD && operation != ACCOUNT_PASSWD && operation != ACCOUNT_REMOVE)
		return perm(550, S("5.5.2"), S("unknown operation"));
	if (operation != ACCOUNT_REMOVE && account_name_valid(name) && !verifier_parse(verifier, &checked))
		return perm(550, S("5.5.2"), S("the verifier is malformed"));
	return change(a, operation, &new);
}

struct verdict accounts_lock(struct accounts *a, enum account_operation operation, struct str name, struct str device,
			     struct str reason)
{
	struct account which = { .name = name, .device = device, .reason = reason };

	if (operation != ACCOUNT_LOCK && operation != ACCOUNT_UNLOCK)
		return perm(550, S("5.5.2"), S("unknown operation"));
	return change(a, operation, &which);
}
