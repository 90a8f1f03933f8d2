/* test_children.c - how master starts, wires, restarts and stops the roles. Their processes do nothing; their ends of the channels are the
 * test's. */
#include "children_world.h"

#include "posthouse/clock.h"

#include <signal.h>

/* ---- tests ---- */
static void test_roles_start_in_their_order(void **state)
{
	unsigned place = 0;

	for (size_t i = 0; i < world.n; i++)
		if (world.told[i].what == SPAWNED) {
			assert_true(role_facts[world.told[i].role].start >= place);
			place = role_facts[world.told[i].role].start;
		}
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		assert_int_equal(count(SPAWNED, (enum role_id)r), !(B_ROLES & 1u << r) ? 0 : r == ROLE_SUBMISSION ? WORKERS : 1);
}

/* Each two of which one calls the other, once; no others. */
static void test_who_is_wired_to_whom(void **state)
{
	const struct master *m = &world.master;

	for (size_t a = 0; a < m->children_n; a++)
		for (size_t b = 0; b < m->children_n; b++) {
			const struct child *one = &m->children[a], *other = &m->children[b];
			size_t n = 0;

			for (size_t i = 0; i < world.n; i++)
				n += world.told[i].what == CONNECT && world.told[i].role == one->role &&
				     world.told[i].index == one->index && world.told[i].peer == other->role &&
				     world.told[i].peer_index == other->index;
			assert_int_equal(n, a != b && roles_are_peers(one->role, other->role));
		}
}

/* The first client must meet a complete relay. */
static void test_sockets_come_last(void **state)
{
	bool seen = false;

	assert_int_equal(count(LISTENER, ROLE_CONSOLE), 1);
	assert_int_equal(count(LISTENER, ROLE_WEB), 1);
	for (size_t i = 0; i < world.n; i++) {
		seen |= world.told[i].what == LISTENER;
		assert_false(seen && world.told[i].role == ROLE_CONSOLE && world.told[i].what == CONNECT);
	}
}

/* A role that comes back is wired to its peers; the others keep what they have. */
static void test_a_restart(void **state)
{
	size_t before = world.n, wired = 0;

	end_process(find(ROLE_VAULT));
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_VAULT), 2);
	for (size_t i = before; i < world.n; i++) {
		assert_true(world.told[i].role == ROLE_VAULT || world.told[i].peer == ROLE_VAULT);
		wired += world.told[i].what == CONNECT && world.told[i].role != ROLE_VAULT;
	}
	assert_int_equal(wired, 5); /* queue, relay, console, fetch, web */
}

static void test_queue_and_relay_live_and_die_together(void **state)
{
	end_process(find(ROLE_QUEUE));
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_QUEUE), 2);
	assert_int_equal(count(SPAWNED, ROLE_RELAY), 2);
	end_process(find(ROLE_RELAY)); /* queue lives on without it */
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_QUEUE), 2);
	assert_int_equal(count(SPAWNED, ROLE_RELAY), 3);
}

/* The pause before a start doubles with each one that fails, up to 30 s; a long life begins it again. */
static void test_the_pause_before_a_start(void **state)
{
	struct child *c = find(ROLE_VAULT);
	uv_timer_cb begin = NULL;
	uint64_t pause = 100;

	end_process(c);
	begin = c->back_off.timer_cb;
	uv_timer_stop(&c->back_off);
	world.no_program = true;
	c->failures = 0;
	for (int i = 0; i < 14; i++) {
		begin(&c->back_off);
		assert_int_equal(uv_timer_get_due_in(&c->back_off), pause);
		uv_timer_stop(&c->back_off);
		uv_run(world.master.loop, UV_RUN_NOWAIT); /* the process that did not start is closed */
		pause = pause * 2 > 30000 ? 30000 : pause * 2;
	}
	world.no_program = false;
	begin(&c->back_off);
	run_until(are_ready);
	assert_int_equal(c->failures, 14);
	c->started_mono = clock_mono_ms() - 61000;
	end_process(c);
	assert_int_equal(c->failures, 1);
}

/* Since a reload its walls are too narrow: that is no death, and the next configuration does not wait for it. */
static void test_a_role_that_has_outgrown_its_walls(void **state)
{
	struct child *relay = find(ROLE_RELAY);

	for (unsigned i = 1; i <= 8; i++) {
		child_renew(relay, S("another port"));
		child_renew(relay, S("it says so again"));
		uv_run(world.master.loop, UV_RUN_NOWAIT);
		assert_int_equal(count(STOP, ROLE_RELAY), i);
		assert_true(relay->renewed);
		children_follow_config(&world.master); /* as a reload does that goes past it */
		end_process(relay);
		children_follow_config(&world.master);
		assert_true(relay->renewed);
		assert_true(uv_timer_get_due_in(&relay->back_off) <= 100);
		run_until(are_ready);
		assert_false(relay->renewed);
	}
	assert_int_equal(world.master.deaths[ROLE_RELAY], 0);
	assert_int_equal(count(SPAWNED, ROLE_RELAY), 9);
}

/* It says `ready` with the configuration of before. */
static void test_a_reload_that_went_past_a_role(void **state)
{
	struct child *vault = find(ROLE_VAULT);

	child_renew(vault, S("a key has moved"));
	end_process(vault);
	RUN_UNTIL(world.master.loop, vault->state == CHILD_APPLYING);
	world.master.generation = ++world.master.offers;
	RUN_UNTIL(world.master.loop, count(STOP, ROLE_VAULT) == 2);
	assert_true(vault->renewed);
	end_process(vault);
	run_until(are_ready);
	assert_int_equal(vault->generation, world.master.generation);
	assert_int_equal(world.master.deaths[ROLE_VAULT], 0);
}

/* Who takes mail, then who sends it, then who keeps it: each rank waits for the one before. */
static void test_the_order_of_stopping(void **state)
{
	struct master *m = &world.master;

	master_stop(m, 75);
	for (unsigned rank = 0; rank < 3; rank++) {
		for (int i = 0; i < 10; i++)
			uv_run(m->loop, UV_RUN_NOWAIT);
		for (size_t i = 0; i < m->children_n; i++) {
			const struct child *c = &m->children[i];
			size_t told = c->role == ROLE_SUBMISSION ? WORKERS : 1;

			assert_int_equal(count(STOP, c->role), role_facts[c->role].stop <= rank ? told : 0);
		}
		for (size_t i = 0; i < m->children_n; i++)
			if (role_facts[m->children[i].role].stop == rank)
				end_process(&m->children[i]);
	}
	assert_true(have_ended(m));
	assert_int_equal(m->exit_code, 75);
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		assert_true(count(SPAWNED, (enum role_id)r) <= (r == ROLE_SUBMISSION ? WORKERS : 1)); /* none comes back */
}

/* A role's word must not end other roles: who names a peer that it cannot have is ended itself. */
static void test_a_role_that_names_a_peer_that_it_cannot_have(void **state)
{
	struct child *vault = find(ROLE_VAULT);

	child_lost_peer(vault, &(struct msg_peer_lost){ .role = ROLE_LOGIN, .incarnation = find(ROLE_LOGIN)->incarnation });
	assert_int_equal(vault->state, CHILD_STOPPING);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_VAULT), 2);
	assert_int_equal(count(SPAWNED, ROLE_LOGIN), 1);
}

static bool has_lost_one(const struct master *m)
{
	return world.n > 0 && m->deaths[ROLE_SUBMISSION] + m->deaths[ROLE_QUEUE] > 0;
}

static void on_report(uv_timer_t *t)
{
	struct child *reporter = t->data, *other = find(reporter->role == ROLE_QUEUE ? ROLE_SUBMISSION : ROLE_QUEUE);

	if (reporter->state == CHILD_READY && other->state == CHILD_READY)
		child_lost_peer(reporter, &(struct msg_peer_lost){ .role = other->role, .incarnation = other->incarnation });
}

/* Either of the two says again and again that their channel has closed: submission, which meets strangers, is ended. */
static void test_channels_that_close_again_and_again(void **state)
{
	static const enum role_id reporters[] = { ROLE_SUBMISSION, ROLE_QUEUE };
	uv_timer_t reports;

	uv_timer_init(world.master.loop, &reports);
	for (uint64_t i = 0; i < 2; i++) {
		world.master.deaths[ROLE_SUBMISSION] = 0;
		reports.data = find(reporters[i]);
		uv_timer_start(&reports, on_report, 0, 10);
		run_until(has_lost_one);
		uv_timer_stop(&reports);
		assert_int_equal(world.master.deaths[ROLE_QUEUE], 0);
		assert_int_equal(world.master.deaths[ROLE_SUBMISSION], 1);
		run_until(are_ready);
	}
	uv_close((uv_handle_t *)&reports, NULL);
	uv_run(world.master.loop, UV_RUN_NOWAIT);
}

/* Reloads that begin to need fetch, and that need it no more. */
static void test_a_role_that_is_started_when_needed(void **state)
{
	struct master *m = &world.master;
	struct child *fetch = find(ROLE_FETCH);

	assert_int_equal(count(SPAWNED, ROLE_FETCH), 0);
	assert_int_equal(count(CONNECT, ROLE_FETCH), 0);
	world.upstream.oauth.grant = GRANT_COMMAND; /* no request is made for it */
	m->config->upstreams_n = 1;
	children_follow_config(m);
	assert_false(fetch->process_open);
	world.upstream.oauth.grant = GRANT_REFRESH_TOKEN;
	children_follow_config(m);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 1);
	assert_int_equal(count(CONNECT, ROLE_FETCH), 3); /* vault, console, web */
	children_follow_config(m);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 1);
	end_process(fetch); /* as every role it comes back */
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 2);
	m->config->upstreams_n = 0;
	children_follow_config(m);
	for (int i = 0; i < 10; i++)
		uv_run(m->loop, UV_RUN_NOWAIT);
	assert_int_equal(count(STOP, ROLE_FETCH), 1);
	end_process(fetch);
	assert_int_equal(fetch->failures, 0);
	m->config->upstreams_n = 1;
	children_follow_config(m);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 3);
	assert_int_equal(world.master.exit_code, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roles_start_in_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_wired_to_whom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sockets_come_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_and_relay_live_and_die_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_pause_before_a_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_role_that_has_outgrown_its_walls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reload_that_went_past_a_role, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_order_of_stopping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_channels_that_close_again_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_role_that_names_a_peer_that_it_cannot_have, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_role_that_is_started_when_needed, setup_without_need, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
