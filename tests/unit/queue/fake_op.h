/* fake_op.h - one operation of the in-memory store, between its files. */
#ifndef TEST_FAKE_OP_H
#define TEST_FAKE_OP_H

#include "fake_store.h"

struct op {
	struct list in_ops;
	void (*run)(struct store *st, struct op *op);
	void *ctx;
	union {
		store_done_fn done;
		store_fd_fn fd;
		store_lanes_fn lanes;
		store_due_fn due;
		store_text_fn text;
		store_unreported_fn unreported;
		store_rows_fn rows;
		store_show_fn show;
		store_trace_fn trace;
		store_alter_fn alter;
		store_gates_fn gates;
		store_buckets_fn buckets;
		store_bans_fn bans;
		store_known_fn known;
		store_count_fn count;
		store_mend_fn mend;
	} call;
	const struct accepted *accepted;
	const struct outcome *outcomes;
	const struct gate_state *gate;
	const struct selector *selector;
	const uint64_t *numbers;
	struct str text;
	uint64_t id, now;
	size_t n;
	enum alter alter;
	bool with_text;
	const struct bucket_row *buckets;
	const struct ban_row *bans;
	const struct str *addresses;
	const struct mending *mending;
	enum message_kind kind;
};

/* What a full disk answers. */
extern const struct verdict fake_refused;

/* A new operation at the end of the queue. */
struct op *fake_issue(struct store *st, void (*run)(struct store *, struct op *), void *ctx);
struct verdict fake_insert(struct store *st, const struct accepted *from);
void fake_put_buckets(const struct bucket_row *rows, size_t n);
void fake_add_event(struct store *st, uint64_t id, uint64_t n, struct str name, struct str fields);

#endif
