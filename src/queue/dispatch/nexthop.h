/* nexthop.h - the next hops that are known: an upstream, or the MX hosts of a domain. While a next hop is down, its mail waits or
 * takes the next choice of its route; after a pause, which grows from failure to failure, one delivery probes the next hop. */
#ifndef QUEUE_NEXTHOP_H
#define QUEUE_NEXTHOP_H

#include "dispatch/nexthop_rate.h"

#include "posthouse/config.h"
#include "posthouse/hashtable.h"
#include "posthouse/list.h"
#include "posthouse/store.h"

struct dispatch;

enum nexthop_status { NEXTHOP_UP, NEXTHOP_DOWN, NEXTHOP_PROBING };

/* What is at fault, as relay says it in `result`. */
enum nexthop_fault { FAULT_NONE, FAULT_UNREACHABLE, FAULT_OURS, FAULT_POLICY };

/* What is known of an MX domain's mail servers. Nothing is leased before relay has looked for them. */
enum nexthop_hosts {
	HOSTS_UNKNOWN,
	HOSTS_WANTED, /* relay is to be asked */
	HOSTS_ASKED,
	HOSTS_FOUND,
	HOSTS_MISSING, /* a delivery will say why */
};

#define NEXTHOPS_MAX 10000 /* that are remembered: MX domains that are down, upstreams that are not configured any more */

struct waiting_lane {
	uint64_t lane;
	unsigned priority;
};

/* The connections that this node is allowed, of an upstream that nodes share (nexthop_allowance.c). */
struct allowance {
	size_t held;      /* by this node, as the store has said last */
	size_t told;      /* relay is allowed so many */
	uint64_t number;  /* of what it is told: grows with each change, so that an answer to what was told before is known */
	size_t used;      /* relay can still have so many */
	size_t wanted;    /* connections that there was work for lately; the most since … */
	uint64_t since;   /* … monotonic, as the others */
	size_t asked;     /* wanted when the store was asked last */
	uint64_t turn_at; /* since when some are held */
	bool pressed;     /* another node waits */
	bool listed;      /* the store can have a row of this node */
};

struct nexthop {
	struct hashtable_item in_table;
	struct list in_class; /* of upstreams, idle ones or those that are down; MX domains that are up and used are in none of
				 these */
	struct list in_ready, in_waiting, in_asked, in_inquiries;
	struct dispatch *dispatch;
	char *name;      /* "upstream:isp", "mx:example.org" */
	char *reason;    /* why it is down; "" otherwise */
	char *complaint; /* what an administrator should know, although the next hop works; NULL: nothing */
	uint64_t complaint_at, complaint_told_at;
	bool is_mx, in_down;
	bool proven; /* an MX domain that worked lately */
	enum nexthop_hosts hosts;
	uint64_t inquiry;    /* the call to relay */
	uint64_t kept_until; /* its hosts were looked up for a delivery that comes soon, and waits in no lane here; 0: not so */
	enum nexthop_status status;
	enum nexthop_fault fault; /* FAULT_NONE: up, or not known since the restart */
	uint64_t meaning;         /* of this fault; 0: like `fault`, or not known to relay */
	uint64_t told;            /* the meaning of the fault of which the postmaster was told; 0: of none since it worked */
	uint64_t down_until, failures, last_ok_at;
	uint64_t row_until;    /* down_until of its row in the store, as this node has read or written it last; 0: it is up */
	uint64_t changed;      /* nexthops.changes_n when this node wrote the row last */
	uint64_t read_in;      /* the round of nexthops_follow() that has read it */
	uint64_t pause_ms;     /* the length of the pause that ends at down_until */
	uint64_t tried_at;     /* when the last delivery that found it down was begun; 0: there was none since the restart */
	size_t connections;    /* of the configuration; 0: no route leads here */
	uint64_t message_size; /* that it takes, and … */
	char *too_large;       /* … what the sender of a larger message is told */
	size_t recipients_per_message; /* these limits are of the configuration; 0: no limit */
	size_t granted;                /* connections that the next hop grants, as relay said last; 0: not known */
	uint64_t pace_us, paced_at_us; /* smoothed time between two results while it has work; when the last result came */
	bool was_busy;                 /* there was more work when the last result came */
	size_t leases;                 /* deliveries that point here */
	size_t in_flight;              /* deliveries that relay has */
	size_t parked_n;               /* deliveries that are leased and wait for a slot; they hide the latency of the store */
	struct list parked;            /* struct lease, in_list */
	size_t expected;               /* deliveries that the store was asked for in this round */
	size_t wanting;                /* lanes that lead here, of the page that the scheduler looks at */
	struct waiting_lane *waiting; /* lanes that are due and found no room here, in the order in which they came; NULL: none */
	size_t waiting_n, waiting_max;
	struct allowance allowance;
	unsigned waiting_turn;  /* counts the lanes that were taken out: see nexthop_next_waiting() */
	struct charges charges; /* against its rates */
};

#define PROVEN_SLOTS 8192
#define UNFIT_SLOTS  512

/* When the next hop with this name was last tried for mail with REQUIRETLS, and could not do what RFC 8689 demands. Of two with
 * the same slot one is forgotten; that costs one more try. */
struct unfit {
	uint64_t hash, tried_at;
};

/* A domain that worked, by its hash. Of two domains with the same slot one is forgotten; that costs one question to relay. */
struct proven {
	uint64_t hash, until;
};

struct allowances {
	uint64_t membership; /* of this node: what it was allowed in another one is void */
	uint64_t ask_at;     /* monotonic */
	uv_timer_t timer;    /* the same, when it is sooner than allowances_look() */
	bool asking, soon;   /* soon: the last answer is to be followed by another one */
};

struct nexthops {
	struct hashtable table;
	struct list upstreams;
	struct list idle;    /* MX domains that are up and unused: freed at the end of the round */
	struct list down;    /* MX domains that are not up, those used last at the end; bounded */
	struct list ready;   /* those with parked deliveries */
	struct list waiting; /* those with waiting lanes */
	struct list asked;   /* those with expected recipients */
	struct proven proven[PROVEN_SLOTS];
	struct unfit unfit[UNFIT_SLOTS];
	size_t down_n;
	bool mx_used; /* some route has the choice "mx" */
	bool known;   /* the states from before the restart have been read */
	/* Following other nodes: what this node has written, and had when the last round began to read. */
	uv_timer_t follow;
	uint64_t changes_n, round, round_changes_n;
	bool reading;
	struct allowances allowances;
};

void nexthops_init(struct dispatch *d);
void nexthops_fini(struct dispatch *d);

/* The next hop with this name, made when there is none. An MX domain lives until nexthops_collect() finds it up and unused. */
struct nexthop *nexthop_get(struct dispatch *d, struct str name);

/* Free a next hop that is not used. / The same of one that is down; the store forgets its state too. */
void nexthop_free(struct nexthop *hop);
void nexthop_forget(struct nexthop *hop);

/* Do deliveries point to it, or lanes wait for it? */
bool nexthop_is_used(const struct nexthop *hop);

/* To be called after each change of what decides whether an MX domain is kept: its status, its leases, what is expected. */
void nexthop_place(struct nexthop *hop);

/* When the pause has ended, the next delivery probes. */
void nexthop_tick(struct nexthop *hop, uint64_t now);

/* Can deliveries be leased for it? If not, call inquire(): its waiting lanes are served when the answer has come. */
bool nexthop_knows_hosts(const struct nexthop *hop);

/* A result says nothing against the next hop: for the next hour an MX domain is served like those that work. / It does not
 * work. */
void nexthop_prove(struct nexthop *hop, uint64_t now);
void nexthop_disprove(struct nexthop *hop);

/* A delivery that was begun at `tried_at` has shown that the next hop cannot do what REQUIRETLS demands. / Was that so for one
 * that was begun after `since`? 0: no. A message that comes later tries the next hop for itself: it can have been mended. */
void nexthop_note_unfit(struct nexthop *hop, uint64_t tried_at);
bool nexthop_is_unfit(const struct nexthop *hop, uint64_t since);

#define REASON_MAX_BYTES 800 /* of its own, and of a paused sender */
void nexthop_set_reason(struct nexthop *hop, struct str reason);

/* Have the store keep the state of a next hop, or another row of the same table; the texts are copied. */
void nexthop_save(struct nexthop *hop);
void nexthop_row_save(struct dispatch *d, const struct gate_state *row);

/* ---- nexthop_health.c: results, configurations, restarts and administrators change the health of a next hop ---- */

/* Read the states from before the restart. Then the scheduler starts. */
void nexthops_load(struct dispatch *d);

/* The configuration has changed: connection counts and rates are taken from it, and next hops that are down are tried at once. */
void nexthops_apply(struct dispatch *d);

/* End all pauses, because an administrator or a new configuration says that it is worth a try. */
void nexthops_probe_now(struct dispatch *d);

/* A next hop is down, as its row says; or up, in memory alone. */
void nexthop_is_down(struct nexthop *hop, const struct gate_state *row);
void nexthop_is_up(struct nexthop *hop);

/* The next hop works, or is at fault. True when this was not known before. */
bool nexthop_worked(struct nexthop *hop, uint64_t now);
struct nexthop_trouble {
	enum nexthop_fault fault;
	uint64_t meaning;  /* see meaning.h, packed */
	uint64_t pause_ms; /* a pause that the next hop's reply asks for; 0: none */
	struct str reason;
	uint64_t tried_at; /* when the delivery was begun */
};
bool nexthop_failed(struct nexthop *hop, const struct nexthop_trouble *t, uint64_t now);

/* The next hop works, but it said something about this relay's set-up or reputation that an administrator should know. It goes to
 * the log, once in an hour, and to `status`. */
void nexthop_complained(struct nexthop *hop, uint64_t meaning, struct str reason, uint64_t now);

/* The clock was set back: pauses that would now last longer than they were meant to are over, also in the store. */
void nexthops_mend(struct dispatch *d, uint64_t now);

/* Free the MX domains that are up and unused, and forget those that were down long ago. */
void nexthops_collect(struct dispatch *d);

void nexthops_stats(struct dispatch *d);

/* ---- nexthop_follow.c: several nodes share the store: what one finds of a next hop, all know; and one of them probes ---- */

void nexthops_follow_init(struct dispatch *d);
/* One round; where the store is shared the next one comes after a second, or a little later when there are thousands. */
void nexthops_follow(struct dispatch *d);

/* The pause has ended: this node probes, if no other node does. */
void nexthop_claim(struct nexthop *hop, uint64_t now);

/* ---- nexthop_allowance.c: several nodes share the connections of an upstream ---- */

/* How many connections this node is allowed; where it is alone, or for an MX domain, SIZE_MAX. */
size_t allowance_of(const struct nexthop *hop);

/* A delivery waits for a connection: perhaps there are more. */
void allowance_want(struct nexthop *hop);

void allowances_init(struct dispatch *d);

/* Several times in a second: as long as some are held or wanted, the store is asked. */
void allowances_look(struct dispatch *d);

/* A relay is there, or gone: it has no connections. */
void allowances_begin(struct dispatch *d);

void allowance_stats(const struct nexthop *hop);

/* ---- nexthop_concurrency.c: how many deliveries a next hop can have at once ---- */

/* Is this next hop a possible choice of a route now? Not while it is down, probed by another delivery, or at the limit of its
 * rates. A window that is full is no reason to choose another one. */
bool nexthop_is_open(struct nexthop *hop, uint64_t now);

/* How many deliveries can be sent now, and how many can be leased (in advance) when it is open. */
size_t nexthop_slots(const struct nexthop *hop);
size_t nexthop_room(const struct nexthop *hop, uint64_t now);

/* How many recipients a delivery to it can have now; at least 1. */
size_t nexthop_recipients(const struct nexthop *hop, uint64_t now);

/* Is there a place for a delivery that was leased already? There are more places than room, because a message can split into
 * several deliveries. */
bool nexthop_takes(const struct nexthop *hop);

/* A result has come. connections: how many the next hop grants; 0: not known. */
void nexthop_pace(struct nexthop *hop, size_t connections);

/* Give the next hop the limits of its upstream. Without them it takes nothing. */
void nexthop_apply_limits(struct nexthop *hop, const struct cfg_upstream *u);

/* The room of all upstreams. *wake_at_out: when the first of the others can open; 0: there is none. */
size_t nexthops_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out);

/* Is some next hop down in such a way that the time of messages which wait for it can end? */
bool nexthops_may_expire(const struct dispatch *d);

/* Deliveries that the store was asked for use up room until the round ends. */
void nexthop_expect(struct nexthop *hop, size_t n);
void nexthops_expect_nothing(struct dispatch *d);

/* ---- nexthop_lanes.c: lanes that are due and wait for room at a next hop ---- */

/* Add a lane. True: it waits until it is served, see nexthop_resume_waiting(). False: it waits already, or the list has no place
 * for it; the store names it again in a later page. */
bool nexthop_wait(struct nexthop *hop, uint64_t lane, unsigned priority);

/* Take out the lane of the highest priority, but each fourth time the one that waits longest. There must be one. */
uint64_t nexthop_next_waiting(struct nexthop *hop);

/* Remove all; the store names them again. */
void nexthop_forget_waiting(struct nexthop *hop);

/* The next hop's mail servers are known: from now on the scheduler serves its lanes. */
void nexthop_resume_waiting(struct nexthop *hop);

/* ---- inquiry.c: relay looks for the mail servers of a domain before anything is leased for it ---- */

struct inquiries {
	struct list new, again; /* struct nexthop, in_inquiries: HOSTS_WANTED. `again`: those that were down; they wait behind the
				   others */
	struct list asked;
	size_t asked_n;
	unsigned turn;
};
void inquiries_init(struct dispatch *d);
void inquiries_cancel(struct dispatch *d); /* relay is gone */

/* Ask relay for the mail servers, unless it was asked already. When the answer has come, the waiting lanes are served. */
void inquire(struct nexthop *hop);

#endif
