/* test_syscalls.c - calls whose arguments matter, each made in a process of its own behind the filter. */
#include "unit.h"

#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED    (-1)
#define MULTIPATH 262 /* IPPROTO_MPTCP */

/* What the call answers behind the filter: 0, an errno, or KILLED. */
static int behind(unsigned can, bool foreign, int (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscalls_filter(can, foreign) != 0)
			_exit(255);
		signal(SIGSYS, SIG_DFL);
		_exit(call() < 0 ? errno : 0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? KILLED : WEXITSTATUS(status);
}

static int opens_tcp(void)
{
	return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

static int opens_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}

static int opens_multipath(void)
{
	return socket(AF_INET, SOCK_STREAM, MULTIPATH);
}

/* The kernel takes the lower half only. */
static int opens_multipath_in_disguise(void)
{
	return (int)syscall(SYS_socket, 0x100000000 | AF_INET, SOCK_STREAM, 0x100000000 | MULTIPATH);
}

static int opens_local(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int opens_packets(void)
{
	return socket(AF_PACKET, SOCK_DGRAM, 0);
}

static int opens_raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int asks_addresses(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static void sockets_are_tcp_and_udp(void **state)
{
	assert_int_equal(behind(CAN_CONNECT, false, opens_tcp), 0);
	assert_int_equal(behind(CAN_CONNECT, false, opens_udp), 0);
	assert_int_equal(behind(CAN_CONNECT, false, asks_addresses), 0);
	assert_int_equal(behind(CAN_CONNECT, false, opens_multipath), EPROTONOSUPPORT);
	assert_int_equal(behind(CAN_CONNECT, false, opens_multipath_in_disguise), EPROTONOSUPPORT);
	assert_int_equal(behind(CAN_CONNECT, false, opens_local), EAFNOSUPPORT);
	assert_int_equal(behind(CAN_CONNECT, false, opens_packets), EAFNOSUPPORT);
	assert_int_equal(behind(CAN_CONNECT, false, opens_raw), KILLED);
	assert_int_equal(behind(0, false, opens_tcp), KILLED);
	assert_int_equal(behind(0, false, opens_local), EAFNOSUPPORT);
	assert_int_equal(behind(0, true, opens_tcp), 0); /* a back-end's library */
	assert_int_equal(behind(0, true, opens_local), 0);
	assert_int_equal(behind(0, true, opens_multipath), EPROTONOSUPPORT);
	assert_int_equal(behind(0, true, opens_multipath_in_disguise), EPROTONOSUPPORT);
}

/* The descriptor is none: a call that comes to the kernel answers EBADF. */
static int sends(void)
{
	return (int)sendto(-1, "", 1, MSG_NOSIGNAL, NULL, 0);
}

static int sends_early(void)
{
	return (int)sendto(-1, "", 1, MSG_NOSIGNAL | MSG_FASTOPEN, NULL, 0);
}

static int sends_message(void)
{
	struct msghdr message = { 0 };

	return (int)sendmsg(-1, &message, MSG_NOSIGNAL);
}

static int sends_message_early(void)
{
	struct msghdr message = { 0 };

	return (int)sendmsg(-1, &message, MSG_FASTOPEN);
}

static int sends_messages(void)
{
	struct mmsghdr messages = { 0 };

	return sendmmsg(-1, &messages, 1, 0);
}

static int sends_messages_early(void)
{
	struct mmsghdr messages = { 0 };

	return sendmmsg(-1, &messages, 1, MSG_FASTOPEN);
}

static void nothing_is_sent_before_a_connection(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned can = i % 2 ? CAN_CONNECT : 0;
		bool foreign = i >= 2;

		assert_int_equal(behind(can, foreign, sends), EBADF);
		assert_int_equal(behind(can, foreign, sends_early), EOPNOTSUPP);
		assert_int_equal(behind(can, foreign, sends_message), EBADF);
		assert_int_equal(behind(can, foreign, sends_message_early), EOPNOTSUPP);
		assert_int_equal(behind(can, foreign, sends_messages), can || foreign ? EBADF : KILLED);
		assert_int_equal(behind(can, foreign, sends_messages_early), can || foreign ? EOPNOTSUPP : KILLED);
	}
}

static int truncates(void)
{
	return truncate("/nowhere/file", 0);
}

static int changes_mode(void)
{
	return chmod("/nowhere/file", 0600);
}

static int sets_times(void)
{
	return utimensat(AT_FDCWD, "/nowhere/file", NULL, 0);
}

static int sets_times_of_descriptor(void)
{
	return futimens(0x7fffffff, NULL);
}

static void files_are_changed_by_descriptors(void **state)
{
	assert_int_equal(behind(CAN_READ | CAN_WRITE, false, truncates), KILLED);
	assert_int_equal(behind(CAN_READ | CAN_WRITE, false, changes_mode), KILLED);
	assert_int_equal(behind(CAN_READ | CAN_WRITE, false, sets_times), EACCES);
	assert_int_equal(behind(CAN_READ | CAN_WRITE, false, sets_times_of_descriptor), EBADF);
	assert_int_equal(behind(CAN_READ | CAN_WRITE, true, truncates), EPERM);
	assert_int_equal(behind(CAN_READ | CAN_WRITE, true, sets_times_of_descriptor), EBADF);
}

/* Sanitizers make such calls themselves, so their builds do not filter them. */
#ifndef POSTHOUSE_SANITIZED
static int asks_whether_terminal(void)
{
	return ioctl(-1, 0x802c542a, NULL); /* TCGETS2 */
}

static int asks_size_of_window(void)
{
	return ioctl(-1, TIOCGWINSZ, NULL);
}

static int locks(void)
{
	struct flock lock = { .l_type = F_WRLCK };

	return fcntl(-1, F_SETLK, &lock);
}

static int sets_owner(void)
{
	return fcntl(-1, F_SETOWN, getpid());
}

static int forbids_traces(void)
{
	return prctl(PR_SET_DUMPABLE, 0);
}

static int names_thread(void)
{
	return prctl(PR_SET_NAME, "name");
}

static int makes_pair(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int makes_pair_of_tcp(void)
{
	int ends[2];

	return socketpair(AF_INET, SOCK_STREAM, 0, ends);
}

static void unknown_arguments_are_errors(void **state)
{
	static const unsigned cans[] = { 0, CAN_CONNECT, CAN_READ | CAN_WRITE | CAN_PAIR };

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(behind(cans[i], false, asks_whether_terminal), ENOTTY);
		assert_int_equal(behind(cans[i], false, asks_size_of_window), EBADF);
		assert_int_equal(behind(cans[i], false, sets_owner), EINVAL);
		assert_int_equal(behind(cans[i], false, locks), cans[i] & CAN_WRITE ? EBADF : EINVAL);
		assert_int_equal(behind(cans[i], false, forbids_traces), EINVAL);
		assert_int_equal(behind(cans[i], false, names_thread), 0);
		assert_int_equal(behind(cans[i], false, makes_pair), cans[i] & CAN_PAIR ? 0 : EAFNOSUPPORT);
		assert_int_equal(behind(cans[i], false, makes_pair_of_tcp), EAFNOSUPPORT);
	}
}
#else
static void unknown_arguments_are_errors(void **state)
{
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_tcp_and_udp),
		cmocka_unit_test(nothing_is_sent_before_a_connection),
		cmocka_unit_test(files_are_changed_by_descriptors),
		cmocka_unit_test(unknown_arguments_are_errors),
	};

	if (!syscalls_can_be_filtered())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
