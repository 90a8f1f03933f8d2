/* damage.c - what queue reads from its database is not what it has written: the linker gives the store other functions in the place of
 * SQLite's, which change one number or text now and then. */
#include "acts.h"
#include "world.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define DAMAGES_MAX 64

/* clang-format off */
sqlite3_int64 __real_sqlite3_column_int64(sqlite3_stmt *q, int column);
const void *__real_sqlite3_column_blob(sqlite3_stmt *q, int column);
int __real_sqlite3_column_bytes(sqlite3_stmt *q, int column);
int __real_sqlite3_column_type(sqlite3_stmt *q, int column);
sqlite3_int64 __wrap_sqlite3_column_int64(sqlite3_stmt *q, int column);
const void *__wrap_sqlite3_column_blob(sqlite3_stmt *q, int column);
int __wrap_sqlite3_column_bytes(sqlite3_stmt *q, int column);
int __wrap_sqlite3_column_type(sqlite3_stmt *q, int column);
/* clang-format on */

/* Before how many reads of a column, counted from the last damage; and what is read then. */
struct damage {
	unsigned after;
	uint64_t value;
};

static struct damage damages[DAMAGES_MAX];
static size_t damages_n;
static atomic_uint reads;
static atomic_size_t done; /* of damages */
static const char odd[] = "@\xff\xfe \0\r\n\"<>;=,%\x80 a@b.example user:x mx: upstream:next 4.2.2 450";

/* The store's thread reads while the loop's thread tells what is damaged only between two acts, when the store has nothing to do. */
void damage_act(struct str bytes)
{
	damages_n = 0;
	for (; bytes.n >= 9 && damages_n < DAMAGES_MAX; bytes = str_from(bytes, 9)) {
		struct damage *d = &damages[damages_n++];

		d->after = (unsigned char)bytes.p[0];
		memcpy(&d->value, bytes.p + 1, sizeof d->value);
	}
	atomic_store(&reads, 0);
	atomic_store(&done, 0);
}

void damage_end(void)
{
	damages_n = 0;
}

/* NULL: this column is read as it is. */
static const struct damage *now(void)
{
	size_t at = atomic_load(&done);

	if (at >= damages_n || atomic_fetch_add(&reads, 1) < damages[at].after)
		return NULL;
	atomic_store(&reads, 0);
	atomic_store(&done, at + 1);
	return &damages[at];
}

sqlite3_int64 __wrap_sqlite3_column_int64(sqlite3_stmt *q, int column)
{
	const struct damage *d = now();

	return d ? (sqlite3_int64)d->value : __real_sqlite3_column_int64(q, column);
}

static _Thread_local size_t changed_n;
static _Thread_local bool changed;

const void *__wrap_sqlite3_column_blob(sqlite3_stmt *q, int column)
{
	const struct damage *d = now();

	changed = d != NULL;
	if (!d)
		return __real_sqlite3_column_blob(q, column);
	changed_n = (d->value >> 8) % sizeof odd;
	if (d->value & 1)
		return NULL;
	if (d->value & 2) { /* the text is cut */
		size_t n = (size_t)__real_sqlite3_column_bytes(q, column);

		changed_n = n ? changed_n % n : 0;
		return __real_sqlite3_column_blob(q, column);
	}
	changed_n = changed_n < sizeof odd - (d->value >> 16) % sizeof odd ? changed_n : 0;
	return odd + (d->value >> 16) % sizeof odd;
}

int __wrap_sqlite3_column_bytes(sqlite3_stmt *q, int column)
{
	return changed ? (int)changed_n : __real_sqlite3_column_bytes(q, column);
}

int __wrap_sqlite3_column_type(sqlite3_stmt *q, int column)
{
	const struct damage *d = now();

	return !d ? __real_sqlite3_column_type(q, column) : d->value & 1 ? SQLITE_NULL : SQLITE_TEXT;
}
