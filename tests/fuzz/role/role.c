/* role.c - the target of all roles: acts of an input, one after the other. Whatever they are, the role can close a channel; it must
 * not end, not fail an assertion, not leak, not grow. */
#include "plan.h"
#include "world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str file; /* what is in the next one */

static int memory_file(struct str text, off_t size)
{
	int fd = memfd_create("passed", MFD_CLOEXEC);

	if (write(fd, text.p, text.n) < 0 || (size > 0 && ftruncate(fd, size) != 0) || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

static int end_of(bool pipe_end)
{
	int ends[2];

	if (pipe_end ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends))
		abort();
	close(ends[1]);
	return ends[0];
}

/* The descriptor that goes with a message; -1: none. */
static int passed(unsigned what, struct str datagram)
{
	uint32_t type = MSG_COUNT;

	if (datagram.n >= sizeof type)
		memcpy(&type, datagram.p, sizeof type);
	if (what % PASS_KINDS == PASS_AS_TABLE && (type >= MSG_COUNT || message_types[type].fd == FD_NONE))
		return -1;
	switch ((enum passed)(what % PASS_KINDS)) {
	case PASS_AS_TABLE:
		if (type == MSG_local_client)
			return outside_pair();
		return memory_file(file, 0);
	case PASS_FILE: return memory_file(file, 0);
	case PASS_LARGE: return memory_file(file, (off_t)1 << 36);
	case PASS_NULL: return open("/dev/null", O_RDWR | O_CLOEXEC);
	case PASS_STREAM: return outside_pair();
	case PASS_PIPE: return end_of(true);
	case PASS_DIRECTORY: return open("/", O_PATH | O_CLOEXEC);
	case PASS_SOCKET: return end_of(false);
	default: return -1;
	}
}

static void say(const struct act *act, struct arena *a)
{
	static struct message m;
	static struct buf b;
	int fd = passed(act->what, act->bytes);

	if (!b.max)
		buf_init(&b, 1 << 20);
	buf_clear(&b);
	if (message_read(&m, act->bytes)) {
		recent_resolve(&m, a);
		for (size_t i = 0; i < m.n; i++)
			if (m.at[i].number == 0 && strcmp(m.at[i].field->name, "incarnation") == 0)
				m.at[i].number = peers_client_incarnation();
		message_write(&m, &b);
	} else {
		buf_add(&b, act->bytes);
	}
	peers_say(act->who % world_peers_n(), buf_view(&b), fd);
	if (fd >= 0)
		close(fd);
}

/* From a tenth of a second to two weeks. */
static uint64_t time_of(unsigned what)
{
	static const uint64_t times[] = { 100, 1000, 2000, 5000, 15000, 61000, 300000, 3700000, 86500000, 1300000000 };

	return times[what % (sizeof times / sizeof *times)];
}

static void do_act(const struct act *act, struct arena *a)
{
	switch ((enum act_kind)act->kind) {
	case ACT_MESSAGE:
		if (!role_case.only_outside)
			say(act, a);
		break;
	case ACT_OUTSIDE: outside_act(act->who, act->what, act->bytes); break;
	case ACT_TIME: world_pass(role_case.still ? 0 : time_of(act->what)); break;
	case ACT_END: peers_close(act->who % world_peers_n()); break;
	case ACT_FILE: file = act->bytes; break;
	case ACT_DAMAGE:
		if (role_case.damage)
			role_case.damage(act->bytes);
		break;
	default: break;
	}
}

static void play(const struct acts *acts, struct arena *a)
{
	for (size_t i = 0; i < acts->n; i++) {
		do_act(&acts->at[i], a);
		world_turn(true);
	}
}

/* What all inputs build on must work: else the fuzzer sees only refusals. */
static void play_prelude(struct arena *a)
{
	static struct acts prelude;
	static struct dice d = { 1 };

	prelude.n = 0;
	plan_add(&prelude, role_case.prelude, &d, a);
	play(&prelude, a);
}

static void check_goal(void)
{
	static bool checked;
	struct arena a = { 0 };

	if (checked || !role_case.goal)
		return;
	checked = true;
	peers_answer(true);
	for (int i = 0; i < 100 && goals == 0; i++) { /* queue says that it is ready before it has read its database */
		usleep(i * 1000);
		peers_open();
		play_prelude(&a);
		world_turn(true);
		peers_end();
		world_turn(false);
	}
	if (goals == 0) {
		fprintf(stderr, "%s does not end in a good %s: POSTHOUSE_FUZZ_LOG=1 shows why\n", role_case.prelude,
			role_case.goal);
		abort();
	}
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acts acts;
	struct arena a = { 0 };

	world_begin();
	check_goal();
	recent_forget();
	acts_read(&acts, str_make(data, size), &a);
	if (role_case.only_outside)
		acts.flags |= FLAG_ANSWER | FLAG_OPEN;
	peers_answer(acts.flags & FLAG_ANSWER);
	outside_serve(acts.flags & FLAG_SERVE);
	if (acts.flags & FLAG_OPEN)
		peers_open();
	file = S("");
	if (role_case.prelude && acts.flags & FLAG_PRELUDE)
		play_prelude(&a);
	play(&acts, &a);
	if (role_case.mend)
		role_case.mend();
	peers_end();
	outside_end();
	world_turn(false);
	arena_fini(&a);
	return 0;
}
