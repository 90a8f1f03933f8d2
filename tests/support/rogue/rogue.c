/* rogue.c - a role in the place of a real one, taken over by a stranger: it starts as all roles do, then does the deed that
 * the file "deed" beside its executable names. The integration tests put both beside copies of the real roles. */
#include "posthouse/ipc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MASTER_FD 3

static struct channel *master;

/* Deeds: a lost peer that vault cannot have. */
static const struct {
	const char *name;
	struct msg_peer_lost lost;
} deeds[] = {
	{ "no-edge", { .role = ROLE_LOGIN, .incarnation = 1 } }, /* vault and login have no channel */
	{ "itself", { .role = ROLE_VAULT, .incarnation = 1 } },
	{ "no-role", { .role = 4711, .incarnation = 1 } },
	{ "future", { .role = ROLE_QUEUE, .incarnation = 1000000 } },
};

static void handle_configure(void *ctx, struct channel *ch, const struct msg_configure *m, int fd)
{
	close(fd);
	ipc_send_configured(ch, &(struct msg_configured){ .call = m->call, .generation = m->generation, .verdict = ok() }, -1);
}

static void handle_apply(void *ctx, struct channel *ch, const struct msg_apply *m, int fd)
{
	ipc_send_ready(ch, &(struct msg_ready){ .generation = m->generation }, -1);
}

static void handle_connect(void *ctx, struct channel *ch, const struct msg_connect *m, int fd)
{
	close(fd);
}

static void handle_ping(void *ctx, struct channel *ch, const struct msg_ping *m, int fd)
{
	ipc_send_pong(ch, &(struct msg_pong){ .call = m->call }, -1);
}

static void handle_stop(void *ctx, struct channel *ch, const struct msg_stop *m, int fd)
{
	_exit(0);
}

static void on_master_closed(void *ctx, struct channel *ch, const char *reason)
{
	_exit(1);
}

static void on_time(uv_timer_t *timer)
{
	ipc_send_peer_lost(master, timer->data, -1);
}

/* The deed's message; NULL: the file names none. */
static const struct msg_peer_lost *read_deed(void)
{
	char path[4096], name[32] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
	FILE *f;

	path[n > 0 ? n : 0] = '\0';
	strcpy(strrchr(path, '/') + 1, "deed");
	f = fopen(path, "r");
	if (f) {
		if (!fgets(name, sizeof name, f))
			name[0] = '\0';
		fclose(f);
	}
	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
		if (strcmp(deeds[i].name, name) == 0)
			return &deeds[i].lost;
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .configure = handle_configure,
						      .apply = handle_apply,
						      .connect = handle_connect,
						      .ping = handle_ping,
						      .stop = handle_stop };
	struct channel_config config = {
		.self = ROLE_VAULT, .peer = ROLE_MASTER, .incarnation = 1, .handlers = &handlers, .on_closed = on_master_closed
	};
	static uv_timer_t timer;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--incarnation") == 0)
			config.incarnation = strtoull(argv[i + 1], NULL, 10);
	master = channel_new(uv_default_loop(), MASTER_FD, &config);
	uv_timer_init(uv_default_loop(), &timer);
	timer.data = (void *)(uintptr_t)read_deed();
	if (timer.data)
		uv_timer_start(&timer, on_time, 1000, 0);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
