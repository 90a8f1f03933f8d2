/* test_accounts.c - the account file: read, refreshed, changed, by one process and by two at once. */
#include "unit.h"
#include "remove_tree.h"

#include "posthouse/accounts.h"
#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define V1                                                                                                                       \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define V2                                                                                                                       \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=:WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define OTHER_SALT                                                                                                               \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gA==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

struct fixture {
	char directory[64];
	char path[96];
};

static int set_up(void **state)
{
	struct fixture *f = NEW(struct fixture);

	snprintf(f->directory, sizeof(f->directory), "/tmp/posthouse-accounts-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/accounts", f->directory);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	remove_tree(f->directory);
	free(f);
	return 0;
}

static void write_file(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct accounts *open_accounts(const struct fixture *f)
{
	struct verdict why;
	struct accounts *a = accounts_open(f->directory, &why);

	assert_non_null(a);
	return a;
}

static void assert_refused(struct verdict v, uint16_t code, const char *enhanced)
{
	assert_int_not_equal(v.class, OK);
	assert_int_equal(v.code, code);
	assert_true(str_eq(v.enhanced, str_of(enhanced)));
}

static void test_change(void **state)
{
	struct fixture *f = *state;
	struct accounts *a = open_accounts(f);
	struct stat st;
	char lock[128];

	assert_int_equal(accounts_count(a), 0);
	assert_null(accounts_find(a, S("a@b"), S("")));
	assert_refused(accounts_change(a, ACCOUNT_REMOVE, S("a@b"), S(""), S(""), 0), 550, "5.1.1");
	assert_refused(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S(""), S(V1), 0), 550, "5.1.1");
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("m@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("z@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("m@b"), S("phone"), S(V2), 0).class, OK);
	assert_int_equal(accounts_count(a), 4);
	assert_true(str_eq(accounts_at(a, 0)->name, S("a@b")));
	assert_true(str_eq(accounts_at(a, 2)->device, S("phone")));
	assert_null(accounts_at(a, 4));
	assert_true(str_eq(accounts_find(a, S("m@b"), S("phone"))->verifier, S(V2)));
	assert_null(accounts_find(a, S("m@b"), S("printer")));
	assert_non_null(accounts_any(a, S("m@b")));
	assert_null(accounts_any(a, S("n@b")));
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	assert_int_equal(stat(lock, &st), 0);
	snprintf(lock, sizeof(lock), "%s.new", f->path);
	assert_int_not_equal(stat(lock, &st), 0);

	assert_refused(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("m@b"), S("phone"), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("A@b"), S(""), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("b"), S(""), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("b@b"), S("-"), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("b@b\nc@b"), S(""), S(V1), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("b@b"), S(""), S("x"), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("b@b"), S(""), S(V1 "\n"), 0), 550, "5.5.2");
	assert_refused(accounts_change(a, (enum account_operation)9, S("b@b"), S(""), S(V1), 0), 550, "5.5.2");
	assert_int_equal(accounts_count(a), 4);

	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S(""), S(V2), 0).class, OK);
	assert_true(str_eq(accounts_find(a, S("a@b"), S(""))->verifier, S(V2)));
	assert_int_equal(accounts_change(a, ACCOUNT_REMOVE, S("a@b"), S(""), S(""), 0).class, OK);
	assert_int_equal(accounts_count(a), 3);
	accounts_close(a);
}

/* One salt for each account; who is alone may have a new one. */
static void test_shared_salt(void **state)
{
	struct accounts *a = open_accounts(*state);

	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S(""), S(OTHER_SALT), 0).class, OK);
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("phone"), S(V1), 0), 550, "5.5.2");
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("phone"), S(OTHER_SALT), 0).class, OK);
	assert_refused(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S(""), S(V1), 0), 550, "5.5.2");
	accounts_close(a);
}

/* Removing the account removes its devices; removing a device only that. */
static void test_remove(void **state)
{
	struct accounts *a = open_accounts(*state);

	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("one"), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("two"), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@bc"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_REMOVE, S("a@b"), S("one"), S(""), 0).class, OK);
	assert_refused(accounts_change(a, ACCOUNT_REMOVE, S("a@b"), S("one"), S(""), 0), 550, "5.1.1");
	assert_int_equal(accounts_count(a), 3);
	assert_int_equal(accounts_change(a, ACCOUNT_REMOVE, S("a@b"), S(""), S(""), 0).class, OK);
	assert_int_equal(accounts_count(a), 1);
	assert_non_null(accounts_find(a, S("a@bc"), S("")));
	accounts_close(a);
}

static void test_refresh(void **state)
{
	struct fixture *f = *state;
	struct accounts *mine = open_accounts(f), *theirs = open_accounts(f);
	uint64_t generation = accounts_generation(mine);

	assert_int_equal(accounts_refresh(mine).class, OK);
	assert_true(accounts_generation(mine) == generation);
	assert_int_equal(accounts_change(theirs, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_null(accounts_find(mine, S("a@b"), S("")));
	assert_int_equal(accounts_refresh(mine).class, OK);
	assert_non_null(accounts_find(mine, S("a@b"), S("")));
	assert_true(accounts_generation(mine) > generation);
	assert_int_equal(accounts_change(mine, ACCOUNT_ADD, S("c@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(theirs, ACCOUNT_REMOVE, S("a@b"), S(""), S(""), 0).class, OK); /* from a fresh reading */
	assert_non_null(accounts_find(theirs, S("c@b"), S("")));
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(accounts_refresh(mine).class, OK);
	assert_int_equal(accounts_count(mine), 0);
	accounts_close(mine);
	accounts_close(theirs);
}

/* A malformed line: the verdict has its number, what was known stays, and nothing is written over the file. */
static void test_malformed(void **state)
{
	struct fixture *f = *state;
	struct accounts *a;
	struct verdict v;

	write_file(f, "# comment\n\na@b - " V1 " 1\n");
	a = open_accounts(f);
	assert_int_equal(accounts_count(a), 1);
	write_file(f, "# comment\n\na@b - " V1 " 1\nc@b what\n");
	for (int i = 0; i < 2; i++) {
		v = accounts_refresh(a);
		assert_refused(v, 451, "4.3.0");
		assert_true(str_search(v.text, S("line 4")) < v.text.n);
		assert_non_null(accounts_find(a, S("a@b"), S("")));
	}
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("d@b"), S(""), S(V1), 0), 451, "4.3.0");
	assert_null(accounts_open(f->directory, &v));
	assert_true(str_search(v.text, S("line 4")) < v.text.n);
	write_file(f, "a@b - " V1 " 1\na@b - " V2 " 2\n");
	v = accounts_refresh(a);
	assert_true(str_search(v.text, S("a@b is there twice")) < v.text.n);
	write_file(f, "c@b - " V1 " 1\na@b - " V2 " 2"); /* any order, and no last line end */
	assert_int_equal(accounts_refresh(a).class, OK);
	assert_int_equal(accounts_count(a), 2);
	assert_non_null(accounts_find(a, S("c@b"), S("")));
	accounts_close(a);
}

static void test_unusable_files(void **state)
{
	struct fixture *f = *state;
	struct verdict v;
	struct accounts *a;

	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_null(accounts_open(f->directory, &v));
	assert_refused(v, 451, "4.3.0");
	assert_int_equal(rmdir(f->path), 0);
	assert_int_equal(symlink("/etc/passwd", f->path), 0);
	assert_null(accounts_open(f->directory, &v));
	assert_int_equal(unlink(f->path), 0);
	a = open_accounts(f);
	assert_int_equal(rmdir(f->directory), 0);
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("d@b"), S(""), S(V1), 0), 451, "4.3.0");
	assert_int_equal(mkdir(f->directory, 0700), 0);
	accounts_close(a);
}

#define EACH 40

/* Two processes add accounts at the same time, a third reads: nothing is lost, nothing half-written is seen. */
static void test_two_processes(void **state)
{
	struct fixture *f = *state;
	pid_t children[2];
	struct accounts *a = open_accounts(f);
	int status, left = 2;

	for (int child = 0; child < 2; child++) {
		children[child] = fork();
		assert_true(children[child] >= 0);
		if (children[child] == 0) {
			struct verdict v;
			struct accounts *mine = accounts_open(f->directory, &v);
			struct arena arena = { 0 };
			int failed = !mine;

			for (int i = 0; mine && i < EACH; i++) {
				struct str name = arena_printf(&arena, "u%d-%d@b", child, i);

				failed += accounts_change(mine, ACCOUNT_ADD, name, str_of(""), S(V1), 0).class != OK;
			}
			_exit(failed != 0);
		}
	}
	while (left) {
		assert_int_equal(accounts_refresh(a).class, OK);
		for (int child = 0; child < 2; child++) {
			if (children[child] && waitpid(children[child], &status, WNOHANG) == children[child]) {
				assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
				children[child] = 0;
				left--;
			}
		}
		usleep(200);
	}
	assert_int_equal(accounts_refresh(a).class, OK);
	assert_int_equal(accounts_count(a), 2 * EACH);
	accounts_close(a);
}

/* A time in a fifth field; lines of four are of before there was one. */
static void test_expiry(void **state)
{
	struct fixture *f = *state;
	struct accounts *a;
	uint64_t soon = clock_now_ms() + 60000;
	char past[512];

	write_file(f, "a@b - " V1 " 1000\na@b phone " V1 " 1000 2000\n");
	a = open_accounts(f);
	assert_true(accounts_find(a, S("a@b"), S(""))->expires_at == 0);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->expires_at == 2000);

	/* what is over needs a new time, what is not keeps its own unless told */
	assert_refused(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V2), ACCOUNTS_KEEP_EXPIRY), 550, "5.5.2");
	assert_refused(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V2), clock_now_ms()), 550, "5.5.2");
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V2), soon).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->expires_at == soon);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->created_at == 1000);
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V1), ACCOUNTS_KEEP_EXPIRY).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->expires_at == soon);
	assert_true(str_eq(accounts_find(a, S("a@b"), S("phone"))->verifier, S(V1)));
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V1), 0).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->expires_at == 0);
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S(""), S(V1), ACCOUNTS_KEEP_EXPIRY).class, OK);
	assert_true(accounts_find(a, S("a@b"), S(""))->expires_at == 0);
	assert_refused(accounts_change(a, ACCOUNT_ADD, S("c@b"), S(""), S(V1), 1), 550, "5.5.2");
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("c@b"), S(""), S(V1), soon).class, OK);
	accounts_close(a);

	a = open_accounts(f); /* it is in the file */
	assert_true(accounts_find(a, S("c@b"), S(""))->expires_at == soon);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->expires_at == 0);
	accounts_close(a);
	for (const char *const *bad = (const char *const[]){ "0", "", "x", "1 2", "-1", "18446744073709551616", NULL }; *bad;
	     bad++) {
		struct account account;

		snprintf(past, sizeof(past), "a@b - " V1 " 1000 %s", *bad);
		assert_false(account_parse_line(str_of(past), &account));
	}
}

/* A lock keeps the passwords, survives a new one, and is inherited by a further one. */
static void test_lock(void **state)
{
	struct fixture *f = *state;
	struct verdict v;
	struct accounts *a = accounts_open(f->directory, &v);
	uint64_t locked_at;

	assert_refused(accounts_lock(a, ACCOUNT_LOCK, S("a@b"), S(""), S("")), 550, "5.1.1");
	assert_refused(accounts_lock(a, ACCOUNT_ADD, S("a@b"), S(""), S("")), 550, "5.5.2");
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("phone"), S(V2), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("c@b"), S(""), S(V1), 0).class, OK);
	assert_refused(accounts_lock(a, ACCOUNT_LOCK, S("a@b"), S("tablet"), S("")), 550, "5.1.1");
	/* One device */
	assert_int_equal(accounts_lock(a, ACCOUNT_LOCK, S("a@b"), S("phone"), S("lost\nin the bus ")).class, OK);
	locked_at = accounts_find(a, S("a@b"), S("phone"))->locked_at;
	assert_true(locked_at > 0);
	assert_true(str_eq(accounts_find(a, S("a@b"), S("phone"))->reason, S("lost in the bus")));
	assert_true(str_eq(accounts_find(a, S("a@b"), S("phone"))->verifier, S(V2)));
	assert_true(accounts_find(a, S("a@b"), S(""))->locked_at == 0);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("tv"), S(V1), 0).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("tv"))->locked_at == 0);
	/* The account */
	assert_int_equal(accounts_lock(a, ACCOUNT_LOCK, S("a@b"), S(""), S("")).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->locked_at == locked_at);
	assert_true(accounts_find(a, S("a@b"), S(""))->locked_at > 0);
	assert_true(accounts_find(a, S("c@b"), S(""))->locked_at == 0);
	assert_int_equal(accounts_change(a, ACCOUNT_PASSWD, S("a@b"), S("phone"), S(V1), ACCOUNTS_KEEP_EXPIRY).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("phone"))->locked_at == locked_at);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("pad"), S(V1), 0).class, OK);
	assert_true(accounts_find(a, S("a@b"), S("pad"))->locked_at > 0);
	accounts_close(a);
	a = accounts_open(f->directory, &v);
	assert_non_null(a);
	assert_int_equal(accounts_count(a), 5);
	assert_int_equal(accounts_lock(a, ACCOUNT_UNLOCK, S("a@b"), S(""), S("")).class, OK);
	for (size_t i = 0; i < 5; i++)
		assert_true(accounts_at(a, i)->locked_at == 0 && accounts_at(a, i)->reason.n == 0);
	assert_int_equal(accounts_lock(a, ACCOUNT_UNLOCK, S("a@b"), S(""), S("")).class, OK);
	accounts_close(a);
}

static struct account_use use_of(const struct account_uses *u, const char *name, const char *device)
{
	return account_uses_find(u, str_of(name), str_of(device));
}

/* What is noted is known at once, and after a restart as of the last time that it was written. */
static void test_uses(void **state)
{
	struct fixture *f = *state;
	struct accounts *a = open_accounts(f);
	struct account_uses *u = account_uses_open(f->directory, 1000);

	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S(""), S(V1), 0).class, OK);
	assert_int_equal(accounts_change(a, ACCOUNT_ADD, S("a@b"), S("phone"), S(V2), 0).class, OK);
	assert_int_equal(account_uses_since(u), 1000);
	assert_int_equal(use_of(u, "a@b", "").used_at, 0);
	assert_true(account_uses_note(u, S("a@b"), S(""), true, DAY_MS));
	assert_true(account_uses_note(u, S("a@b"), S("phone"), false, DAY_MS + 1));
	assert_true(account_uses_note(u, S("gone@b"), S(""), true, DAY_MS));
	assert_true(account_uses_write(u, a));
	/* once a day is enough for the file */
	assert_false(account_uses_note(u, S("a@b"), S(""), true, 2 * DAY_MS - 1));
	assert_int_equal(use_of(u, "a@b", "").used_at, 2 * DAY_MS - 1);
	assert_true(account_uses_note(u, S("a@b"), S(""), true, 2 * DAY_MS));
	assert_int_equal(use_of(u, "gone@b", "").used_at, 0);
	account_uses_close(u);

	u = account_uses_open(f->directory, 3 * DAY_MS);
	assert_int_equal(account_uses_since(u), 1000);
	assert_int_equal(use_of(u, "a@b", "").used_at, DAY_MS);
	assert_int_equal(use_of(u, "a@b", "phone").tried_at, DAY_MS + 1);
	assert_int_equal(use_of(u, "a@b", "phone").used_at, 0);
	assert_int_equal(use_of(u, "a@b", "printer").tried_at, 0);
	account_uses_close(u);
	accounts_close(a);
}

/* A damaged file is as good as what can be read of it; a time in the future is none. */
static void test_uses_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct account_uses *u;

	snprintf(f->path, sizeof(f->path), "%s/accounts.used", f->directory);
	write_file(f, "since 9000\n\na@b - 5 x\na@b\nb@b - 6 0\nc@b phone 7");
	u = account_uses_open(f->directory, 8000);
	assert_int_equal(account_uses_since(u), 8000);
	assert_int_equal(use_of(u, "a@b", "").used_at, 0);
	assert_int_equal(use_of(u, "b@b", "").used_at, 6);
	assert_int_equal(use_of(u, "c@b", "phone").used_at, 0);
	account_uses_close(u);
	assert_int_equal(remove(f->path), 0);
	assert_int_equal(symlink("/etc/passwd", f->path), 0);
	u = account_uses_open(f->directory, 8000);
	assert_int_equal(account_uses_since(u), 8000);
	account_uses_close(u);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared_salt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refresh, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unusable_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_uses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_uses_that_cannot_be_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_processes, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
