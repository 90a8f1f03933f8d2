/* test_check.c - `posthouse check`: exit codes, and what it says of the directories. */
#include "fixture.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static char output[65536];

/* A user other than root where we are root, else ourselves. */
static struct passwd *user(void)
{
	struct passwd *found = geteuid() == 0 ? getpwnam("nobody") : getpwuid(geteuid());

	assert_non_null(found);
	return found;
}

/* Run the command; what it writes to either stream is in `output`. */
static int check(const char *config_path, bool dump)
{
	const struct options o = { .verb = "", .given = &(struct option_given){ "dump", NULL }, .given_n = dump };
	char *path = strdup(config_path); /* the fixture's are static */
	int saved_out, saved_err, file, code;
	ssize_t n;

	fflush(NULL);
	file = open(fixture_path("output"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	saved_out = dup(1);
	saved_err = dup(2);
	dup2(file, 1);
	dup2(file, 2);
	code = command_check(&o, path);
	fflush(NULL);
	dup2(saved_out, 1);
	dup2(saved_err, 2);
	close(saved_out);
	close(saved_err);
	n = pread(file, output, sizeof(output) - 1, 0);
	output[n > 0 ? n : 0] = '\0';
	free(path);
	close(file);
	return code;
}

/* A good configuration with these directories (relative ones are the fixture's). */
static int check_with(const char *state_dir, const char *control)
{
	char text[2048];

	snprintf(text, sizeof(text), "%sstate_dir = \"%s\"; control = \"%s\"; run_as = \"%s\";\n", BASICS, state_dir, control,
		 user()->pw_name);
	fixture_write("posthouse.conf", text, 0600);
	return check(fixture_path("posthouse.conf"), false);
}

static void expect(int code, int wanted, const char *words)
{
	if (code != wanted || !strstr(output, words))
		fail_msg("%d, not %d with \"%s\": %s", code, wanted, words, output);
}

/* The state directory as `init` makes it. */
static void give_to_user(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(fixture_path(name), 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(fixture_path(name), user()->pw_uid, user()->pw_gid), 0);
	assert_int_equal(chmod(fixture_path(name), mode), 0);
}

static void good(void **state)
{
	chmod(fixture_dir(), 0755); /* the user must reach what is in it */
	give_to_user("state", 0700);
	expect(check_with("state", "control.sock"), EX_OK, "configuration is good");
	expect(check_with("not-made-yet", "made-by-serve/control.sock"), EX_OK, "configuration is good");
	expect(check(fixture_path("posthouse.conf"), true), EX_OK, "connections_per_destination = 10;");
}

static void faults(void **state)
{
	fixture_write("bad.conf", BASICS "bogus = 1;\n\nqueue = { lifetime = 5; };\n", 0600);
	expect(check(fixture_path("bad.conf"), false), EX_CONFIG, "bad.conf:5: unknown key bogus\n");
	assert_non_null(strstr(output, "bad.conf:7: queue.lifetime: expected a duration"));
	assert_null(strstr(output, "configuration is good"));
	expect(check(fixture_path("nowhere.conf"), false), EX_CONFIG, "nowhere.conf: ");
}

static void directories(void **state)
{
	expect(check_with("key.pem", "control.sock"), EX_CONFIG, "is not a directory");
	expect(check_with("no/such/path", "control.sock"), EX_CONFIG, "cannot be made");
	expect(check_with("state", "no/such/control.sock"), EX_CONFIG, "cannot be made");
	expect(check_with("state", "key.pem"), EX_CONFIG, "is not a socket");
	if (access("/dev/shm", W_OK) == 0)
		expect(check_with("/dev/shm", "control.sock"), EX_CONFIG, "tmpfs");
}

/* Volumes of containers: others can write them, and have a directory of the file system's own. Said once, and no fault. */
static void volumes(void **state)
{
	static const mode_t modes[] = { 0770, 0777, 02775, 01777 };
	char name[32];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		snprintf(name, sizeof(name), "volume%zu", i);
		give_to_user(name, modes[i]);
		snprintf(name, sizeof(name), "volume%zu/lost+found", i);
		assert_int_equal(mkdir(fixture_path(name), geteuid() == 0 ? 0700 : 0), 0);
		snprintf(name, sizeof(name), "volume%zu", i);
		expect(check_with(name, "control.sock"), EX_OK, "configuration is good");
		assert_non_null(strstr(output, "warning: state_dir"));
		assert_null(strstr(strstr(output, "warning") + 1, "warning"));
	}
}

/* What others provide may come later: said, but no fault. */
static void backends(void **state)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "%sstate_dir = \"state\"; control = \"control.sock\"; run_as = \"%s\";\n"
		 "auth = { backend = \"saslauthd\"; options = { saslauthd_path = \"%s/mux\"; }; };",
		 BASICS, user()->pw_name, fixture_dir());
	fixture_write("posthouse.conf", text, 0600);
	expect(check(fixture_path("posthouse.conf"), false), EX_OK, "/mux: No such file or directory: saslauthd has to run");
	fixture_write("mux", "", 0666);
	expect(check(fixture_path("posthouse.conf"), false), EX_OK, "configuration is good");
	assert_null(strstr(output, "warning"));
	if (geteuid() != 0)
		return;
	chmod(fixture_path("mux"), 0600); /* root could, the relay's user cannot */
	expect(check(fixture_path("posthouse.conf"), false), EX_OK, "/mux: Permission denied");
}

/* Root sees no difficulty; the user does. */
static void as_the_user(void **state)
{
	int fd;

	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(fixture_path("roots"), 0700), 0);
	expect(check_with("roots", "control.sock"), EX_CONFIG, "cannot be used: Permission denied");
	fd = open(fixture_path("state/accounts"), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	expect(check_with("state", "control.sock"), EX_CONFIG, "accounts cannot be read and written");
	unlink(fixture_path("state/accounts"));
	fixture_write("posthouse.conf", BASICS "run_as = \"no-such-user-here\";", 0600);
	expect(check(fixture_path("posthouse.conf"), false), EX_CONFIG, "is no user of this machine");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good),        cmocka_unit_test(faults),
					    cmocka_unit_test(directories), cmocka_unit_test(as_the_user),
					    cmocka_unit_test(backends),    cmocka_unit_test(volumes) };

	return cmocka_run_group_tests_name("config check", tests, fixture_open, fixture_close);
}
