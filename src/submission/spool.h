/* spool.h - the file of a large message: opened by queue, written here by the thread pool while the text streams in. */
#ifndef POSTHOUSE_SPOOL_H
#define POSTHOUSE_SPOOL_H

#include "submission.h"

#include "posthouse/units.h"

#define SPOOL_BACKLOG_MAX MIB /* with so many bytes waiting for the disk, the client is not read */

struct spool;

/* Each is called from the loop, never within a call of spool_... */
struct spool_ops {
	void (*on_room)(void *ctx); /* the backlog has fallen below its bound again */
	void (*on_synced)(void *ctx,
			  struct verdict v); /* spool_sync(): all is on the disk; or (also earlier) why that cannot be */
};

/* Ask queue for the file of message `id`; TEMP comes through on_synced when it has none for us. */
struct spool *spool_new(struct submission *sub, uint64_t transaction, uint64_t id, size_t head_n, uint64_t size_hint,
			const struct spool_ops *ops, void *ctx);

/* Append (copied), behind `head_n` bytes of which spool_sync() says what they are. The caller stops at spool_full(); one text
 * event more is always taken. */
void spool_write(struct spool *sp, struct str bytes);
bool spool_full(const struct spool *sp);

/* When all is written, write `head` (copied; as long as spool_new() was told) in front, fdatasync and say so. */
void spool_sync(struct spool *sp, struct str head);

/* Nothing is called back any more; the descriptor and the memory go when the pool lets them. `drop`: queue is told that the
 * message will not come. */
void spool_close(struct spool *sp, bool drop);

#endif
