/* acts.h - the input of a role's fuzz target: a list of acts of its peers, of those outside, and of time. In a file: a byte of
 * flags, then for each act its kind, two bytes that say more, the length of its bytes (32 bits), and the bytes. A message has there
 * its name and a NUL in the place of its number, so that most inputs keep their sense when messages.def changes. */
#ifndef POSTHOUSE_FUZZ_ACTS_H
#define POSTHOUSE_FUZZ_ACTS_H

#include "shapes.h"

enum act_kind {
	ACT_MESSAGE, /* who: a peer; what: which descriptor goes with it; bytes: the datagram */
	ACT_OUTSIDE, /* who: a connection; what: enum outside_deed; bytes: what is said */
	ACT_TIME,    /* what: how much of it passes */
	ACT_END,     /* who: a peer ends */
	ACT_FILE,    /* bytes: what is in the next file that goes with a message */
	ACT_DAMAGE,  /* bytes: what is read from the database in the place of what is there, see damage.c */
	ACT_KINDS
};

/* Descriptors that go with a message: what the table says, then odd ones. */
enum passed {
	PASS_AS_TABLE,
	PASS_NONE,
	PASS_FILE,
	PASS_NULL,
	PASS_STREAM,
	PASS_PIPE,
	PASS_DIRECTORY,
	PASS_SOCKET,
	PASS_LARGE,
	PASS_KINDS
};

/* TLS: bytes are the name that the client asks for. BENT: bytes change the records of the handshake that go out, three each: where (16
 * bits) and how. SAY: as it is, also between the records of TLS. */
enum outside_deed {
	OUTSIDE_CONNECT,
	OUTSIDE_SAY,
	OUTSIDE_TLS,
	OUTSIDE_SAY_TLS,
	OUTSIDE_HALF,
	OUTSIDE_END,
	OUTSIDE_BENT,
	OUTSIDE_DEEDS
};

/* Flags: calls of the role are answered by a good reply at once; servers outside answer by themselves; the peers that the role calls
 * are there from the beginning, not only when they first say something; the prelude of the target comes first. */
enum { FLAG_ANSWER = 1, FLAG_SERVE = 2, FLAG_OPEN = 4, FLAG_PRELUDE = 8, FLAGS = 16 };

#define ACTS_MAX 128

struct act {
	uint8_t kind, who, what;
	struct str bytes;
};

struct acts {
	uint8_t flags;
	struct act at[ACTS_MAX];
	size_t n;
};

void acts_read(struct acts *acts, struct str input, struct arena *a);
size_t acts_write(const struct acts *acts, uint8_t *to, size_t room); /* 0: they do not fit */

unsigned type_named(struct str name); /* of a message; MSG_COUNT: there is none */

/* ---- what the mutator knows of the role under test ---- */

/* Can the fuzzer as `from` send this message to the role? From master only answers: it is no stranger. */
bool can_send(enum role_id role, enum role_id from, unsigned type);

#endif
