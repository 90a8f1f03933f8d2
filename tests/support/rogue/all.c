/* all.c - deeds that any role can do: to master, to the log. */
#include "rogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- master ---- */

static void lose(struct msg_peer_lost lost)
{
	say(rogue_master, MSG_peer_lost, 0, &lost, -1);
}

/* Vault and login have no channel. */
static void name_no_edge(void)
{
	lose((struct msg_peer_lost){ .role = ROLE_LOGIN, .incarnation = 1 });
}

static void name_itself(void)
{
	lose((struct msg_peer_lost){ .role = ROLE_VAULT, .incarnation = 1 });
}

static void name_no_role(void)
{
	lose((struct msg_peer_lost){ .role = 4711, .incarnation = 1 });
}

static void name_the_future(void)
{
	lose((struct msg_peer_lost){ .role = ROLE_QUEUE, .incarnation = 1000000 });
}

/* Ask again and again for a new channel to queue, so that master takes queue for broken. */
static void accuse_times(int times)
{
	rogue_is_rash = true;
	for (int i = 0; i < times; i++)
		rogue_again(ROLE_QUEUE, 0);
}

static void accuse(void)
{
	accuse_times(100);
}

/* Just often enough for one end. */
static void accuse_once(void)
{
	accuse_times(8);
}

static void storm(void)
{
	for (int i = 0; i < 1000000; i++) {
		enum msg_type type = i % 3 == 0 ? MSG_ready : i % 3 == 1 ? MSG_working : MSG_pong;
		static const struct msg_ready nothing;

		if (!say(rogue_master, type, (uint64_t)i, &nothing, -1))
			return;
	}
	tell("master takes everything");
}

static void ask_for_a_reload(void)
{
	say(rogue_master, MSG_reload, 1, &(struct msg_reload){ 0 }, -1);
}

static void run_a_command(void)
{
	say(rogue_master, MSG_command_run, 1, &(struct msg_command_run){ .upstream = S("next") }, -1);
}

/* ---- the log ---- */

/* Lines in the names of others, one that swallows the next line, and a flood. */
static void forge_lines(void)
{
	static char much[4096];

	dprintf(2, "time=2026-01-01T00:00:00.000Z level=info role=queue event=forged.logfmt\n");
	dprintf(2, "time=2026-01-01T00:00:00.000Z level=info role=%s event=forged.twice role=queue\n", role_name(rogue_role));
	dprintf(2, "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"role\":\"queue\",\"event\":\"forged.json\"}\n");
	dprintf(2, "<0>forged.priority \x1b[2J\n");
	memset(much, 'x', sizeof much);
	if (write(2, much, sizeof much) < 0 ||
	    write(2, "time=2026-01-01T00:00:00.000Z level=info role=queue event=forged.after\n", 71) < 0)
		abort();
	for (int i = 0; i < 50000; i++)
		if (write(2, much, sizeof much) < 0)
			return;
}

const struct deed deeds_of_all[] = {
	{ "no-edge", name_no_edge },
	{ "itself", name_itself },
	{ "no-role", name_no_role },
	{ "future", name_the_future },
	{ "accuse", accuse },
	{ "accuse-once", accuse_once },
	{ "storm", storm },
	{ "reload", ask_for_a_reload },
	{ "command", run_a_command },
	{ "log", forge_lines },
	{ NULL, NULL },
};
