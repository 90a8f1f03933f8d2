/* relay.h - the relay role inside: deliveries that queue hands over, and connections to the next hops that carry them.
 *
 * relay.c           the role: messages, configuration, stop; it fills in struct relay_ops, by which lower files tell upper ones
 * delivery.c        one lease of queue: a message, its recipients, their outcomes
 * handover.c        each delivery that queue hands over goes to the pool of its next hop
 * pool.c            one next hop: its connections, and the deliveries that wait for one
 * nexthops.c        which next hops there are: upstreams by configuration, domains for as long as there is mail for them
 * domain_lookup.c   queue asks for a domain's mail servers before it hands over mail for it
 * candidates.c      the addresses of a next hop: by host name, or by the MX records of a domain
 * resolver.c        the resolver for domains, opened when it is first needed
 * reach.c           addresses that get no mail directly, and which are ourselves
 * host_status.c     addresses that did not answer, or cannot do TLS or an extension
 * ca_store.c        the CA certificates that next hops are verified with
 * connection.c      one connection: TCP, TLS, time limits, its end
 * attempt.c         the addresses in turn until a session is open
 * tls_policy.c      which TLS a candidate address must have
 * client_events.c   events of the client machine on a connection, and what follows from them
 * tx_recipients.c   the recipients of one transaction
 * extensions.c      extensions that a next hop offers but cannot do
 * requirements.c    what a message requires of its next hops: a time limit, TLS
 * transfer.c        the text of a message, read piece by piece
 * downgrade.c       a text that the next hop does not take as it is: sizes and fresh signatures
 * complaints.c      what refusals say about the next hop
 * reply_class.c     what a refusal means; its table is replies.def
 * server_words.c    the server's own words of a reply */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "host_status.h"

#include "posthouse/dns.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/role.h"
#include "posthouse/smtp_client.h"

#include <sys/stat.h>

enum { LEASE_BUCKETS = 256 };

struct relay;
struct pool;
struct delivery;
struct connection;

/* What the parts below tell those above them. relay.c, which knows all of them, fills this in. */
struct relay_ops {
	/* connection.c */
	void (*begin)(struct connection *c); /* a new one: where does it go? */
	void (*not_found)(struct connection *c, struct verdict v);
	void (*not_connected)(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault);
	void (*advance)(struct connection *c);  /* its machine may have events */
	void (*writable)(struct connection *c); /* the peer has taken some text, or has answered */
	void (*closed)(struct connection *c);   /* nothing of it is open any more; it is freed next */
	/* downgrade.c, transfer.c */
	void (*resume)(struct connection *c); /* the first pass is over */
	/* pool.c */
	void (*give)(struct connection *c, struct delivery *d); /* to an idle connection */
	/* candidates.c, resolver.c */
	void (*found)(struct pool *pool, struct verdict v); /* its candidates are there; or why there are none */
	void (*resolver_changed)(struct pool *pool);
};

struct relay {
	const struct relay_ops *ops;
	struct role *role;
	uv_loop_t *loop;
	struct log log;
	struct list pools, ca_stores;
	struct list leases[LEASE_BUCKETS];
	size_t deliveries, waiting, running, connections; /* deliveries: also those whose result is not settled */
	uint64_t next_connection;
	struct arena scratch;         /* texts of `configure` */
	struct arena arena;           /* of what follows */
	struct str dns_options, path; /* as configured; see nexthops.c */
	struct arena own_arena;
	struct str_list own;               /* this machine's addresses, as they were … */
	uint64_t own_at;                   /* … then */
	struct stat resolv_conf;           /* as it was when the resolver was set up, … */
	uint64_t resolv_conf_at;           /* … and when it was looked at last */
	struct dns *dns, *next_dns;        /* NULL: not needed yet; next_dns: prepared by `configure` */
	struct sockaddr_storage source[2]; /* IPv4, IPv6; family 0: none */
	struct tls_context *old_tls;       /* NULL: not needed yet */
	struct host_status_slot host_status[HOST_STATUS_SLOTS];
	struct family families[2];
	uv_timer_t grace, sweep; /* sweep: of domains that were looked up and got no mail */
	bool stopping;
};

#endif
