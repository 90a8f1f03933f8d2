/* lookup.h - questions to the DNS, asked all at once, for commands that go on without an answer. */
#ifndef POSTHOUSE_CLI_LOOKUP_H
#define POSTHOUSE_CLI_LOOKUP_H

#include "posthouse/arena.h"
#include "posthouse/dns_library.h"

/* Only LOOKUP_NONE means that there is no such record; LOOKUP_UNKNOWN: no answer, or nobody was asked. */
enum lookup_state { LOOKUP_UNKNOWN, LOOKUP_NONE, LOOKUP_THERE };
struct lookup {
	struct str name;
	unsigned type; /* enum dns_type */
	enum lookup_state state;
	/* TXT: the strings joined; MX "10 mx.example.org."; SRV "0 1 465 relay.example.org."; A, AAAA, PTR: address, name */
	struct str_list values;
};

/* Fill in what is known within that time. `resolver` as delivery.resolver has it. Texts are in `a`. */
void lookups_ask(struct arena *a, struct str resolver, struct lookup *lookups, size_t n, uint64_t within_ms);

#endif
