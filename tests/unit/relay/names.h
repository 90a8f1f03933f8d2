/* names.h - a name server on loopback (UDP) that knows what the test tells it. A name without any record does not exist. */
#ifndef POSTHOUSE_TEST_RELAY_NAMES_H
#define POSTHOUSE_TEST_RELAY_NAMES_H

#include <stdbool.h>
#include <uv.h>

enum { NAMES_A = 1, NAMES_MX = 15, NAMES_AAAA = 28, NAMES_RECORDS_MAX = 32 };

struct names {
	uv_udp_t udp;
	unsigned port, asked;
	bool open, silent, broken; /* silent: no answers; broken: SERVFAIL */
	struct {
		const char *owner, *data; /* data: an address, or the mail server's name, "." = the root */
		unsigned type, preference;
	} records[NAMES_RECORDS_MAX];
	unsigned n;
};

void names_open(struct names *s, uv_loop_t *loop);
void names_add_mx(struct names *s, const char *owner, unsigned preference, const char *host);
void names_add_address(struct names *s, const char *owner, const char *address);
void names_close(struct names *s);

#endif
