/* backup.c - the console asks for a copy of the queue. */
#include "admin.h"

static void on_backed_up(void *ctx, struct verdict v, const struct backup *b)
{
	struct admin_call *c = ctx;

	if (v.class == OK)
		log_info(NULL, "store.backup_made", kv("directory", b->directory), kv("messages", b->messages));
	else
		log_warning(NULL, "store.backup_failed", kv("reason", v.text));
	ipc_send_queue_backed_up(c->channel,
				 &(struct msg_queue_backed_up){ .call = c->call,
								.verdict = v,
								.directory = b->directory,
								.messages = b->messages,
								.files = b->files,
								.missing = b->missing,
								.bytes = b->bytes },
				 -1);
	admin_end(c);
}

void handle_queue_backup(void *ctx, struct channel *ch, const struct msg_queue_backup *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	if (c->refusal.class == OK)
		store_backup(c->queue->store, m->name, on_backed_up, c);
	else
		on_backed_up(c, c->refusal, &(struct backup){ 0 });
}
