/* transfer.h - the text of a message on its way to the next hop. */
#ifndef RELAY_TRANSFER_H
#define RELAY_TRANSFER_H

#include "posthouse/buf.h"
#include "posthouse/mail.h"
#include "posthouse/units.h"

#include <uv.h>

struct connection;

enum {
	CHUNK = 64 * 1024,                 /* of a file, read at once */
	DOWNGRADED_MAX = 16 * CHUNK + MIB, /* downgrade_feed(): a header section comes out at once */
};

/* What becomes of the text as it is read. False: it must not go on, and whoever says so has ended it. */
struct transfer_ops {
	bool (*take)(struct connection *c, struct str bytes);
	void (*end)(struct connection *c);
};

struct transfer {
	const struct transfer_ops *ops; /* NULL: none */
	int fd;                         /* -1: none */
	uint64_t at, size;
	char *chunk;
	bool reading, waiting; /* waiting: until the peer has taken some of it */
	uv_fs_t request;
	/* On the way to a next hop that does not take it as it is: */
	struct downgrade *convert; /* NULL: the text goes as it is */
	struct buf downgraded;
	/* The first pass, which only counts and hashes: */
	unsigned what; /* DOWNGRADE_...: for what it is made */
	struct dkim *dkim;
	uint64_t counted;
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
};

/* ---- transfer.c ---- */
void transfer_begin(struct connection *c, const struct transfer_ops *ops);
void transfer_to_wire(struct connection *c, unsigned what); /* what: DOWNGRADE_... */
void transfer_go_on(struct connection *c); /* the peer has taken some, or has answered: read on if that lets us */
void transfer_fini(struct transfer *t);

/* ---- downgrade.c ---- */
/* What of its delivery's text must be changed for this next hop: DOWNGRADE_... of mail.h; 0: nothing. */
unsigned downgrade_of(const struct connection *c);
/* The first pass: at its end d->downgraded_prefix and downgraded_size are known, or d->unconvertible says why not, and
 * c->converting is false; perhaps before this returns, else client_events_resume() follows. */
void downgrade_begin(struct connection *c);

#endif
