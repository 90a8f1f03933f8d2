/* fake_store.h - what a test may look at and set in the in-memory store that stands in for the real one. */
#ifndef TEST_FAKE_STORE_H
#define TEST_FAKE_STORE_H

#include "posthouse/list.h"
#include "posthouse/store.h"

struct fake_recipient {
	struct new_recipient new;
	enum recipient_state state;
	bool leased, removing;
	uint64_t due_at, attempts, deaths, last_at;
	struct verdict verdict;
	struct str remote, route, transcript;
};

struct fake_message {
	struct list in_store;
	struct arena arena;
	struct accepted m;
	struct fake_recipient *recipients;
};

struct store {
	uv_loop_t *loop;
	uv_timer_t turn;
	struct list messages;
	struct list ops;
	struct arena arena; /* texts of events */
	struct str events;  /* "ID n name fields\n" … */
	struct gate_state gates[8];
	size_t gates_n;
	unsigned lane_turn;
	/* what the test sets */
	unsigned refuse_accepts, refuse_settles, refuse_reports; /* so many are answered TEMP */
	bool text_gone;
	/* what the test reads */
	unsigned accepts, leases, settles, spools_created, spools_dropped, gate_puts, prunes, alters;
	bool closed;
};

/* The one store that the code under test has opened; NULL before and after. */
extern struct store *fake_store;

/* Gates that a store opened later finds from before; and a reason to refuse the opening. */
extern struct gate_state fake_gates[8];
extern size_t fake_gates_n;
extern bool fake_refuse_open;

struct fake_message *fake_find(uint64_t id);

/* Is there an event of the message with this name whose fields contain `part`? */
bool fake_event(uint64_t id, const char *name, const char *part);

#endif
