/* relay.h - the state of the relay role: deliveries that queue hands over, and the connections to next hops that carry them. The
 * first line of each file in this folder says what the file is for. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "horizon.h"
#include "host_status.h"

#include "posthouse/dns.h"
#include "posthouse/hashtable.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/resolving.h"
#include "posthouse/role.h"
#include "posthouse/smtp_client.h"

#include <sys/stat.h>

struct relay;
struct pool;
struct delivery;
struct connection;

/* By these functions the lower files call upper ones. relay.c, which knows all files, fills them in. */
struct relay_ops {
	/* connection.c */
	void (*begin)(struct connection *c); /* find the addresses for a new connection */
	void (*not_found)(struct connection *c, struct verdict v);
	void (*not_connected)(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);
	void (*advance)(struct connection *c);  /* the client machine can have events */
	void (*writable)(struct connection *c); /* the peer has taken some text, or has answered */
	void (*closed)(struct connection *c);   /* all handles are closed; the connection is freed next */
	/* attempt.c, client_events.c, pool.c: of a connection whose pool has a probe */
	void (*probe_note)(struct connection *c);
	void (*probe_ended)(struct connection *c, bool open);
	bool (*probe_sender)(struct connection *c); /* true: a sender is tried, and CLIENT_DONE follows */
	void (*probe_heard)(struct connection *c, struct verdict v);
	/* attempt.c: the policy of a candidate is decided, and the connection only looks */
	void (*look_note)(struct connection *c);
	/* downgrade.c, transfer.c */
	void (*resume)(struct connection *c); /* the first pass is over */
	/* pool.c */
	void (*give)(struct connection *c, struct delivery *d); /* to an idle connection */
	/* candidates.c */
	void (*found)(struct pool *pool, struct verdict v); /* OK: the candidates are known; else why there are none */
	/* host_tlsa.c */
	void (*tlsa_known)(struct connection *c); /* of its candidate */
};

struct relay {
	const struct relay_ops *ops;
	struct role *role;
	uv_loop_t *loop;
	struct log log;
	struct list pools, ca_stores;
	struct hashtable deliveries; /* by their leases; including those whose result is not settled */
	size_t waiting, running, connections;
	struct tally tls_versions; /* of the sessions that were opened */
	uint64_t tls_resumed;      /* those of them that resumed an earlier one */
	struct horizon horizon;
	bool shares;             /* queue says how many connections an upstream can have: allowance.c */
	uint64_t horizon_closed; /* deliveries that got no end of their text because of it */
	uint64_t next_connection;
	struct arena scratch; /* texts of `configure` */
	struct arena arena;   /* of the next line */
	struct str path;      /* as configured; see nexthops.c */
	struct arena own_arena;
	struct str_list own;               /* the addresses of this machine, … */
	uint64_t own_at;                   /* … read at this time */
	struct resolving resolving;        /* questions to the role resolver, … */
	struct dns *dns;                   /* … for these look-ups */
	struct list unasked;               /* struct question: they wait for their role */
	struct sockaddr_storage source[2]; /* IPv4, IPv6; family 0: none */
	struct tls_context *old_tls;       /* NULL: not made yet */
	struct host_status_slot host_status[HOST_STATUS_SLOTS];
	struct family families[2];
	uv_timer_t grace, sweep; /* sweep: frees the pools of domains that were looked up and got no mail */
	bool stopping;
	struct refused_probe *refused_probes; /* probe.c */
	size_t probes_n, looks_n;             /* under way */
};

#endif
