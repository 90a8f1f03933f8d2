/* resolver.h - the role's state, and the questions of relay and tlspolicy that have no answer so far. */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "posthouse/config.h"
#include "posthouse/dns_library.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"

#include <sys/stat.h>

struct role;

enum validation_state { VALIDATION_OFF, VALIDATION_ON, VALIDATION_IMPOSSIBLE };

struct resolver {
	struct role *role;
	struct dns_library *library, *next; /* NULL: not opened so far; next: prepared by `configure` */
	struct arena scratch;               /* texts of `configure` */
	struct arena arena;                 /* of the next line */
	struct str settings;                /* those of `library` */
	bool same;                          /* the configuration in hand changes none of them */
	bool next_by_root_key;              /* `next` validates by Debian's root key */
	struct stat resolv_conf, root_key;  /* the files when the library was opened … */
	uint64_t files_at;                  /* … and when they were last looked at */
	struct {
		enum validation_state state;
		struct dns_probe *probe;       /* of `candidate`, … */
		struct dns_library *candidate; /* … or of the library in use, for which questions wait: NULL */
		uint64_t again_at, again_ms;   /* when to try a candidate, 0: never; how long it was waited for the last one */
	} validation;
	struct list names, hosts; /* questions without an answer */
	size_t waiting;           /* their number */
	uint64_t questions, failures;
};

/* ---- resolver.c ---- */
/* Opened at its first use. NULL: not possible, and why, in `a`; or OK: names_ask_waiting() follows. */
struct dns_library *resolver_library(struct arena *a, struct verdict *why_out);
/* A library as it is configured, with this trust anchor; NULL: not possible, and why, in `a`. */
struct dns_library *resolver_open(const char *anchor, struct arena *a, struct verdict *why_out);
void resolver_use(struct dns_library *library); /* in place of the one in use, whose answers are forgotten */
void resolver_use_unvalidated(void);            /* a library without trust anchor */

/* ---- validation.c ---- */
bool validation_by_root_key(const struct cfg_delivery *d); /* Debian's root key is the trust anchor to try */
void validation_begin(struct resolver *r, const struct cfg_delivery *d, bool by_root_key);
bool validation_decides(const struct resolver *r); /* questions wait until the library in use was probed */
void validation_look_again(struct resolver *r);    /* where it was not possible, from time to time */
void validation_stop(struct resolver *r);          /* before another library is used */

/* ---- questions.c ---- */
void name_ask(struct resolver *r, struct channel *ch, const struct msg_resolve *m);
void host_ask(struct resolver *r, struct channel *ch, const struct msg_find_host *m);
/* Nobody waits for the answers any more: to those that came by this channel, or to all where it is NULL. */
void names_drop(struct resolver *r, const struct channel *ch);
void names_ask_waiting(struct resolver *r); /* for a library */
void hosts_drop(struct resolver *r, const struct channel *ch);

#endif
