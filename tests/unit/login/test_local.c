/* test_local.c - what login tells queue of a user of this machine: who comes with a pass for a report is not root. The channels and
 * queue are played. */
#include "unit.h"

#include "login.h"
#include "posthouse/local.h"
#include "posthouse/role.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KNOWN(id, as)                                                                                                            \
	login.local.names[(id) % LOCAL_NAMES].uid = (id), login.local.names[(id) % LOCAL_NAMES].until = UINT64_MAX,              \
				 strcpy(login.local.names[(id) % LOCAL_NAMES].name, as)

static struct login login;
static struct config config;
static struct channel *peer = (struct channel *)&login; /* nobody looks into it */
static struct arena arena;
static int busy;

/* What was said last. */
static uint64_t rights;
static struct str pass;
static struct msg_local_user_is user;

void role_busy(struct role *r, int change)
{
	busy += change;
}

struct channel *role_peer(struct role *r, enum role_id id, unsigned index)
{
	return NULL;
}

unsigned channel_peer_index(const struct channel *ch)
{
	return 3;
}

uint64_t channel_peer_incarnation(const struct channel *ch)
{
	return 1;
}

bool ipc_send(struct channel *ch, enum msg_type type, uint64_t call, const void *message, int fd)
{
	if (type == MSG_drop_owner_is)
		pass = arena_str(&arena, ((const struct msg_drop_owner_is *)message)->pass);
	else
		user = *(const struct msg_local_user_is *)message;
	return true;
}

uint64_t ipc_call(struct channel *ch, enum msg_type type, const void *message, int fd, void (*on_reply)(void), void *ctx)
{
	fail(); /* the names are known */
	return 0;
}

struct verdict login_refresh(struct login *l)
{
	return ok();
}

bool watch_is_over(const struct login *l, struct str name, struct str device, uint64_t stamp)
{
	return false;
}

bool vouches_have_room(const struct login *l)
{
	return true;
}

void vouch_begin(struct login *l, struct vouch *v)
{
	rights = v->m.rights;
	v->done(v->ctx, &(struct msg_authorized){ .verdict = ok() });
}

void vouch_drop(struct vouch *v)
{
}

static int set_up(void **state)
{
	config.auth.realm = S("example.org");
	login.config = &config;
	local_users_init(&login);
	login.local.system_until = UINT64_MAX;
	KNOWN(getuid(), "owner");
	KNOWN(7, "daemon");
	KNOWN(0, "root");
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return busy;
}

static void come_with(struct str shown)
{
	user = (struct msg_local_user_is){ 0 };
	local_user_ask(&login, peer, &(struct msg_local_user){ .session = 1, .pass = shown }, open("/dev/null", O_RDONLY));
}

static void test_rights(void **state)
{
	come_with(arena_str(&arena, pass_make(&login.local.passes, 7, false)));
	assert_true(rights == RIGHT_LOCAL && user.uid == 7 && !user.report);
	come_with(arena_str(&arena, pass_make(&login.local.passes, 0, false)));
	assert_true(rights == (RIGHT_LOCAL | RIGHT_ANY_SENDER) && user.uid == 0 && !user.report);
}

static void test_a_report(void **state)
{
	char name[] = "/tmp/posthouse-local-XXXXXX";

	drop_owner_ask(&login, peer, &(struct msg_drop_owner){ .report = 1 }, mkstemp(name));
	unlink(name);
	assert_int_equal(pass.n, PASS_SIZE);
	come_with(pass);
	assert_true(user.verdict.class == OK && user.uid == 0 && user.report);
	assert_true(rights == (RIGHT_LOCAL | RIGHT_REPORT));
	come_with(pass); /* once */
	assert_int_equal(user.verdict.code, 421);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_rights), cmocka_unit_test(test_a_report) };

	return cmocka_run_group_tests_name("local", tests, set_up, tear_down);
}
