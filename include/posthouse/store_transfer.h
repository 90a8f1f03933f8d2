/* store_transfer.h - copies a queue between SQLite, in the state_dir of a relay that is stopped, and a PostgreSQL database.
 * Blocking code for a program of its own. A page of rows is a transaction, which also stores how far the copy has come: a run
 * that was killed is repeated, and goes on. Within the transaction the rows are read again and compared with their source by
 * checksums. */
#ifndef POSTHOUSE_STORE_TRANSFER_H
#define POSTHOUSE_STORE_TRANSFER_H

#include "posthouse/store_nodes.h"

enum { STORE_MOVED_MAX = 12 };

struct store_transfer {
	const struct store_database *database;
	const char *directory; /* a state_dir */
	struct arena *arena;   /* texts of results live here */
	struct store_account *accounts;
	size_t accounts_n;

	/* How much of each kind was read, stored, or was there already; also by runs before, which this one has continued. */
	struct store_moved {
		const char *what;
		uint64_t read, stored, there;
	} moved[STORE_MOVED_MAX];
	size_t moved_n;
	uint64_t renumbered;     /* messages whose id another message has */
	uint64_t texts_missing;  /* large texts whose file is damaged or gone */
	uint64_t known_left_out; /* recipients that logins have written to, which another key hides */
	bool continued;          /* a run before had begun */
};

/* From the directory into the database; the accounts are given. TEMP: the database is away, or a relay runs on the directory.
 * PERM: something is wrong, which the text names. What was stored stays. */
struct verdict store_import(struct store_transfer *t);

/* From the database, whose nodes have stopped or are drained, into a directory without a queue. No node starts on the database
 * any more. The accounts are given back; when they are written, store_export_end() gives the queue its name, so that a relay can
 * start there. Verdicts as above. */
struct verdict store_export(struct store_transfer *t);
struct verdict store_export_end(struct store_transfer *t);

/* After a restore of the database from a backup, or an export that is not used: what nodes have of before does not count any
 * more, and they can start. TEMP: a node runs. */
struct store_generation {
	uint64_t generation;
	struct str exported; /* where the queue had been copied to; "": nowhere */
};
struct verdict store_restored(const struct store_database *d, struct arena *a, struct store_generation *out);

#endif
