/* test_proof.c - what the login role believes of a descriptor and of a pass: only what the kernel says, and what it gave itself. */
#include "unit.h"
#include "remove_tree.h"

#include "passes.h"
#include "proof.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char place[64];
static struct arena arena;

static int set_up(void **state)
{
	snprintf(place, sizeof(place), "/tmp/posthouse-proof-XXXXXX");
	assert_non_null(mkdtemp(place));
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	remove_tree(place);
	return 0;
}

/* A listening Unix socket of this name, which is bound from within the directory, as master does, and a client of it. */
static int listening_at(const char *name, int type, int *client_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	*client_out = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	assert_int_equal(chdir(place), 0);
	unlink(name);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(connect(*client_out, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fchdir(here), 0);
	close(here);
	return fd;
}

/* The end of an accepted connection. */
static int accepted_at(const char *name, int type)
{
	int client, fd = listening_at(name, type, &client), end = accept(fd, NULL, NULL);

	close(fd);
	close(client);
	return end;
}

static bool is_user(int fd, const char *path)
{
	uint64_t uid = 12345;
	bool known = proof_user(fd, str_of(path), &uid);

	if (known)
		assert_int_equal(uid, getuid());
	close(fd);
	return known;
}

static void test_users(void **state)
{
	int ends[2], fd, client;

	/* the kernel says of a listening socket who listens: master, which can be root */
	assert_false(is_user(listening_at("submit.sock", SOCK_STREAM, &client), "/run/posthouse/submit.sock"));
	close(client);
	assert_true(is_user(accepted_at("submit.sock", SOCK_STREAM), "/run/posthouse/submit.sock"));
	assert_false(is_user(accepted_at("control.sock", SOCK_STREAM), "/run/posthouse/submit.sock"));
	assert_false(is_user(accepted_at("submit.sock", SOCK_SEQPACKET), "/run/posthouse/submit.sock"));
	assert_false(is_user(accepted_at("submit.sock", SOCK_STREAM), "")); /* there is no local socket */
	/* the other end of a pair is whoever made the pair: of the channels of roles that is master */
	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_STREAM) {
		assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
		assert_false(is_user(ends[0], "/run/posthouse/submit.sock"));
		assert_false(is_user(ends[1], ""));
	}
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_false(is_user(fd, "/dev/null"));
}

/* The accepted end of a TCP connection over this family, and the address at its other end. */
static struct str address_over(int family)
{
	int any = 0, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    end;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, to;
	struct sockaddr_storage own;
	socklen_t n = sizeof(own);
	struct str address;

	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &any, sizeof(any));
		assert_int_equal(bind(fd, (struct sockaddr *)&six, sizeof(six)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&four, sizeof(four)), 0);
	}
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &n), 0);
	to = four;
	to.sin_port = ((struct sockaddr_in *)&own)->sin_port;
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	end = accept(fd, NULL, NULL);
	address = proof_address(&arena, end);
	assert_true(str_eq(proof_address(&arena, fd), S(""))); /* it is connected to nobody */
	close(end);
	close(client);
	close(fd);
	return address;
}

static void test_addresses(void **state)
{
	int fd = accepted_at("submit.sock", SOCK_STREAM);

	assert_true(str_eq(address_over(AF_INET), S("127.0.0.1")));
	assert_true(str_eq(address_over(AF_INET6), S("127.0.0.1"))); /* IPv4 in IPv6 */
	assert_true(str_eq(proof_address(&arena, fd), S("")));
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(str_eq(proof_address(&arena, fd), S("")));
	close(fd);
}

static bool is_dropped(const char *text, mode_t mode, bool link_too, bool any)
{
	char path[96], other[96];
	uint64_t uid = 12345;
	bool known;
	int fd;

	snprintf(path, sizeof(path), "%s/file", place);
	snprintf(other, sizeof(other), "%s/other", place);
	unlink(path);
	unlink(other);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	if (link_too)
		assert_int_equal(link(path, other), 0);
	known = proof_owner(fd, any, &uid);
	close(fd);
	if (known)
		assert_int_equal(uid, getuid());
	return known;
}

static void test_owners(void **state)
{
	int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t uid;

	assert_true(is_dropped("to: <bob@example.net>\n\nSubject: x\n\n", 0744, false, false));
	assert_true(is_dropped("from: <>\nto: <bob@example.net>\n\n", 0744, false, false));
	assert_false(is_dropped("to: <bob@example.net>\n\n", 0644, false, false)); /* the mark is missing */
	assert_false(is_dropped("to: <bob@example.net>\n\n", 0744, true, false));
	assert_false(is_dropped("#!/bin/sh\n", 0755, false, false)); /* a program of the same user */
	assert_false(is_dropped("", 0744, false, false));
	assert_true(is_dropped("#!/bin/sh\n", 0644, true, true)); /* for a report about it */
	assert_false(proof_owner(fd, true, &uid));
	close(fd);
}

static void test_passes(void **state)
{
	static struct passes all;
	struct str first = arena_str(&arena, pass_make(&all, 7, false)), second = arena_str(&arena, pass_make(&all, 0, true));
	uint64_t uid = 12345;
	bool report = true;

	assert_int_equal(first.n, PASS_SIZE);
	assert_false(str_eq(first, second));
	assert_false(pass_take(&all, S(""), &uid, &report));
	assert_false(pass_take(&all, str_head(first, PASS_SIZE - 1), &uid, &report));
	assert_false(pass_take(&all, S("00000000000000000000000000000000"), &uid, &report));
	assert_true(pass_take(&all, first, &uid, &report));
	assert_true(uid == 7 && !report);
	assert_false(pass_take(&all, first, &uid, &report)); /* once */
	all.at[1].until = 1;
	assert_false(pass_take(&all, second, &uid, &report)); /* its minute is over */
	second = arena_str(&arena, pass_make(&all, 9, false));
	for (unsigned i = 0; i < PASSES_MAX; i++)
		first = arena_str(&arena, pass_make(&all, 8, true));
	assert_false(pass_take(&all, second, &uid, &report)); /* the oldest gives way */
	assert_true(pass_take(&all, first, &uid, &report));
	assert_true(uid == 8 && report);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_passes),
	};

	return cmocka_run_group_tests_name("proof", tests, set_up, tear_down);
}
