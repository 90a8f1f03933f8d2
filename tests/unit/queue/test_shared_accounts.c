/* test_shared_accounts.c - the accounts that several nodes share: what login hears, reads and has changed. */
#include "stored.h"

#include "posthouse/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERIFIER                                                                                                                 \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void become(enum store_node_state state, uint64_t accounts)
{
	store_be_node(&(struct store_node){ .number = 2,
					    .epoch = 5,
					    .membership = 52,
					    .state = state,
					    .horizon_ms = clock_boot_ms() + 3600000,
					    .accounts_known = accounts != 0,
					    .accounts = accounts });
}

static int setup(void **state)
{
	struct harness *h;

	store_has_nodes = true;
	store_accounts_noted[0] = 0;
	become(STORE_NODE_UP, 0);
	h = harness_new();
	connect_login(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	become(STORE_NODE_UP, 0);
	harness_free(*state);
	store_has_nodes = false;
	return 0;
}

/* ---- what login asks ---- */

static struct msg_accounts_lines lines;
static char text[100];
static bool answered;

static void on_lines(void *ctx, struct verdict v, const struct msg_accounts_lines *m, int fd)
{
	struct harness *h = ctx;

	assert_int_equal(v.class, OK);
	h->answer = verdict_keep(&h->arena, m->verdict);
	lines = *m;
	memset(text, 0, sizeof text);
	if (fd >= 0) {
		assert_true(pread(fd, text, sizeof text - 1, 0) >= 0);
		close(fd);
	}
	answered = true;
}

static void read_accounts(struct harness *h)
{
	answered = false;
	ipc_call_accounts_read(h->login_role, &(struct msg_accounts_read){ 0 }, -1, on_lines, h);
	UNTIL(h, answered);
}

static uint64_t version;

static void on_committed(void *ctx, struct verdict v, const struct msg_accounts_committed *m, int fd)
{
	struct harness *h = ctx;

	assert_int_equal(v.class, OK);
	h->answer = verdict_keep(&h->arena, m->verdict);
	version = m->version;
	answered = true;
}

/* Takes fd. */
static void commit_file(struct harness *h, uint64_t base, int fd)
{
	answered = false;
	ipc_call_accounts_commit(h->login_role, &(struct msg_accounts_commit){ .version = base }, fd, on_committed, h);
	close(fd);
	UNTIL(h, answered);
}

static void commit(struct harness *h, uint64_t base, const char *what)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(write(fd, what, strlen(what)), (ssize_t)strlen(what));
	commit_file(h, base, fd);
}

/* ---- tests ---- */

static void test_version(void **state)
{
	struct harness *h = *state;
	unsigned before = store_node_looks;

	UNTIL(h, store_node_looks >= before + 2); /* it is not known so far */
	assert_int_equal(h->accounts_told_n, 0);
	become(STORE_NODE_UP, 7);
	UNTIL(h, h->accounts_version == 7);
	become(STORE_NODE_UP, 8);
	UNTIL(h, h->accounts_version == 8);
	before = store_node_looks;
	UNTIL(h, store_node_looks >= before + 2);
	assert_int_equal(h->accounts_told_n, 2);
	disconnect(h, &h->login_role);
	h->accounts_version = 0;
	connect_login(h);
	UNTIL(h, h->accounts_version == 8);
}

static void test_read(void **state)
{
	struct harness *h = *state;

	read_accounts(h);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(lines.version, 7);
	assert_string_equal(text, "alice\n");
	store_refuse(REQUEST_ACCOUNTS, 1);
	read_accounts(h);
	assert_int_equal(h->answer.class, TEMP);
	assert_string_equal(text, "");
}

static void test_commit(void **state)
{
	struct harness *h = *state;

	commit(h, 7, "alice@x - " VERIFIER " 1\nbob@x phone\ncarol@x pad " VERIFIER " 1 2\ndave@x -\n");
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(version, 8);
	assert_string_equal(store_accounts_noted, "put alice@x/;remove bob@x/phone;put carol@x/pad;remove dave@x/;");
	commit(h, 6, "alice@x -\n");
	assert_int_equal(h->answer.class, TEMP);
	assert_int_equal(version, 7);
	store_refuse(REQUEST_ACCOUNTS_COMMIT, 1);
	commit(h, 7, "alice@x -\n");
	assert_int_equal(h->answer.class, TEMP);
	assert_int_equal(version, 0);
	assert_true(str_search(h->answer.text, S("perhaps has the change")) < h->answer.text.n);
}

static void test_malformed(void **state)
{
	static const char *const texts[] = { "alice@x\n",
					     "alice@x - " VERIFIER "\n",
					     "alice@x - " VERIFIER " 1 x\n",
					     "alice@x - " VERIFIER " 1 locked=1 \xff\n",
					     "bob@x -\n\ncarol@x -\n",
					     "a b c\n" };
	struct harness *h = *state;
	int fds[2];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		commit(h, 7, texts[i]);
		assert_int_equal(h->answer.class, PERM);
		assert_int_equal(version, 0);
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	commit_file(h, 7, fds[0]);
	close(fds[1]);
	assert_int_equal(h->answer.class, PERM);
	assert_int_equal(store_runs(REQUEST_ACCOUNTS_COMMIT), 0);
}

/* The store would wait for the database. */
static void test_away(void **state)
{
	struct harness *h = *state;

	become(STORE_NODE_AWAY, 7);
	commit(h, 7, "alice@x -\n");
	assert_true(h->answer.class == TEMP && str_search(h->answer.text, S("database cannot be reached")) < h->answer.text.n);
	read_accounts(h);
	assert_int_equal(h->answer.class, TEMP);
	assert_int_equal(store_runs(REQUEST_ACCOUNTS_COMMIT) + store_runs(REQUEST_ACCOUNTS), 0);
}

#define NODE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODE_TEST(test_version),   NODE_TEST(test_read), NODE_TEST(test_commit),
		NODE_TEST(test_malformed), NODE_TEST(test_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
