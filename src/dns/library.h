/* library.h - what the files share that know libunbound: its context, the questions that it was given, plain questions. */
#ifndef POSTHOUSE_DNS_LIBRARY_INTERNAL_H
#define POSTHOUSE_DNS_LIBRARY_INTERNAL_H

#include "event.h"
#include "internal.h"

#include "posthouse/dns_library.h"

#define SERVERS_MAX 8

struct ub_ctx;

/* ---- context.c ---- */
struct dns_library {
	struct event_base_on_uv base; /* libunbound's view of the loop */
	struct ub_ctx *ub;
	bool ipv4, ipv6;
	struct list questions;                        /* struct question: those that the library has */
	size_t asked, asked_max;                      /* the number of these questions, and its limit */
	struct list first, more;                      /* struct question: not asked yet, see library.c */
	uv_timer_t turn;                              /* when the next of these can be asked */
	uint64_t burst_at;                            /* ms: when the present burst of questions began, … */
	size_t burst;                                 /* … and how many questions it has */
	bool validates;                               /* DNSSEC: answers without the library are not trusted */
	struct sockaddr_storage servers[SERVERS_MAX]; /* the configured resolvers; none: the library resolves by itself */
	size_t servers_n, plain_n;                    /* plain_n: plain questions without an answer so far */
	uint64_t heard_at;                            /* when the library last had an answer; 0: never */
	uint64_t plain_until;                         /* until then plain questions come first */
};

/* ---- library.c ---- */
struct plain;
struct question {
	struct list link; /* in `questions`, `first` or `more`; a plain question is in none */
	struct dns_library *library;
	struct dns_waiter *waiter; /* NULL: nobody waits for the answer any more */
	struct arena arena;
	struct str name;
	unsigned type;
	uint64_t deadline;
	bool given;          /* libunbound has it */
	bool *gone;          /* set when the question is freed; NULL: nobody asks */
	struct plain *plain; /* NULL: none */
};
/* Free the questions after the library's context was deleted. */
void questions_drop(struct dns_library *d);

/* ---- plain.c: a question without EDNS and without the library ---- */
/* False: not possible now. Else `answered` follows, unless plain_cancel() comes first; with an empty packet: the time of the
 * question is over. */
bool plain_ask(struct question *u, void (*answered)(struct question *u, struct str packet));
void plain_cancel(struct question *u);

#endif
