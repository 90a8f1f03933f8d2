/* ipc.h - typed messages between roles over SOCK_SEQPACKET socket pairs. messages.def is the only definition: structs, codec,
 * names, send and call functions and the from/to check come from it. One datagram = one message. Nothing waits synchronously. */
#ifndef POSTHOUSE_IPC_H
#define POSTHOUSE_IPC_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/envelope.h"
#include "posthouse/roles.h"
#include "posthouse/verdict.h"

#include <uv.h>

#define IPC_DATAGRAM_MAX (160 * 1024)
#define INLINE_MAX       (64 * 1024) /* text up to here travels in a datagram; larger ones are files */
#define IPC_PAGE_MAX     (64 * 1024) /* lists travel in pages of about this many bytes */

/* ---- structs, from messages.def ---- */
#define U64(field)      uint64_t field;
#define STR(field)      struct str field;
#define VERDICT(field)  struct verdict field;
#define ENVELOPE(field) struct envelope field;
#define LIST(record, field)                                                                                                      \
	struct {                                                                                                                 \
		struct rec_##record *at;                                                                                         \
		size_t n;                                                                                                        \
	} field;
#define NOTHING
#define RECORD(name, fields)                                                                                                     \
	struct rec_##name {                                                                                                      \
		fields                                                                                                           \
	};
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	struct msg_##name {                                                                                                      \
		uint64_t call; /* number of the call that this asks or answers; set by the channel */                            \
		fields                                                                                                           \
	};
#include "posthouse/messages.def"

/* How queue has counted a password that was tried: bits of `repeated`, see authenticated. */
enum { COUNTED_IN_BAN = 1, COUNTED_AS_JUDGED = 2 };

/* What a session is allowed beyond what its login is: bits of `rights`, see authenticated. */
enum {
	RIGHT_ANY_SENDER = 1, /* it is root of this machine, who can use every address as a sender */
	RIGHT_LISTED = 2,     /* a host that the configuration lists (devices), which sends without a password */
	RIGHT_LOCAL = 4,      /* a user of this machine, who sends without a password */
	RIGHT_REPORT = 8,     /* pickup's report about a file: from the null sender, written by local_report_sender() alone */
};

/* What a node of a cluster does, see node_is. */
enum node_state {
	NODE_UP,
	NODE_DRAINING, /* it is to be left by all clients */
	NODE_AWAY,     /* the database cannot be reached */
};

enum msg_type {
#define MSG(name, from, to, passes, flags, fields) MSG_##name,
#include "posthouse/messages.def"
	MSG_COUNT
};

struct channel;

/* ---- receiving: one table per role, one short function per message that it takes; NULL = the peer breaks the rules.
 * `m` and all its views live until the handler returns. `fd` is the handler's to close (-1: none came). ---- */
struct ipc_handlers {
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	void (*name)(void *ctx, struct channel *ch, const struct msg_##name *m, int fd);
#include "posthouse/messages.def"
};

/* ---- sending: ipc_send_NAME(channel, &message, fd). `fd` (-1: none) is duplicated by the kernel and stays the caller's.
 * The message is copied: views can go when it returns. False: the channel is closed (the message is dropped; who needs an
 * answer learns it through the call) or the message is too large for a datagram. ---- */
bool ipc_send(struct channel *ch, enum msg_type type, uint64_t call, const void *message, int fd);
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	static inline bool ipc_send_##name(struct channel *ch, const struct msg_##name *m, int fd)                               \
	{                                                                                                                        \
		return ipc_send(ch, MSG_##name, m->call, m, fd);                                                                 \
	}
#include "posthouse/messages.def"

/* ---- calling: ipc_call_REQUEST(channel, &request, fd, on_reply, ctx). The callback comes exactly once, never before the
 * call returns: with verdict OK and the reply; or with TEMP 4.3.0 and NULL when the peer died, the deadline passed or the
 * channel was closed. A cancelled call's callback never comes. Returns the number for ipc_cancel(), never 0.
 * A handler answers with ipc_send_REPLY(ch, &(struct msg_REPLY){ .call = m->call, ... }, -1). ---- */
uint64_t ipc_call(struct channel *ch, enum msg_type type, const void *message, int fd, void (*on_reply)(void), void *ctx);
void ipc_cancel(uint64_t call); /* 0 and unknown numbers are allowed: numbers are unique in the process */
void ipc_extend(uint64_t call); /* start its deadline again: the peer still works on the answer */
#define CALL(request, reply, deadline_ms)                                                                                        \
	typedef void (*ipc_on_##request)(void *ctx, struct verdict v, const struct msg_##reply *m, int fd);                      \
	static inline uint64_t ipc_call_##request(struct channel *ch, const struct msg_##request *m, int fd,                     \
						  ipc_on_##request on_reply, void *ctx)                                          \
	{                                                                                                                        \
		return ipc_call(ch, MSG_##request, m, fd, (void (*)(void))on_reply, ctx);                                        \
	}
#include "posthouse/messages.def"

/* ---- credit: messages flagged BULK count until their call is answered (or, when they ask nothing, until the kernel took
 * them). Without credit, wait: `on_credit` comes once, on the loop, when there is some again or the channel has closed. ---- */
bool channel_has_credit(const struct channel *ch);
struct credit_wait {
	struct credit_wait *next;
	void (*on_credit)(void *ctx);
	void *ctx;
	struct channel *ch; /* NULL: not waiting */
};
void channel_wait_credit(struct channel *ch, struct credit_wait *w);
void channel_stop_waiting(struct credit_wait *w);

/* ---- channels ---- */
struct channel_config {
	enum role_id self, peer;
	unsigned self_index, peer_index;
	uint64_t incarnation;      /* of this process, sent in `hello` */
	uint64_t peer_incarnation; /* that the peer must say, since master says so; 0: any */
	uint64_t messages_per_s;   /* the most that the peer can send in the long run; 0: any number */
	const struct ipc_handlers *handlers;
	bool (*takes)(
		void *ctx); /* false: a message for a handler closes the channel, which answers the peer's calls; NULL: always */
	void (*on_closed)(void *ctx, struct channel *ch, const char *reason); /* once; then the owner frees the channel */
	void *ctx;                                                            /* what handlers and callbacks get */
};

/* Takes the fd and says hello; the peer's first message must be a hello with the same table and the expected role, else the
 * channel closes ("restart after upgrade" when the tables differ). NULL stands for the channel to a role that is away: ipc_send()
 * and ipc_call() accept NULL and fail; the call fails by its callback. */
struct channel *channel_new(uv_loop_t *loop, int fd, const struct channel_config *config);
void channel_close(struct channel *ch, const char *reason); /* answers open calls with TEMP 4.3.0, then on_closed, later */
/* The same for a peer that has passed a bound: it is logged. Bounds of each channel: bounds.h in src/ipc. */
void channel_exceeded(struct channel *ch, const char *bound);
void channel_free(struct channel *ch); /* after on_closed only; the memory goes when libuv lets it */
enum channel_end { CHANNEL_BROKEN, CHANNEL_PEER_GONE, CHANNEL_OTHER_BUILD }; /* BROKEN: closed by one side, on purpose */
enum channel_end channel_end(const struct channel *ch);                      /* the reason of the end; valid within on_closed */
enum role_id channel_peer(const struct channel *ch);
unsigned channel_peer_index(const struct channel *ch);
uint64_t channel_peer_incarnation(const struct channel *ch); /* 0 before its hello */
size_t channel_queued(const struct channel *ch);             /* datagrams that the kernel has not taken yet */
bool channel_is_open(const struct channel *ch);              /* false from its end on, also before on_closed */

/* What can be on a channel before any other thing: see `hello`. */
uint64_t ipc_table_hash(void);

/* The code of a refusal in `configured`: the slice cannot be read, for it is another build's. */
#define CONFIGURED_OTHER_BUILD 1

/* ---- codec, for the channel, its tests and the command line's synchronous client ---- */
const char *ipc_message_name(unsigned type);
/* Encode into `b`; decode a whole datagram from `from` to `to`: false when the table forbids it. Views point into `datagram`,
 * lists into the arena. */
bool ipc_encode(struct buf *b, enum msg_type type, uint64_t call, const void *message);
union ipc_message { /* large enough for every struct msg_... */
	uint64_t call;
#define MSG(name, from, to, passes, flags, fields) struct msg_##name name;
#include "posthouse/messages.def"
};
bool ipc_decode(struct arena *a, struct str datagram, enum role_id from, enum role_id to, bool has_fd, enum msg_type *type_out,
		union ipc_message **message_out);

#endif
