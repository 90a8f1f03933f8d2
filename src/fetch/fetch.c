/* fetch.c - the fetch role: HTTPS requests for other roles. It has no secret but those of the request in hand. */
#include "posthouse/role.h"

static void handle_fetch(void *ctx, struct channel *ch, const struct msg_fetch *m, int fd)
{
	struct msg_fetched answer = { .call = m->call, .verdict = temp(451, S("4.3.5"), S("no HTTPS client is built")) };

	ipc_send_fetched(ch, &answer, -1);
}

static struct verdict start(struct role *r)
{
	role_set_data(r, r);
	return ok();
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .fetch = handle_fetch };
	static const struct role_ops ops = { .id = ROLE_FETCH, .start = start, .handlers = &handlers };

	return role_main(argc, argv, &ops);
}
