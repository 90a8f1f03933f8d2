/* copy.c - the account file as a copy of a table that several machines share: what a change of the table has to be, and the file
 * that follows it. */
#include "internal.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define KEPT "accounts.before-cluster"

static const char heading[] = "# A copy of the accounts in the database (store.engine), which replaces this file.\n";
const struct str account_copy_heading = { heading, sizeof(heading) - 1 };

bool accounts_are_copied(const struct accounts *a)
{
	return a->content->is_copy;
}

/* ---- a change of the table ---- */

bool account_parse_removal(struct str line, struct str *name_out, struct str *device_out)
{
	size_t space = str_find(line, ' ');

	*name_out = str_head(line, space);
	*device_out = str_from(line, space + 1);
	if (device_out->n == 0)
		return false;
	if (str_eq(*device_out, S("-")))
		*device_out = S("");
	return account_name_valid(*name_out) && account_device_valid(*device_out);
}

static struct str removal_of(struct arena *a, const struct account *old)
{
	return arena_printf(a, "%.*s %.*s\n", STR_ARG(old->name), STR_ARG(old->device.n ? old->device : S("-")));
}

/* The lines in which two contents differ, which are sorted. False: there are too many. */
static bool compare(const struct content *old, const struct content *new, struct accounts_plan *out)
{
	struct arena a = { 0 };
	size_t i = 0, j = 0;
	bool fits = true;

	while (fits && (i < old->n || j < new->n)) {
		int order = i == old->n ? 1 : j == new->n ? -1 : account_compare(&old->at[i], &new->at[j]);
		struct str before = order <= 0 ? account_format_line(&a, &old->at[i]) : S("");
		struct str after = order >= 0 ? account_format_line(&a, &new->at[j]) : S("");

		fits = buf_add(&out->file, after);
		if (fits && !str_eq(before, after))
			fits = buf_add(&out->changes, order < 0 ? removal_of(&a, &old->at[i]) : after);
		i += order <= 0;
		j += order >= 0;
		arena_reset(&a);
	}
	arena_fini(&a);
	return fits;
}

static struct verdict plan(const struct content *old, const struct content *new, struct accounts_plan *out)
{
	return compare(old, new, out) ? ok() : perm(552, S("5.3.4"), S("the account file would be too large"));
}

void accounts_plan_init(struct accounts_plan *p)
{
	buf_init(&p->changes, ACCOUNTS_BYTES_MAX);
	buf_init(&p->file, ACCOUNTS_BYTES_MAX);
}

void accounts_plan_fini(struct accounts_plan *p)
{
	buf_fini(&p->changes);
	buf_fini(&p->file);
}

struct verdict accounts_plan(const struct accounts *a, enum account_operation operation, const struct account *what,
			     struct accounts_plan *out)
{
	struct account new = *what;
	struct arena arena = { 0 };
	struct content changed;
	struct verdict v = account_change_check(operation, &new);

	if (v.class == OK)
		v = account_change_compute(a, operation, &new, &arena, &changed);
	if (v.class == OK)
		v = plan(a->content, &changed, out);
	arena_fini(&arena);
	return v;
}

struct verdict accounts_plan_all(const struct accounts *a, struct accounts_plan *out)
{
	return plan(&(struct content){ .n = 0 }, a->content, out);
}

/* ---- the file that follows ---- */

/* How many passwords of the file the copy has not, or has otherwise. */
static size_t count_lost(const struct content *file, const struct content *copy)
{
	struct arena a = { 0 };
	size_t lost = 0, j = 0;

	for (size_t i = 0; i < file->n; i++) {
		while (j < copy->n && account_compare(&copy->at[j], &file->at[i]) < 0)
			j++;
		lost += j == copy->n || !str_eq(account_format_line(&a, &copy->at[j]), account_format_line(&a, &file->at[i]));
		arena_reset(&a);
	}
	arena_fini(&a);
	return lost;
}

/* The file has what the table lacks, and is of this machine alone: it gets a further name, one that is free. */
static struct verdict keep(int directory)
{
	struct arena a = { 0 };
	const char *dated = arena_cstr(&a, arena_printf(&a, KEPT ".%llu", (unsigned long long)clock_now_ms()));
	int failed = linkat(directory, "accounts", directory, KEPT, 0);
	struct verdict v = ok();

	if (failed && errno == EEXIST)
		failed = linkat(directory, "accounts", directory, dated, 0);
	if (failed)
		v = temp(451, S("4.3.0"), file_fault("account file: cannot be kept as " KEPT ": %s", strerror(errno)));
	arena_fini(&a);
	return v;
}

static struct verdict follow(const struct accounts *a, int directory, const struct content *copy, size_t *lost_out)
{
	const struct content *file = a->content;
	size_t lost = count_lost(file, copy);
	struct verdict v = ok();

	*lost_out = file->is_copy ? 0 : lost;
	if (file->is_copy && lost == 0 && file->n == copy->n)
		return ok();
	if (*lost_out > 0)
		v = keep(directory);
	return v.class == OK ? account_file_replace(directory, true, copy) : v;
}

struct verdict accounts_follow(struct accounts *a, struct str lines, size_t *lost_out)
{
	struct content copy = { .n = 0 };
	int directory, lock;
	struct verdict v;

	*lost_out = 0;
	if (!content_parse(&copy, lines, &v)) {
		arena_fini(&copy.arena);
		return v;
	}
	v = account_file_lock(a, &directory, &lock);
	if (v.class == OK) {
		v = accounts_refresh(a);
		if (v.class == OK)
			v = follow(a, directory, &copy, lost_out);
		close(lock);
		close(directory);
	}
	arena_fini(&copy.arena);
	return v;
}
