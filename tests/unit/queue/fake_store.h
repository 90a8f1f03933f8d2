/* fake_store.h - what a test may look at and set in the in-memory store that stands in for the real one. */
#ifndef TEST_FAKE_STORE_H
#define TEST_FAKE_STORE_H

#include "posthouse/list.h"
#include "posthouse/store.h"

struct op;

struct fake_recipient {
	struct new_recipient new;
	enum recipient_state state;
	bool leased, removing;
	bool report_success; /* delivered, and the sender is to be told */
	uint64_t due_at, attempts, deaths, last_at;
	struct verdict verdict;
	struct str remote, route, transcript;
};

struct fake_message {
	struct list in_store;
	struct arena arena;
	struct accepted m;
	struct fake_recipient *recipients;
	unsigned warned; /* reports of KIND_DELAY, also such that tell nobody */
};

struct store {
	uv_loop_t *loop;
	uv_timer_t turn;
	store_opened_fn opened;
	void *ctx;
	bool open, told;
	struct list messages;
	struct list ops;
	struct arena arena; /* texts of events */
	struct str events;  /* "ID n name fields\n" … */
	struct gate_state gates[8];
	size_t gates_n;
	size_t lane_turn, due_lanes;
	/* what the test sets */
	unsigned refuse_accepts, refuse_settles, refuse_reports; /* so many are answered TEMP */
	bool text_gone;
	struct op *held_start;
	bool drop_buckets; /* bucket_put is OK, and forgets them: there are too many for a test */
	bool hold_buckets; /* bucket_put waits for fake_release_buckets() */
	struct op *held_put;
	/* what the test reads */
	unsigned ban_puts, knowns, mends;
	unsigned lane_asks, siblings, settled /* outcomes */, bucket_puts;
	unsigned accepts, leases, settles, spools_created, spools_dropped, gate_puts, prunes, alters;
	bool closed;
};

/* The one store that the code under test has opened; NULL before and after. */
extern struct store *fake_store;

/* Gates that a store opened later finds from before; and a reason to refuse the opening. */
extern struct gate_state fake_gates[8];
extern size_t fake_gates_n;
extern bool fake_gates_unreadable; /* the store cannot read them */
extern bool fake_refuse_open;
extern uint64_t fake_prunable;          /* finished messages that are to be forgotten */
extern unsigned fake_open_without_room; /* so many tries of the next store to open find no room */
extern bool fake_set_back;              /* the next store says that its times are another clock's */

/* Token buckets: kept over stores, as on a disk, until harness_free(). */
#define FAKE_BUCKETS_MAX 64
extern struct bucket_row fake_buckets[FAKE_BUCKETS_MAX];
extern size_t fake_buckets_n;
void fake_forget_buckets(void);
void fake_release_buckets(void);
void fake_release_start(void);
extern unsigned fake_unreadable, fake_bans_unreadable;             /* so many times the rows cannot be read */
extern bool fake_hold_start;                                       /* for the next store */
struct bucket_row *fake_bucket(const char *key, const char *rule); /* NULL: none */

/* Bans, and recipients that were remembered: kept over stores in the same way. */
extern struct ban_row fake_bans[FAKE_BUCKETS_MAX];
extern size_t fake_bans_n;
struct ban_row *fake_ban(const char *key); /* NULL: none */
void fake_remember(struct str login, struct str address);

/* The gate as it was put last; NULL: never. */
struct gate_state *fake_gate(const char *name);

struct fake_message *fake_find(uint64_t id);
struct fake_recipient *recipient(uint64_t id, uint64_t n);

/* Is there an event of the message with this name whose fields contain `part`? */
bool fake_event(uint64_t id, const char *name, const char *part);

#endif
