/* fixture.h - a resolver on a real loop, a name server of Debian (nsd) with the zones beside this file, and one that misbehaves. */
#ifndef POSTHOUSE_TEST_DNS_FIXTURE_H
#define POSTHOUSE_TEST_DNS_FIXTURE_H

#include "loop.h"

#include "posthouse/dns_library.h"

/* nsd in a directory of its own on a free loopback port: once for a program. */
void nsd_start(const char *program, const char *zones);
extern bool nsd_has_root; /* also serve root.zone; set it before nsd_start() */
void nsd_stop(void);
unsigned nsd_port(void);

/* How the false name server answers. */
enum manner {
	SERVFAIL,
	REFUSED,
	GARBAGE,
	TRUNCATED,
	SILENCE,
	EMPTY,
	GOOD,       /* every name has the address 192.0.2.7, but about those that begin with "dead" it is silent */
	PLAIN_ONLY, /* the same, and silent to all that comes with EDNS */
};
struct false_server {
	uv_udp_t udp;
	unsigned port, asked;
	enum manner manner;
	bool silent_aaaa; /* whatever the manner: no answer about AAAA */
};

struct fixture {
	uv_loop_t loop;
	struct arena arena;
	struct dns *dns;
	struct false_server false_server;
	struct str_list own, unsigned_zones;

	/* what the last look-up gave, copied */
	unsigned calls;
	struct verdict verdict;
	struct dns_host *hosts;
	size_t n;
};

int fixture_setup(void **state);
int fixture_teardown(void **state); /* also proves that nothing is left open */

/* Open a resolver that asks nsd (or `port`), with or without the anchors of the signed zones. */
void open_dns(struct fixture *f, unsigned port, const char *anchors, bool ipv4, bool ipv6);
void on_hosts(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n);
/* Look up and wait for the answer. */
void look_up(struct fixture *f, const char *domain);
bool run_until(struct fixture *f, unsigned calls, unsigned ms);
/* "m1:10 m2:20" of the last answer, and a host's addresses "192.0.2.1 2001:db8::2" (all have port 2525). */
const char *host_list(struct fixture *f);
const char *address_list(struct fixture *f, size_t host);

#endif
