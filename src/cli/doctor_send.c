/* doctor_send.c - `posthouse doctor --send ADDRESS`: the running relay sends a test message, and we look what becomes of it. */
#include "doctor.h"
#include "trace.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/store.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define WAIT_MS  60000
#define AGAIN_US 250000

enum fate { WAITS, HELD, DELIVERED, FAILED };

/* Of the one recipient. *due_out: when it is tried again. */
static enum fate fate_of(struct session *s, uint64_t id, uint64_t *due_out)
{
	const struct msg_queue_shown *m =
		&session_ask(s, MSG_queue_show, &(struct msg_queue_show){ .id = id }, MSG_queue_shown)->queue_shown;

	if (m->rows.n == 0)
		return WAITS;
	*due_out = m->rows.at[0].attempts > 0 ? m->rows.at[0].due_at : 0;
	switch (m->rows.at[0].state) {
	case RCPT_WAITING: return m->held.n > 0 ? HELD : WAITS;
	case RCPT_HELD: return HELD;
	case RCPT_DELIVERED:
	case RCPT_RELAYED: return DELIVERED;
	default: return FAILED;
	}
}

/* Not longer than something can change. */
static enum fate wait_for_fate(struct session *s, uint64_t id)
{
	uint64_t until = clock_now_ms() + WAIT_MS, due = 0;
	struct arena kept = s->arena;
	enum fate fate;

	s->arena = (struct arena){ 0 };
	while ((fate = fate_of(s, id, &due)) == WAITS && clock_now_ms() < until && due < until) {
		arena_reset(&s->arena);
		(void)usleep(AGAIN_US);
	}
	arena_fini(&s->arena);
	s->arena = kept;
	return fate;
}

static void print_advice(enum fate fate, const char *id)
{
	switch (fate) {
	case DELIVERED:
		printf("The next server has taken it. How it was judged is in the message as it came:\n"
		       "open it there, \"show original\" (\"view source\"), and paste all of it into\n"
		       "    posthouse doctor --headers -\n");
		break;
	case FAILED: printf("It was not delivered. What can be wrong:\n    posthouse doctor\n"); break;
	case HELD: printf("It is held. To send it:\n    posthouse queue release %s\n", id); break;
	case WAITS: printf("It waits. To look again:\n    posthouse trace %s\n", id); break;
	}
}

int doctor_send(const struct options *o, const char *config_path, const char *address)
{
	static const char *const words[] = { "waiting", "held", "delivered", "failed" };
	static const int codes[] = { EX_TEMPFAIL, EX_TEMPFAIL, EX_OK, 1 };
	const struct msg_test_message ask = { .recipient = str_of(address) };
	bool json = options_given(o, "json");
	char id[ID_TEXT_MAX];
	struct session s;
	enum fate fate;
	uint64_t number;

	if (o->arguments_n > 0)
		die(EX_USAGE, "--send takes no domain: who writes is in the configuration");
	session_open(&s, config_path);
	number = session_ask(&s, MSG_test_message, &ask, MSG_test_message_queued)->test_message_queued.id;
	id_format(number, id);
	if (!json) {
		printf("queued as %s\n", id);
		(void)fflush(stdout);
	}
	fate = wait_for_fate(&s, number);
	if (json) {
		size_t n = trace_print(&s, number, true);

		json_print_document("test", json_pack("{s:s, s:s, s:s}", "id", id, "recipient", address, "state", words[fate]));
		json_end(n + 1, false);
	} else {
		(void)trace_print(&s, number, false);
		print_advice(fate, id);
	}
	session_close(&s);
	return codes[fate];
}
