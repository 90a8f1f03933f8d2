/* side.h - a queue that is copied from or to: in SQLite (lite.c), or in a PostgreSQL database (base.c). Functions that give bool
 * give false after an error, which is in `why`; then nothing of the side works any more. */
#ifndef STORE_TRANSFER_SIDE_H
#define STORE_TRANSFER_SIDE_H

#include "page.h"

#include "posthouse/store_transfer.h"

struct side {
	const struct side_ops *ops;
	bool failed;
	bool away; /* it is worth to try again */
	char why[400];
};

/* Messages and recipients that a page has brought, for the counters. */
struct counted_states {
	uint64_t open_messages, waiting, held, failed;
};

struct side_ops {
	/* Rows of the table behind the one with this key (NULL: from the first), in the order of the keys, at most `max`. */
	bool (*read_after)(struct side *s, const struct value *after, size_t max, struct page *p);
	/* Rows that belong to these messages, whose ids are sorted. */
	bool (*read_messages)(struct side *s, const uint64_t *ids, size_t n, struct page *p);
	/* Rows with the keys of this page. */
	bool (*read_keys)(struct side *s, const struct page *keys, struct page *p);

	bool (*make_room)(struct side *s, const uint64_t *ids, size_t n); /* before begin(), for messages with these ids */
	bool (*begin)(struct side *s);
	bool (*insert)(struct side *s, const struct page *p);
	bool (*merge)(struct side *s, const struct page *p); /* rows that are there already */
	bool (*count)(struct side *s, const struct counted_states *c);
	bool (*commit)(struct side *s);
	void (*rollback)(struct side *s);

	/* Pieces of large texts, numbered from 1. An empty one: there is none. */
	bool (*read_piece)(struct side *s, uint64_t id, uint64_t seq, struct arena *a, struct str *piece_out);
	bool (*write_piece)(struct side *s, uint64_t id, uint64_t seq, struct str piece);
	bool (*end_text)(struct side *s, uint64_t id); /* before the commit */

	/* Values of the table meta; "": there is none. */
	bool (*meta)(struct side *s, const char *key, struct arena *a, struct str *value_out);
	bool (*put_meta)(struct side *s, const char *key, struct str value);
	void (*close)(struct side *s);
};

enum { PIECE_BYTES = 256 << 10 };

bool side_fail(struct side *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "t.id,t.token,…": what is read; "id,token,…": what is stored. Texts in the arena. */
struct str side_read_list(struct arena *a, const struct table *t, unsigned side);
struct str side_stored_list(struct arena *a, const struct table *t);
struct str side_from(struct arena *a, const struct table *t, unsigned side);
/* "(t.key,t.rule)": the key, with this in front of each column. */
struct str side_key(struct arena *a, const struct table *t, const char *front);

/* lite.c: queue.db in this directory under this name; `fresh`: made when it is not there. */
struct side *lite_open(const char *directory, const char *name, bool fresh, struct arena *a, char why[static 400]);
/* The lines of the account file become its table `account`. */
bool lite_put_accounts(struct side *s, const struct store_account *accounts, size_t n);
/* Its index of lanes is whole, and the search begins behind what it has. Closed for good: nothing is left in its log. */
bool lite_finish(struct side *s);
/* One number that a statement of the program gives; 0 when there is none. */
bool lite_number(struct side *s, const char *sql, uint64_t *number_out);

#endif
