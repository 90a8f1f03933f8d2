/* nexthop.h - the health of a next hop (an upstream, or the MX hosts of a domain), and how many deliveries it may have at once. A gate
 * that is down keeps the mail where it is, or lets it take the next way of its route; after a pause that grows, one delivery probes it. */
#ifndef QUEUE_NEXTHOP_H
#define QUEUE_NEXTHOP_H

#include "dispatch/nexthop_rate.h"

#include "posthouse/config.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"
#include "posthouse/list.h"
#include "posthouse/store.h"

struct dispatch;

enum gate_status { GATE_UP, GATE_DOWN, GATE_PROBING };

/* What is at fault, as relay says it in `result`. */
enum gate_fault { FAULT_NONE, FAULT_UNREACHABLE, FAULT_OURS, FAULT_POLICY };

/* What is known of an MX domain's mail servers. Nothing is leased before relay has looked for them. */
enum gate_hosts {
	HOSTS_UNKNOWN,
	HOSTS_WANTED, /* relay is to be asked */
	HOSTS_ASKED,
	HOSTS_FOUND,
	HOSTS_MISSING, /* a delivery will say why */
};

struct waiting_lane {
	uint64_t lane;
	unsigned priority;
};

struct gate {
	struct hashtable_item in_table;
	struct list in_class; /* upstreams, idle or down; MX gates that are up and in use are in none */
	struct list in_ready, in_waiting, in_asked, in_inquiries;
	struct dispatch *dispatch;
	char *name;      /* "upstream:isp", "mx:example.org" */
	char *reason;    /* why it is down; "" otherwise */
	char *complaint; /* what an administrator should know although it works; NULL: nothing */
	uint64_t complaint_at, complaint_told_at;
	bool is_mx, in_down;
	bool proven; /* an MX domain that worked lately */
	enum gate_hosts hosts;
	uint64_t inquiry; /* the call to relay */
	enum gate_status status;
	enum gate_fault fault; /* FAULT_NONE: up, or not known since the restart */
	uint64_t down_until, failures, last_ok_at;
	uint64_t pause_ms;  /* that ends at down_until */
	uint64_t tried_at;  /* when the last delivery that found it down was begun; 0: since the restart there was none */
	size_t connections; /* of the configuration; 0: no route leads here any more */
	size_t granted;     /* connections that the next hop lets us have, as relay said last; 0: not known */
	uint64_t pace_us, paced_at_us; /* between two results while it has work, smoothed; when the last one came */
	bool was_busy;                 /* … and whether there was more to do then */
	size_t leases;                 /* deliveries that point here */
	size_t in_flight;              /* deliveries that relay has */
	size_t parked_n;               /* deliveries that are leased and wait for a slot: they hide the store's latency */
	struct list parked;            /* struct lease, in_list */
	size_t expected;               /* deliveries that the store was asked for in this round */
	size_t wanting;                /* lanes of the page that lead here, while it is looked at */
	struct waiting_lane *waiting;  /* lanes that are due and found no room here, as they came; NULL: none yet */
	size_t waiting_n, waiting_max;
	unsigned waiting_turn;  /* counts those that were let in: see gate_next_waiting() */
	struct charges charges; /* against its limits */
};

#define PROVEN_SLOTS 8192

/* A domain that worked, by its hash: what falls into the same slot is forgotten, which costs a question to relay and nothing else. */
struct proven {
	uint64_t hash, until;
};

struct gates {
	struct hashtable table;
	struct list upstreams;
	struct list idle;    /* MX gates that are up and unused: forgotten at the end of the round */
	struct list down;    /* MX gates that are not up, those used last at the end; bounded */
	struct list ready;   /* those with parked deliveries */
	struct list waiting; /* those with waiting lanes */
	struct list asked;   /* those with expected recipients */
	struct proven proven[PROVEN_SLOTS];
	size_t down_n;
	bool mx_used; /* some route has the way "mx" */
	bool known;   /* the states that were kept over the restart have been read */
};

void gates_init(struct dispatch *d);
void gates_fini(struct dispatch *d);

/* Read the states from before the restart; then the scheduler starts. */
void gates_load(struct dispatch *d);

/* The configuration has changed: new connection counts and limits, and what is down is tried at once. */
void gates_apply(struct dispatch *d);

/* The gate with this name, made when there is none. One of an MX domain lives until gates_collect() finds it up and unused. */
struct gate *gate_get(struct dispatch *d, struct str name);
void gates_collect(struct dispatch *d);

/* After a change of what makes an MX gate worth remembering: its status, its leases, what is expected. */
void gate_place(struct gate *g);

/* Has a pause ended? Then the next delivery probes. */
void gate_tick(struct gate *g, uint64_t now);

/* The next hop works, or is at fault; true when this is news. `tried_at`: when the delivery was begun. */
bool gate_worked(struct gate *g, uint64_t now);
struct gate_trouble {
	enum gate_fault fault;
	uint64_t meaning;  /* see meaning.h, packed */
	uint64_t pause_ms; /* that the next hop's words ask for; 0: none */
	struct str reason;
	uint64_t tried_at;
};
bool gate_failed(struct gate *g, const struct gate_trouble *t, uint64_t now);

/* It works, but said something about our set-up or repute that an administrator should know: once in an hour to the log, and to status. */
void gate_complained(struct gate *g, uint64_t meaning, struct str reason, uint64_t now);

/* A row of the store's table of gates; the texts are copied. */
void gate_row_save(struct dispatch *d, const struct gate_state *row);

/* The clock was set back: a pause that would last longer than it was made for is over, also in the store. */
void gates_mend(struct dispatch *d, uint64_t now);

/* A result has come that says nothing against it: an MX domain is served like those that work for the next hour. */
void gate_prove(struct gate *g, uint64_t now);

/* End all pauses: an administrator or a new configuration says that it is worth a try. */
void gates_probe_now(struct dispatch *d);

void gates_stats(struct dispatch *d);

/* ---- nexthop_concurrency.c: how much at once ---- */

/* May a delivery take this way now? Not while it is down, probed by another one, or at its limit; a window that is full is no
 * reason to go elsewhere. */
bool gate_is_open(struct gate *g, uint64_t now);

/* Deliveries that may be sent now, and those that may be leased (in advance) when it is open. */
size_t gate_slots(const struct gate *g);
size_t gate_room(const struct gate *g, uint64_t now);

/* Is there a place for a delivery that was leased already? More generous than the room: a message may split into several. */
bool gate_takes(const struct gate *g);

/* A result has come, and the next hop lets us have so many connections (0: not known). */
void gate_pace(struct gate *g, size_t connections);

/* The room of all upstreams; *wake_at_out: when one of them may open (0: none). */
size_t gates_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out);

/* Is some gate down in a way that may end the time of messages that wait for it? */
bool gates_may_expire(const struct dispatch *d);

/* Deliveries that the store was asked for count as room that is used, until the round ends. */
void gate_expect(struct gate *g, size_t n);
void gates_expect_nothing(struct dispatch *d);

/* Lanes that wait for room; a lane is in the list once. */
void gate_wait(struct gate *g, uint64_t lane, unsigned priority);
uint64_t gate_next_waiting(
	struct gate *g); /* takes it out: the highest priority first, but each fourth time the one that waits longest */
void gate_forget_waiting(struct gate *g);
void gate_resume_waiting(struct gate *g); /* its hosts are known now: its lanes are served */

/* ---- inquiry.c: mail servers first ---- */

struct inquiries {
	struct list new, again; /* struct gate, in_inquiries: HOSTS_WANTED; those that were down wait behind the others */
	struct list asked;
	size_t asked_n;
	unsigned turn;
};
void inquiries_init(struct dispatch *d);
void inquiries_cancel(struct dispatch *d); /* relay is gone */
void inquiries_advance(struct dispatch *d);

/* May deliveries be leased for it? Else inquire(), and its waiting lanes are served when the answer has come. */
bool gate_knows_hosts(const struct gate *g);
void inquire(struct gate *g);

#endif
