/* syscalls.c - see syscalls.h. A call that is refused by an error (and does not end the process) is one that libraries try and
 * can do without. */
#include "syscalls.h"

#include "posthouse/str.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_BYTES 40
#define OF_LIBRARIES   0x53564d41 /* PR_SET_VMA: the C library names its memory */
#define BY_DESCRIPTOR  0x1000     /* AT_EMPTY_PATH: fstat() of the C library */
#define SOCKET_BITS    9          /* the numbers of all families and protocols; each rule takes its time at the start */
#define SOCKET_TYPE    0xf        /* the rest are flags: SOCK_CLOEXEC, SOCK_NONBLOCK */
#define CHANGES_FILES  (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)
#define THREAD_FLAGS   ((uint64_t)(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD))
#define NAMESPACE_FLAGS                                                                                                          \
	((uint64_t)(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP))

/* They connect a TCP socket past Landlock's wall of ports: another protocol, and data before the handshake. */
#define MULTIPATH_TCP  262        /* IPPROTO_MPTCP */
#define CONNECTS_EARLY 0x20000000 /* MSG_FASTOPEN */

#define NAMED_MAX   600
#define DECIDED_MAX 512

struct filter {
	scmp_filter_ctx context;
	int error;                /* the first one; a negative errno */
	int decided[DECIDED_MAX]; /* these calls have a rule for all their arguments: later rules for them do nothing */
	size_t decided_n;
	bool foreign;
};

static const struct {
	unsigned can;
	const char *names;
} calls[] = {
#define CALLS(can, names) { can, names },
#include "calls.def"
};

/* ---- one rule ---- */

static bool is_decided(const struct filter *f, int number)
{
	for (size_t i = 0; i < f->decided_n; i++)
		if (f->decided[i] == number)
			return true;
	return false;
}

/* Other negative numbers than that of the error are libseccomp's own, for calls that this processor does not have, or makes
 * within another one (socketcall), whose arguments are in memory, where no filter sees them: these are allowed whole or not. */
static void add(struct filter *f, uint32_t action, const char *name, unsigned n, const struct scmp_arg_cmp *arguments)
{
	int number = seccomp_syscall_resolve_name(name), error;

	if (number == __NR_SCMP_ERROR || is_decided(f, number))
		return;
	if (number < 0 && n > 0) {
		if (action != SCMP_ACT_ALLOW)
			return;
		n = 0;
	}
	error = seccomp_rule_add_array(f->context, action, number, n, arguments);
	if (n == 0 && f->decided_n < DECIDED_MAX)
		f->decided[f->decided_n++] = number;
	if (error && !f->error)
		f->error = error;
}

static void allow(struct filter *f, const char *name)
{
	add(f, SCMP_ACT_ALLOW, name, 0, NULL);
}

/* With blanks between. */
static void allow_all(struct filter *f, const char *names)
{
	struct str rest = str_of(names), word;
	char name[NAME_MAX_BYTES];

	while (str_split(&rest, ' ', &word)) {
		snprintf(name, sizeof name, "%.*s", STR_ARG(word));
		allow(f, name);
	}
}

static void refuse(struct filter *f, int error, const char *name)
{
	add(f, SCMP_ACT_ERRNO((uint32_t)error), name, 0, NULL);
}

static void allow_if(struct filter *f, const char *name, struct scmp_arg_cmp argument)
{
	add(f, SCMP_ACT_ALLOW, name, 1, &argument);
}

/* The lower half: of an int the kernel takes no more. */
#define IS(argument, value) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, value)

/* The last argument of a rule has one of the values, and the arguments before it are as they are given. */
struct choice {
	const char *name;
	struct scmp_arg_cmp arguments[3];
	unsigned n;
	const unsigned *values;
	size_t values_n;
};

static void add_values(struct filter *f, uint32_t action, struct choice c)
{
	for (size_t i = 0; i < c.values_n; i++) {
		bool known = false; /* two names of one number */

		for (size_t k = 0; k < i; k++)
			known |= c.values[k] == c.values[i];
		c.arguments[c.n - 1] = IS(c.arguments[c.n - 1].arg, c.values[i]);
		if (!known)
			add(f, action, c.name, c.n, c.arguments);
	}
}

/* All values but these, as blocks of numbers with the same upper bits: libseccomp has no "else", and of rules that overlap it
 * does not promise which one holds. `upper`, `bits`: the block; at first 0 and 32. */
static void add_others(struct filter *f, uint32_t action, struct choice *c, uint64_t upper, unsigned bits)
{
	uint64_t mask = (uint64_t)UINT32_MAX << bits & UINT32_MAX;
	bool all = true;

	for (size_t i = 0; i < c->values_n; i++)
		all &= (c->values[i] & mask) != upper;
	if (all) {
		c->arguments[c->n - 1] = (struct scmp_arg_cmp){ c->arguments[c->n - 1].arg, SCMP_CMP_MASKED_EQ, mask, upper };
		add(f, action, c->name, c->n, c->arguments);
	} else if (bits > 0) {
		add_others(f, action, c, upper, bits - 1);
		add_others(f, action, c, upper | (uint64_t)1 << (bits - 1), bits - 1);
	}
}

/* These values of one argument; the others, when they have no more than so many bits, get the error. */
static void allow_values(struct filter *f, int error, struct choice c, unsigned bits)
{
	add_values(f, SCMP_ACT_ALLOW, c);
	add_others(f, SCMP_ACT_ERRNO((uint32_t)error), &c, 0, bits);
}
#define VALUES(...) (const unsigned[]){ __VA_ARGS__ }, sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned)
#define ALLOW_VALUES(f, error, name, argument, ...)                                                                              \
	allow_values(f, error, (struct choice){ name, { IS(argument, 0) }, 1, VALUES(__VA_ARGS__) }, 32)

/* Only without this bit; else the error. */
static void allow_without(struct filter *f, int error, const char *name, unsigned argument, unsigned bit)
{
	struct scmp_arg_cmp with = { argument, SCMP_CMP_MASKED_EQ, bit, bit };

	allow_if(f, name, (struct scmp_arg_cmp){ argument, SCMP_CMP_MASKED_EQ, bit, 0 });
	add(f, SCMP_ACT_ERRNO((uint32_t)error), name, 1, &with);
}

/* ---- calls whose arguments matter ---- */

/* Memory becomes no code. The linker that loads a library late is told no. */
static void add_memory(struct filter *f)
{
	static const char *const names[] = { "mmap", "mmap2", "mprotect", "pkey_mprotect" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		allow_without(f, EACCES, names[i], 2, PROT_EXEC);
}

/* Signals to this process only: abort() makes one. */
static void add_process(struct filter *f)
{
	const struct scmp_arg_cmp reads_own[] = { SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0) };

	allow_if(f, "tgkill", SCMP_CMP32(0, SCMP_CMP_EQ, (uint32_t)getpid()));
	add(f, SCMP_ACT_ALLOW, "prlimit64", 2, reads_own);
	ALLOW_VALUES(f, EINVAL, "prctl", 0, PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, OF_LIBRARIES);
	refuse(f, ENOSYS, "io_uring_setup");
	refuse(f, ENOSYS, "clone3"); /* its flags are in memory, which no filter sees: the C library then uses clone */
}

/* The control of files, by the two names that it has; a write lease and locks are for those who write. */
static void add_control_of_files(struct filter *f, const char *name, unsigned can)
{
	if (can & CAN_WRITE)
		ALLOW_VALUES(f, EINVAL, name, 1, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS,
			     F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ, F_GETLK, F_SETLK, F_SETLKW, F_GETLK64, F_SETLK64,
			     F_SETLKW64, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_GETLEASE);
	else
		ALLOW_VALUES(f, EINVAL, name, 1, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS,
			     F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ);
}

/* A C library asks in its own way whether a descriptor is a terminal, and takes ENOTTY for a no. */
static void add_descriptors(struct filter *f, unsigned can)
{
	add_control_of_files(f, "fcntl", can);
	add_control_of_files(f, "fcntl64", can);
	if (can & CAN_CONNECT)
		ALLOW_VALUES(f, ENOTTY, "ioctl", 1, FIONBIO, FIOCLEX, FIONCLEX, FIONREAD, SIOCOUTQ, SIOCOUTQNSD, TCGETS,
			     TIOCGWINSZ, SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFHWADDR);
	else
		ALLOW_VALUES(f, ENOTTY, "ioctl", 1, FIONBIO, FIOCLEX, FIONCLEX, FIONREAD, SIOCOUTQ, TCGETS, TIOCGWINSZ);
}

/* IPv4 and IPv6, and the list of this machine's addresses. */
static void add_internet(struct filter *f)
{
	static const unsigned families[] = { AF_INET, AF_INET6 }, types[] = { SOCK_STREAM, SOCK_DGRAM };
	const struct scmp_arg_cmp addresses[] = { IS(0, AF_NETLINK), IS(2, 0) }; /* 0: NETLINK_ROUTE */

	for (size_t i = 0; i < 4; i++) {
		struct choice protocols = { "socket", { IS(0, families[i / 2]) }, 3, VALUES(0, IPPROTO_TCP, IPPROTO_UDP) };

		protocols.arguments[1] = SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, types[i % 2]);
		protocols.arguments[2] = IS(2, 0);
		allow_values(f, EPROTONOSUPPORT, protocols, SOCKET_BITS);
	}
	add(f, SCMP_ACT_ALLOW, "socket", 2, addresses);
}

/* A Unix socket would reach the control socket as this user, so only a role with a database behind such a socket has them. */
static void add_sockets(struct filter *f, unsigned can)
{
	const struct scmp_arg_cmp local[] = { IS(0, AF_UNIX), SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM) };
	unsigned families[4] = { AF_INET, AF_INET6 };
	struct choice others = { "socket", { IS(0, 0) }, 1, families, 2 };

	if (can & CAN_PAIR)
		ALLOW_VALUES(f, EAFNOSUPPORT, "socketpair", 0, AF_UNIX);
	else
		refuse(f, EAFNOSUPPORT, "socketpair");
	if (can & CAN_CONNECT)
		families[others.values_n++] = AF_NETLINK;
	if (can & CAN_JOIN)
		families[others.values_n++] = AF_UNIX;
	add_others(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), &others, 0, SOCKET_BITS);
	if (can & CAN_JOIN)
		add(f, SCMP_ACT_ALLOW, "socket", 2, local);
	if (can & CAN_CONNECT)
		add_internet(f);
}

static void add_sending(struct filter *f, unsigned can)
{
	allow_without(f, EOPNOTSUPP, "sendmsg", 2, CONNECTS_EARLY);
	allow_without(f, EOPNOTSUPP, "sendto", 3, CONNECTS_EARLY);
	allow_without(f, EOPNOTSUPP, "send", 3, CONNECTS_EARLY);
	if (can & CAN_CONNECT || f->foreign)
		allow_without(f, EOPNOTSUPP, "sendmmsg", 3, CONNECTS_EARLY);
}

static void refuse_files(struct filter *f)
{
	static const char *const names[] = { "open",       "openat",  "openat2",  "creat",     "stat",       "stat64",
					     "lstat",      "lstat64", "access",   "faccessat", "faccessat2", "readlink",
					     "readlinkat", "statfs",  "statfs64", "getcwd" };
	static const char *const by_descriptor[] = { "newfstatat", "fstatat64" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		refuse(f, EACCES, names[i]);
	for (size_t i = 0; i < sizeof by_descriptor / sizeof by_descriptor[0]; i++) {
		allow_if(f, by_descriptor[i], SCMP_A3(SCMP_CMP_MASKED_EQ, BY_DESCRIPTOR, BY_DESCRIPTOR));
		add(f, SCMP_ACT_ERRNO(EACCES), by_descriptor[i], 1,
		    (const struct scmp_arg_cmp[]){ SCMP_A3(SCMP_CMP_MASKED_EQ, BY_DESCRIPTOR, 0) });
	}
	allow_if(f, "statx", SCMP_A2(SCMP_CMP_MASKED_EQ, BY_DESCRIPTOR, BY_DESCRIPTOR));
	add(f, SCMP_ACT_ERRNO(EACCES), "statx", 1,
	    (const struct scmp_arg_cmp[]){ SCMP_A2(SCMP_CMP_MASKED_EQ, BY_DESCRIPTOR, 0) });
}

/* The times of a descriptor: the second argument is a name, or NULL. */
static void add_times(struct filter *f, const char *name)
{
	const struct scmp_arg_cmp named[] = { SCMP_A1(SCMP_CMP_NE, 0) };

	allow_if(f, name, SCMP_A1(SCMP_CMP_EQ, 0));
	add(f, SCMP_ACT_ERRNO(EACCES), name, 1, named);
}

/* Libraries open files that they can do without (translations, the list of processors), so a refusal is no reason to die. */
static void add_files(struct filter *f, unsigned can)
{
	if (!(can & CAN_READ)) {
		refuse_files(f);
		return;
	}
	refuse(f, ENOSYS, "openat2");
	if (can & CAN_WRITE) {
		add_times(f, "utimensat");
		add_times(f, "utimensat_time64");
		return;
	}
	allow_if(f, "open", SCMP_A1(SCMP_CMP_MASKED_EQ, CHANGES_FILES, 0));
	allow_if(f, "openat", SCMP_A2(SCMP_CMP_MASKED_EQ, CHANGES_FILES, 0));
	for (unsigned mode = 1; mode <= O_ACCMODE; mode++) {
		add(f, SCMP_ACT_ERRNO(EACCES), "open", 1,
		    (const struct scmp_arg_cmp[]){ SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE, mode) });
		add(f, SCMP_ACT_ERRNO(EACCES), "openat", 1,
		    (const struct scmp_arg_cmp[]){ SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, mode) });
	}
}

static void add_threads(struct filter *f, unsigned can)
{
	if (can & CAN_THREAD)
		allow_if(f, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS));
}

/* What sanitizers do to find and print a fault: they read the process's maps, stop its threads and start the symbolizer. */
#ifdef POSTHOUSE_SANITIZED
static void add_sanitizer(struct filter *f)
{
	allow_all(f,
		  "open openat readlink readlinkat access clone clone3 fork vfork execve wait4 waitid ptrace prctl kill tgkill");
	allow_all(f,
		  "mmap mprotect prlimit64 stat newfstatat getcwd fcntl ioctl lstat arch_prctl setitimer socketpair personality");
	allow_all(f, "set_tid_address process_vm_readv");
}
#endif

/* ---- the name of a call that was not allowed ---- */
#ifdef POSTHOUSE_CRASH_POINTS
static char *call_names[NAMED_MAX];

static void on_forbidden(int signal_number, siginfo_t *info, void *context)
{
	const char *name = info->si_syscall >= 0 && info->si_syscall < NAMED_MAX ? call_names[info->si_syscall] : NULL;
	char line[128];
	int n = snprintf(line, sizeof line, "FORBIDDEN SYSTEM CALL %s (%d)\n", name ? name : "without a name", info->si_syscall);

	(void)!write(STDERR_FILENO, line, (size_t)n);
	signal(SIGSYS, SIG_DFL);
	syscall(SYS_tgkill, getpid(), gettid(), SIGSYS);
}

static void name_forbidden(void)
{
	struct sigaction action = { .sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_NODEFER };

	for (int i = 0; i < NAMED_MAX; i++)
		call_names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	sigaction(SIGSYS, &action, NULL);
}
#define FORBIDDEN SCMP_ACT_TRAP
#else
static void name_forbidden(void)
{
}
#define FORBIDDEN SCMP_ACT_KILL_PROCESS
#endif

/* ---- all ---- */
static void add_calls(struct filter *f, unsigned can)
{
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if (calls[i].can == 0 || calls[i].can & can)
			allow_all(f, calls[i].names);
}

bool syscalls_can_be_filtered(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static void add_foreign(struct filter *f)
{
	static const char *const deadly[] = {
		"execve", "execveat",          "fork",  "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kill",
		"tkill",  "pidfd_send_signal", "mount", "bpf"
	};
	static const char *const needed[] = { "socketpair", "mmap", "mprotect", "open",  "openat", "setsockopt",
					      "connect",    "bind", "recvmmsg", "fcntl", "ioctl",  "prlimit64" };
	static const unsigned multipath[] = { MULTIPATH_TCP };
	struct choice protocol = { "socket", { IS(2, 0) }, 1, multipath, 1 };

	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		add(f, FORBIDDEN, deadly[i], 0, NULL);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		allow(f, needed[i]);
	add_values(f, SCMP_ACT_ERRNO(EPROTONOSUPPORT), protocol);
	add_others(f, SCMP_ACT_ALLOW, &protocol, 0, 32);
}

int syscalls_filter(unsigned can, bool foreign)
{
	struct filter f = { .context = seccomp_init(foreign ? SCMP_ACT_ERRNO(EPERM) : FORBIDDEN), .foreign = foreign };

	if (!f.context)
		return ENOMEM;
	name_forbidden();
	seccomp_attr_set(f.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(f.context, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(f.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#ifdef POSTHOUSE_SANITIZED
	add_sanitizer(&f);
#endif
	if (foreign)
		add_foreign(&f);
	add_calls(&f, can);
	add_memory(&f);
	add_process(&f);
	add_descriptors(&f, can);
	if (!foreign)
		add_sockets(&f, can);
	add_sending(&f, can);
	add_files(&f, can);
	add_threads(&f, can);
	if (!f.error)
		f.error = seccomp_load(f.context);
	seccomp_release(f.context);
	return -f.error;
}
