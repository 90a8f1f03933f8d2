/* candidates.h - the addresses of a next hop: by host name, or by the MX records of a domain; the questions for these; and
 * addresses that get no mail. */
#ifndef RELAY_CANDIDATES_H
#define RELAY_CANDIDATES_H

#include "posthouse/config.h"
#include "posthouse/dns.h"
#include "posthouse/ipc.h"
#include "posthouse/str.h"
#include "posthouse/tls_policy.h"

#include <arpa/inet.h>

struct relay;
struct pool;

/* The MTA-STS policy of a domain (RFC 8461), as tlspolicy has told it with the last look-up. Starts as { 0 }: there is none. */
struct sts {
	struct arena arena;
	enum sts_mode mode;
	struct str_list mx; /* patterns */
	struct str text, id;
	enum tls_result fault; /* of the domain's present policy, and … */
	struct str why;        /* … what is wrong with it */
};

struct candidate {
	struct str host;
	struct sockaddr_storage address;
	/* as in struct dns_host; of the host of an upstream: not known */
	bool mx_secure, secure;
	struct str end, domain_end;
	bool cut; /* the attempt was ended before the whole time limit */
};
/* The TLSA records of a host. */
struct host_tlsa {
	struct host_tlsa *next; /* of another host of the same next hop */
	struct str host, base;
	enum tlsa_state state;
	const struct tlsa *set; /* the usable ones */
	size_t n;
};
/* IPv4 and IPv6 addresses have their port in the same place. */
static inline unsigned candidate_port(const struct candidate *t)
{
	return ntohs(((const struct sockaddr_in *)&t->address)->sin_port);
}

/* ---- candidates.c ---- */
/* Begin the look-up, unless one is under way; relay_ops.found follows. */
void candidates_ask(struct pool *pool);
/* Is the last result, or the last failure, recent enough to be used? */
bool candidates_fresh(const struct pool *pool);
void candidates_forget(struct pool *pool);
/* Is the name known, but not the policy? Then the time limit of connections is another one. */
bool candidates_await_policy(const struct pool *pool);

/* The answer of the role resolver about the host of an upstream. */
void host_found(struct pool *pool, struct verdict v, const struct sockaddr_storage *addresses, size_t n);

/* The answer of the role tlspolicy about the pool's domain. */
void policy_found(struct pool *pool, const struct msg_sts_found *m);

/* ---- questions.c ---- */
/* For the addresses of the pool's host: host_found() follows from the loop, unless host_cancel() comes first. */
void host_ask(struct pool *pool);
void host_cancel(struct pool *pool);
/* For the MTA-STS policy of the pool's domain: policy_found() follows from the loop, unless policy_cancel() comes first. */
void policy_ask(struct pool *pool);
void policy_cancel(struct pool *pool);
/* The role is there, perhaps again: what waits for it is asked. */
void questions_role_up(struct relay *relay, enum role_id role);

/* ---- reach.c ---- */
/* Why mail is not delivered directly to this address ("a loopback address"); NULL: it is. literal: a user named the address. */
const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal);
const struct str_list *reach_own(struct relay *relay); /* this machine's addresses; valid until the next call */

#endif
