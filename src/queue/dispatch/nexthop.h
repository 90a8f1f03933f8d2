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

/* The gate with this name, made when there is none. One of an MX domain lives until gates_collect() finds it up and unused. */
struct gate *gate_get(struct dispatch *d, struct str name);

/* It is not used any more. / The same, and the store forgets its state too. */
void gate_free(struct gate *g);
void gate_forget(struct gate *g);

/* Do deliveries point to it, or lanes wait for it? */
bool gate_is_used(const struct gate *g);

/* After a change of what makes an MX gate worth remembering: its status, its leases, what is expected. */
void gate_place(struct gate *g);

/* Has a pause ended? Then the next delivery probes. */
void gate_tick(struct gate *g, uint64_t now);

/* Can deliveries be leased for it? Else inquire(), and its waiting lanes are served when the answer has come. */
bool gate_knows_hosts(const struct gate *g);

/* A result has come that says nothing against it: an MX domain is served like those that work for the next hour. / It does not work. */
void gate_prove(struct gate *g, uint64_t now);
void gate_disprove(struct gate *g);

void gate_set_reason(struct gate *g, struct str reason);

/* Its state, or a row of the store's table of gates that is not a gate's; the texts are copied. */
void gate_save(const struct gate *g);
void gate_row_save(struct dispatch *d, const struct gate_state *row);

#endif
