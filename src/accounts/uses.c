/* uses.c - when each password was last used: a file beside the account file, accounts.used. It is written by login
 * alone, so that a login never meets somebody who changes accounts. Lines: "since TIME" first, then "name device used_at
 * tried_at". */
#include "internal.h"

#include "posthouse/buf.h"
#include "posthouse/directory.h"
#include "posthouse/file.h"
#include "posthouse/hashtable.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX_BYTES (64 * MIB) /* as the account file */

struct use {
	struct hashtable_item item; /* by name and device */
	struct str name, device;
	struct account_use last, written; /* written: as the file has them */
};

struct account_uses {
	struct arena arena;
	const char *path, *fresh;
	struct hashtable uses;
	uint64_t since;
};

static struct use *find(const struct account_uses *u, struct str name, struct str device)
{
	HASHTABLE_FIND_OF (struct use, use, &u->uses, hash_texts(name, device), item) {
		if (str_eq(use->name, name) && str_eq(use->device, device))
			return use;
	}
	return NULL;
}

static struct use *find_or_add(struct account_uses *u, struct str name, struct str device)
{
	struct use *use = find(u, name, device);

	if (use)
		return use;
	use = ARENA_NEW(&u->arena, struct use);
	*use = (struct use){ .name = arena_str(&u->arena, name), .device = arena_str(&u->arena, device) };
	hashtable_add(&u->uses, &use->item, hash_texts(name, device));
	return use;
}

/* A line that is not one of ours is left out: the file is no proof of anything. */
static void read_line(struct account_uses *u, struct str line)
{
	struct str name, device, used = S(""), tried = S("");
	struct account_use last;
	struct use *use;

	if (!str_split(&line, ' ', &name) || !str_split(&line, ' ', &device))
		return;
	if (str_eq(name, S("since"))) {
		str_to_u64(device, &u->since);
		return;
	}
	str_split(&line, ' ', &used);
	str_split(&line, ' ', &tried);
	if (!str_to_u64(used, &last.used_at) || !str_to_u64(tried, &last.tried_at))
		return;
	use = find_or_add(u, name, str_eq(device, S("-")) ? S("") : device);
	use->last = use->written = last;
}

struct account_uses *account_uses_open(const char *state_dir, uint64_t now)
{
	struct account_uses *u = NEW(struct account_uses);
	int fd;
	FILE *f;
	char *line = NULL;
	size_t capacity = 0;
	ssize_t n;

	u->since = now;
	u->path = arena_cstr(&u->arena, arena_printf(&u->arena, "%.*s/accounts.used",
						     STR_ARG(directory_of(&u->arena, str_of(state_dir), "login"))));
	u->fresh = arena_cstr(&u->arena, arena_printf(&u->arena, "%s.new", u->path));
	fd = open(u->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	while (f && (n = getline(&line, &capacity, f)) > 0)
		read_line(u, str_trim(str_make(line, (size_t)n)));
	free(line);
	if (f)
		fclose(f);
	if (u->since > now) /* the clock was wrong then, or is now */
		u->since = now;
	return u;
}

void account_uses_close(struct account_uses *u)
{
	if (!u)
		return;
	hashtable_fini(&u->uses);
	arena_fini(&u->arena);
	free(u);
}

uint64_t account_uses_since(const struct account_uses *u)
{
	return u->since;
}

struct account_use account_uses_find(const struct account_uses *u, struct str name, struct str device)
{
	const struct use *use = find(u, name, device);

	return use ? use->last : (struct account_use){ 0 };
}

static bool is_due(uint64_t written, uint64_t now)
{
	return now >= written + DAY_MS || now < written;
}

bool account_uses_note(struct account_uses *u, struct str name, struct str device, bool fitted, uint64_t now)
{
	struct use *use = find_or_add(u, name, device);

	if (fitted)
		use->last.used_at = now;
	else
		use->last.tried_at = now;
	return is_due(fitted ? use->written.used_at : use->written.tried_at, now);
}

static struct str all_lines(struct account_uses *u, const struct accounts *accounts, struct buf *out)
{
	buf_printf(out, "since %llu\n", (unsigned long long)u->since);
	HASHTABLE_EACH_OF (struct use, use, &u->uses, item) {
		if (!accounts_find(accounts, use->name, use->device)) {
			hashtable_remove(&u->uses, &use->item);
			continue;
		}
		buf_printf(out, "%.*s %.*s %llu %llu\n", STR_ARG(use->name), STR_ARG(use->device.n ? use->device : S("-")),
			   (unsigned long long)use->last.used_at, (unsigned long long)use->last.tried_at);
		use->written = use->last;
	}
	return buf_view(out);
}

/* Without a sync: after a power cut a day can be missing, or the whole file, and counting begins again. */
bool account_uses_write(struct account_uses *u, const struct accounts *accounts)
{
	struct buf text;
	int fd = open(u->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), why;
	bool good;

	buf_init(&text, FILE_MAX_BYTES);
	good = fd >= 0 && file_write(fd, all_lines(u, accounts, &text));
	why = errno;
	if (fd >= 0)
		close(fd);
	if (good && rename(u->fresh, u->path) < 0) {
		good = false;
		why = errno;
	}
	if (!good && fd >= 0)
		unlink(u->fresh);
	buf_fini(&text);
	errno = why;
	return good;
}
