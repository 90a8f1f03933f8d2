/* test_shared.c - accounts that several nodes share, as login sees them: queue is played, the account file is real. */
#include "remove_tree.h"
#include "unit.h"

#include "login.h"
#include "posthouse/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERIFIER                                                                                                                 \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define ALICE "alice@x - " VERIFIER " 1\n"
#define BOB   "bob@x - " VERIFIER " 2\n"

struct fixture {
	uv_loop_t loop;
	char directory[64], file[100];
	struct login login;
	struct config config;
	struct change change;
	unsigned made, looks;

	/* The call that is open. */
	enum msg_type type; /* 0: none */
	void (*on_reply)(void);
	void *ctx;
	uint64_t base;
	char lines[2000];
};

static struct fixture *f; /* of the test that runs */

/* ---- the role around ---- */

struct channel *role_peer(struct role *r, enum role_id id, unsigned index)
{
	return NULL;
}

uint64_t ipc_call(struct channel *ch, enum msg_type type, const void *message, int fd, void (*on_reply)(void), void *ctx)
{
	assert_int_equal(f->type, 0); /* one after the other */
	f->type = type;
	f->on_reply = on_reply;
	f->ctx = ctx;
	memset(f->lines, 0, sizeof f->lines);
	if (type == MSG_accounts_commit) {
		f->base = ((const struct msg_accounts_commit *)message)->version;
		assert_true(pread(fd, f->lines, sizeof f->lines - 1, 0) >= 0);
	}
	return 1;
}

struct verdict login_refresh(struct login *l)
{
	return directory_refresh(l->directory);
}

void watch_look(struct login *l)
{
	f->looks++;
}

static void change_made(struct change *c)
{
	f->made++;
}

/* ---- what a test says ---- */

static int setup(void **state)
{
	*state = f = NEW(struct fixture);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	(void)snprintf(f->directory, sizeof f->directory, "/tmp/posthouse-shared-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->file, sizeof f->file, "%s/login", f->directory);
	assert_int_equal(mkdir(f->file, 0700), 0);
	(void)snprintf(f->file, sizeof f->file, "%s/login/accounts", f->directory);
	f->config.store.engine = ENGINE_POSTGRESQL;
	f->login.config = &f->config;
	f->login.loop = &f->loop;
	f->login.directory = directory_new(f->directory);
	shared_init(&f->login);
	f->change.login = &f->login;
	f->change.wanted = (struct msg_account_change){ .operation = ACCOUNT_REMOVE, .name = S("bob@x") };
	return 0;
}

static int teardown(void **state)
{
	f->type = 0;
	shared_close(&f->login);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	directory_free(f->login.directory);
	arena_fini(&f->change.arena);
	(void)remove_tree(f->directory);
	free(f);
	return 0;
}

static void write_file(const char *text)
{
	FILE *file = fopen(f->file, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The lines of the file but for the comments. */
static void assert_file(const char *expected)
{
	FILE *file = fopen(f->file, "r");
	char line[500], all[2000] = "";

	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (line[0] != '#')
			strcat(all, line);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(all, expected);
}

static void tell(uint64_t version)
{
	shared_version(&f->login, NULL, &(struct msg_accounts_version){ .version = version });
}

/* Until login asks queue again, or has nothing to do. */
static void run(void)
{
	while (f->type == 0 && f->login.shared.step.kind != STEP_NONE)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* login has asked for the lines: they are these, with this version; or "": the table was never filled; NULL: the database is away. */
static void give(uint64_t version, const char *lines)
{
	struct msg_accounts_lines m = { .verdict = lines ? ok() : temp(451, S("4.3.0"), S("away")), .version = version };
	int fd = version > 0 && lines ? memfd_create("test", MFD_CLOEXEC) : -1;

	assert_int_equal(f->type, MSG_accounts_read);
	f->type = 0;
	if (fd >= 0)
		assert_int_equal(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
	((ipc_on_accounts_read)f->on_reply)(f->ctx, ok(), &m, fd);
	run();
}

/* login wants a change from this version: queue answers. */
static void answer(uint64_t base, struct verdict v, uint64_t version)
{
	assert_int_equal(f->type, MSG_accounts_commit);
	assert_int_equal(f->base, base);
	f->type = 0;
	((ipc_on_accounts_commit)f->on_reply)(f->ctx, ok(), &(struct msg_accounts_committed){ .verdict = v, .version = version },
					      -1);
	run();
}

static struct verdict behind(void)
{
	return temp(451, S("4.3.2"), S("another node"));
}

static void begin_with(uint64_t version, const char *lines)
{
	tell(version);
	give(version, lines);
	assert_int_equal(f->type, 0);
	assert_int_equal(f->login.shared.version, version);
}

static void order(void)
{
	f->made = 0;
	f->change.made = change_made;
	shared_change(&f->change);
	run();
}

/* ---- tests ---- */

static void the_file_follows(void **state)
{
	begin_with(3, ALICE BOB);
	assert_file(ALICE BOB);
	assert_int_equal(f->looks, 1);
	tell(3); /* is no news */
	assert_int_equal(f->type, 0);
	begin_with(4, BOB);
	assert_file(BOB);
	begin_with(5, "");
	assert_file("");
}

static void a_change_is_made_in_the_table_first(void **state)
{
	begin_with(3, ALICE BOB);
	order();
	assert_string_equal(f->lines, "bob@x -\n");
	assert_file(ALICE BOB);
	answer(3, ok(), 4);
	assert_int_equal(f->made, 1);
	assert_int_equal(f->change.verdict.class, OK);
	assert_file(ALICE);
	tell(4); /* is known */
	assert_int_equal(f->type, 0);
}

static void another_node_was_quicker(void **state)
{
	begin_with(3, ALICE BOB);
	order();
	answer(3, behind(), 7);
	assert_int_equal(f->made, 0);
	give(7, BOB);
	assert_file(BOB);
	assert_string_equal(f->lines, "bob@x -\n"); /* worked out again */
	answer(7, ok(), 8);
	assert_int_equal(f->made, 1);
	assert_file("");

	/* what it has left makes no sense of the change */
	begin_with(9, ALICE BOB);
	order();
	answer(9, behind(), 10);
	give(10, ALICE);
	assert_int_equal(f->made, 1);
	assert_int_equal(f->change.verdict.class, PERM);
	assert_int_equal(f->type, 0);
}

static void the_answer_was_lost(void **state)
{
	/* queue says that the change is in the table, and a later one too */
	begin_with(3, ALICE BOB);
	order();
	answer(3, ok(), 6);
	assert_int_equal(f->made, 0);
	give(6, ALICE "carol@x - " VERIFIER " 1\n");
	assert_int_equal(f->made, 1);
	assert_int_equal(f->change.verdict.class, OK);
	assert_file(ALICE "carol@x - " VERIFIER " 1\n");
}

static void the_database_is_away(void **state)
{
	begin_with(3, ALICE BOB);
	order();
	answer(3, temp(451, S("4.3.0"), S("away")), 0);
	assert_int_equal(f->made, 1);
	assert_true(f->change.verdict.class == TEMP && str_eq(f->change.verdict.text, S("away")));
	assert_file(ALICE BOB);
	/* it is not known what the table has: the next change begins with that */
	order();
	give(0, NULL);
	assert_int_equal(f->made, 1);
	assert_int_equal(f->change.verdict.class, TEMP);
	assert_file(ALICE BOB);
	assert_true(uv_is_active((uv_handle_t *)&f->login.shared.retry));
}

static void an_empty_table_is_filled(void **state)
{
	write_file(BOB ALICE);
	tell(0);
	give(0, "");
	assert_string_equal(f->lines, ALICE BOB);
	answer(0, ok(), 1);
	assert_file(ALICE BOB);
	assert_int_equal(f->login.shared.version, 1);
	give(1, "# login_key=0123456789abcdef0123456789abcdef\n" ALICE BOB);
	assert_file(ALICE BOB);
	assert_int_equal(f->made, 0);
}

static void another_node_has_filled_it(void **state)
{
	char kept[130];

	write_file(BOB);
	tell(0);
	give(0, "");
	answer(0, behind(), 1);
	give(1, ALICE);
	assert_file(ALICE);
	(void)snprintf(kept, sizeof kept, "%s.before-cluster", f->file);
	assert_int_equal(access(kept, F_OK), 0);
}

/* What a client hears of a name that does not exist is the same on all nodes, and after a restart. */
static void the_nodes_have_one_key(void **state)
{
	struct arena a = { 0 };
	struct str before = directory_decoy(f->login.directory, &a, S("nobody@x")), after;

	begin_with(3, "# login_key=0123456789abcdef0123456789abcdef\n" ALICE);
	assert_file(ALICE);
	after = directory_decoy(f->login.directory, &a, S("nobody@x"));
	assert_false(str_eq(before, after));
	begin_with(4, "# login_key=0123\n" ALICE BOB); /* is none */
	assert_true(str_eq(after, directory_decoy(f->login.directory, &a, S("nobody@x"))));
	directory_free(f->login.directory);
	f->login.directory = directory_new(f->directory);
	assert_true(str_eq(after, directory_decoy(f->login.directory, &a, S("nobody@x"))));
	arena_fini(&a);
}

/* Without accounts there is nothing to fill it with; the first one is a change, which brings all that the file has. */
static void the_first_account(void **state)
{
	tell(0);
	give(0, "");
	assert_int_equal(f->type, 0);
	assert_int_equal(f->login.shared.version, 0);
	f->change.wanted = (struct msg_account_change){ .operation = ACCOUNT_ADD, .name = S("alice@x"), .verifier = S(VERIFIER) };
	write_file(BOB); /* by an editor, just now */
	order();
	assert_non_null(strstr(f->lines, "alice@x - " VERIFIER));
	assert_non_null(strstr(f->lines, BOB));
	answer(0, ok(), 1);
	assert_int_equal(f->change.verdict.class, OK);
	give(1, "# login_key=0123456789abcdef0123456789abcdef\n" BOB);
}

static void a_malformed_table_is_refused(void **state)
{
	begin_with(3, ALICE BOB);
	tell(4);
	give(4, ALICE "bob@x - nonsense 1\n");
	assert_file(ALICE BOB);
	assert_int_equal(f->login.shared.version, VERSION_UNKNOWN);
	assert_true(f->login.shared.told);
	begin_with(5, ALICE);
	assert_file(ALICE);
	assert_false(f->login.shared.told);
}

static void a_file_of_one_node_follows_nothing(void **state)
{
	f->config.store.engine = ENGINE_SQLITE;
	write_file(BOB);
	tell(3);
	assert_int_equal(f->type, 0);
	assert_file(BOB);
}

static void what_cannot_be_done_is_not_asked_for(void **state)
{
	begin_with(3, ALICE);
	order();
	assert_int_equal(f->made, 1);
	assert_int_equal(f->change.verdict.class, PERM);
	assert_int_equal(f->type, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(the_file_follows),
		CASE(a_change_is_made_in_the_table_first),
		CASE(another_node_was_quicker),
		CASE(the_answer_was_lost),
		CASE(the_database_is_away),
		CASE(an_empty_table_is_filled),
		CASE(another_node_has_filled_it),
		CASE(the_nodes_have_one_key),
		CASE(the_first_account),
		CASE(a_malformed_table_is_refused),
		CASE(what_cannot_be_done_is_not_asked_for),
		CASE(a_file_of_one_node_follows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
