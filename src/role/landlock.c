/* landlock.c - see landlock.h. The header of Debian 12 knows version 2, so what came later is defined here. */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CREATE_RULESET 444
#define ADD_RULE       445
#define RESTRICT_SELF  446

#define RULE_FILE    1
#define RULE_PORT    2
#define ASKS_VERSION 1U
#define ABI_REFER    2
#define ABI_TRUNCATE 3
#define ABI_PORTS    4
#define ABI_DEVICES  5
#define ABI_SCOPES   6

/* The rights over files, in the order of the kernel's bits. */
enum {
	EXECUTE = 1 << 0,
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIRECTORY = 1 << 3,
	REMOVE_DIRECTORY = 1 << 4,
	REMOVE_FILE = 1 << 5,
	MAKE_DIRECTORY = 1 << 7,
	MAKE_FILE = 1 << 8,
	FIRST_RIGHTS = (1 << 13) - 1, /* all of version 1 */
	REFER = 1 << 13,              /* a file moves to another directory */
	TRUNCATE = 1 << 14,
	DEVICE_IOCTL = 1 << 15,

	OF_READERS = READ_FILE | READ_DIRECTORY,
	OF_WRITERS = OF_READERS | WRITE_FILE | REMOVE_DIRECTORY | REMOVE_FILE | MAKE_DIRECTORY | MAKE_FILE | REFER | TRUNCATE,
	OF_ONE_FILE = READ_FILE | WRITE_FILE | TRUNCATE, /* the kernel refuses the others for what is no directory */
};
enum { BIND = 1 << 0, CONNECT = 1 << 1 };
enum { ABSTRACT_SOCKETS = 1 << 0, SIGNALS = 1 << 1 };

struct ruleset {
	uint64_t files, ports, scopes;
};

struct file_rule {
	uint64_t rights;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t rights, port;
};

unsigned landlock_abi(void)
{
	long version = syscall(CREATE_RULESET, NULL, 0, ASKS_VERSION);

	return version > 0 ? (unsigned)version : 0;
}

/* The size tells the kernel which fields there are: an old one refuses those that it does not know. */
static int create(unsigned abi, struct ruleset *all_out)
{
	size_t size = abi < ABI_PORTS ? sizeof all_out->files : abi < ABI_SCOPES ? 2 * sizeof(uint64_t) : sizeof *all_out;

	all_out->files = FIRST_RIGHTS | (abi >= ABI_REFER ? REFER : 0) | (abi >= ABI_TRUNCATE ? TRUNCATE : 0) |
			 (abi >= ABI_DEVICES ? DEVICE_IOCTL : 0);
	all_out->ports = BIND | CONNECT;
	all_out->scopes = ABSTRACT_SOCKETS | SIGNALS;
	return (int)syscall(CREATE_RULESET, all_out, size, 0U);
}

/* A place that is not there needs no rule: nothing can be opened by its name. */
static int open_place(int ruleset, const struct opening *place, uint64_t known)
{
	struct file_rule rule = { .rights = (place->writes ? OF_WRITERS : OF_READERS) & known,
				  .fd = open(place->path, O_PATH | O_CLOEXEC) };
	struct stat st;
	int error;

	if (rule.fd < 0)
		return 0;
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.rights &= OF_ONE_FILE;
	error = syscall(ADD_RULE, ruleset, RULE_FILE, &rule, 0U) == 0 ? 0 : errno;
	close(rule.fd);
	return error;
}

static int open_port(int ruleset, uint64_t port, uint64_t rights)
{
	struct port_rule rule = { .rights = rights, .port = port };

	return syscall(ADD_RULE, ruleset, RULE_PORT, &rule, 0U) == 0 ? 0 : errno;
}

int landlock_close(const struct openings *o, unsigned abi)
{
	struct ruleset all;
	int ruleset = create(abi, &all), error = ruleset < 0 ? errno : 0;

	for (size_t i = 0; !error && i < o->places_n; i++)
		error = open_place(ruleset, &o->places[i], all.files);
	for (size_t i = 0; !error && abi >= ABI_PORTS && i < o->ports_n; i++)
		error = open_port(ruleset, o->ports[i], CONNECT);
	if (!error && abi >= ABI_PORTS && o->ports_n > 0)
		error = open_port(ruleset, 0, BIND); /* a source address, with a port that the kernel chooses */
	if (!error && syscall(RESTRICT_SELF, ruleset, 0U) != 0)
		error = errno;
	if (ruleset >= 0)
		close(ruleset);
	return error;
}
