/* attempts.c - see attempts.h. */
#include "attempts.h"

#ifdef POSTHOUSE_CRASH_POINTS
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the attempts need, from the environment. */
static struct {
	unsigned port;
	const char *path;
} given;

/* Each answers 0 when it has worked, or an errno. */
static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int try_read(void)
{
	return result(open(given.path, O_RDONLY));
}

static int try_write(void)
{
	return result(open(given.path, O_WRONLY));
}

/* To what it is: nothing is lost where it works. */
static int try_truncate(void)
{
	struct stat st;

	return result(stat("/etc/passwd", &st) < 0 ? -1 : truncate("/etc/passwd", st.st_size));
}

static int try_chmod(void)
{
	struct stat st;

	return result(stat("/etc/passwd", &st) < 0 ? -1 : chmod("/etc/passwd", st.st_mode & 07777));
}

static int try_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_raw_socket(void)
{
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int try_local_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static struct sockaddr_in loopback(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int try_connect(void)
{
	struct sockaddr_in to = loopback(given.port);

	return result(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to));
}

static int try_multipath(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 262)); /* IPPROTO_MPTCP: Landlock knows TCP only */
}

/* Data in the first segment connects without connect(). */
static int try_early_data(void)
{
	struct sockaddr_in to = loopback(given.port);

	return result(sendto(socket(AF_INET, SOCK_STREAM, 0), "", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to));
}

static int try_bind(void)
{
	struct sockaddr_in at = loopback(given.port);

	return result(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at));
}

static int try_serve(void)
{
	struct sockaddr_in at = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return result(bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -1 : listen(fd, 1));
}

static int try_trace(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int try_kill(void)
{
	return result(kill(getppid(), SIGCONT));
}

static int try_signal_thread(void)
{
	return result(syscall(SYS_tgkill, getppid(), getppid(), SIGCONT));
}

static int try_read_process(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int try_exec(void)
{
	return result(execl("/bin/true", "true", (char *)NULL));
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int try_new_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int try_memory_to_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int try_new_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int try_become_root(void)
{
	return result(setresuid(0, 0, 0) != 0 ? -1 : chroot("/") != 0 ? -1 : 0);
}

static int try_limits(void)
{
	struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };

	return result(setrlimit(RLIMIT_FSIZE, &more));
}

static int try_ring(void)
{
	char parameters[256] = { 0 };

	return result(syscall(SYS_io_uring_setup, 1, parameters));
}

static int try_program_in_kernel(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_control_of_driver(void)
{
	return result(ioctl(STDERR_FILENO, 0x5412, "")); /* TIOCSTI: types on a terminal */
}

static int try_owner_of_descriptor(void)
{
	return result(fcntl(STDERR_FILENO, F_SETOWN, getppid())); /* the kernel would send signals there */
}

static const struct attempt {
	const char *name;
	int (*try)(void);
} attempts[] = {
	{ "truncate", try_truncate },
	{ "chmod", try_chmod },
	{ "socket", try_socket },
	{ "raw_socket", try_raw_socket },
	{ "local_socket", try_local_socket },
	{ "connect", try_connect },
	{ "multipath", try_multipath },
	{ "early_data", try_early_data },
	{ "bind", try_bind },
	{ "serve", try_serve },
	{ "trace", try_trace },
	{ "kill", try_kill },
	{ "signal_thread", try_signal_thread },
	{ "read_process", try_read_process },
	{ "exec", try_exec },
	{ "fork", try_fork },
	{ "new_code", try_new_code },
	{ "memory_to_code", try_memory_to_code },
	{ "new_namespace", try_new_namespace },
	{ "become_root", try_become_root },
	{ "limits", try_limits },
	{ "ring", try_ring },
	{ "program_in_kernel", try_program_in_kernel },
	{ "control_of_driver", try_control_of_driver },
	{ "owner_of_descriptor", try_owner_of_descriptor },
};

static const struct attempt on_path[] = { { "read", try_read }, { "write", try_write } };

/* The child's exit status is the errno; the parent can still write. */
static void make(const struct attempt *a, put_up_fn put_up, enum role_id role, const struct config *c)
{
	char words[32] = "done";
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		put_up(role, c);
		signal(SIGSYS, SIG_DFL); /* no line: the end is what is expected */
		_exit(a->try());
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(words, sizeof words, "killed");
	else if (WIFSIGNALED(status))
		snprintf(words, sizeof words, "signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		snprintf(words, sizeof words, "%s", strerrorname_np(WEXITSTATUS(status)));
	dprintf(STDERR_FILENO, "TRIED role=%s attempt=%s%s%s result=%s\n", role_name(role), a->name, given.path ? ":" : "",
		given.path ? given.path : "", words);
}

void attempts_make(put_up_fn put_up, enum role_id role, const struct config *c)
{
	const char *wish = getenv("POSTHOUSE_TRY");
	char *copy, *rest;

	if (!wish)
		return;
	copy = rest = str_dup(str_of(wish));
	given.port = (unsigned)strtoul(strsep(&rest, ":"), NULL, 10);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
		make(&attempts[i], put_up, role, c);
	while ((given.path = strsep(&rest, ":")) != NULL)
		for (size_t i = 0; i < sizeof on_path / sizeof on_path[0]; i++)
			make(&on_path[i], put_up, role, c);
	free(copy);
}
#else
void attempts_make(put_up_fn put_up, enum role_id role, const struct config *c)
{
}
#endif
