/* login.c - the login role: checks names and passwords with Cyrus SASL for submission, and keeps the account file for the
 * console. This file starts and configures the role, and passes each message to the file that handles it. */
#include "login.h"
#include "cyrus.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_MS 2000 /* for the steps of back-ends, while the role stops */

/* Each message goes to the function of its file. */
#define PASS_ON(message, function)                                                                                               \
	static void handle_##message(void *ctx, struct channel *ch, const struct msg_##message *m, int fd)                       \
	{                                                                                                                        \
		function(role_data(ctx), ch, m);                                                                                 \
	}
PASS_ON(login_start, exchange_start)
PASS_ON(login_step, exchange_step)
PASS_ON(login_end, exchange_end)
PASS_ON(login_present, watch_present)
PASS_ON(account_change, change_accounts)
PASS_ON(account_page, list_accounts)
PASS_ON(accounts_version, shared_version)

/* The same for those with a descriptor, which the function closes. */
#define PASS_ON_FD(message, function)                                                                                            \
	static void handle_##message(void *ctx, struct channel *ch, const struct msg_##message *m, int fd)                       \
	{                                                                                                                        \
		function(role_data(ctx), ch, m, fd);                                                                             \
	}
PASS_ON_FD(host_check, host_check)
PASS_ON_FD(local_user, local_user_ask)
PASS_ON_FD(drop_owner, drop_owner_ask)

/* ---- what the frame asks ---- */
static struct login login;

/* Open calls fail with TEMP, because their channel closes, and master restarts the role. */
static void on_stuck(struct login *l)
{
	log_error(NULL, "login.stuck", kv("backend", l->backend->name), kv("threads", workers_most(l->workers)));
	_exit(EX_TEMPFAIL);
}

static struct verdict start(struct role *r)
{
	const struct config *c = role_config(r);
	struct arena a = { 0 };
	struct verdict v;

	login_init(&login, role_loop(r), arena_cstr(&a, c->state_dir), &c->auth);
	arena_fini(&a);
	login.role = r;
	role_set_data(r, &login);
	v = cyrus_start(login.directory, &c->auth);
	if (v.class == OK)
		v = cyrus_can(&c->auth);
	if (v.class != OK)
		return v;
	login.config = c;
	login.on_stuck = on_stuck;
	login_refresh(&login); /* it logs a file that cannot be read; each login tries again */
	watch_look(&login);
	watch_begin(&login);
	return ok();
}

static struct verdict configure(struct role *r, const struct config *c)
{
	static struct arena a;

	arena_reset(&a);
	return role_data(r) ? cyrus_can(&c->auth) : backend_check(&a, &c->auth);
}

static void apply(struct role *r)
{
	login.config = role_config(r);
}

static void peer_up(struct role *r, struct channel *ch)
{
	if (channel_peer(ch) != ROLE_QUEUE || !role_data(r))
		return; /* before the start, which asks queue itself */
	watch_queue_up(&login);
	vouches_queue_up(&login);
}

static void peer_down(struct role *r, struct channel *ch)
{
	exchanges_drop(&login, ch);
	local_users_drop(&login, ch);
	hosts_drop(&login, ch);
	changes_drop(&login, ch);
}

static void on_patience_ended(uv_timer_t *timer)
{
	role_stopped(timer->data);
}

/* Workers complete the steps that they have begun: a login takes milliseconds, a change of the account file includes an fsync.
 * The role waits PATIENCE_MS at most, because a back-end can hang. */
static void stop(struct role *r, uint64_t grace_ms)
{
	static uv_timer_t patience;

	exchanges_drop(&login, NULL);
	local_users_drop(&login, NULL);
	hosts_drop(&login, NULL);
	if (backend_is_ours(login.backend))
		login_keep_uses(&login, true);
	uv_timer_init(role_loop(r), &patience);
	patience.data = r;
	uv_timer_start(&patience, on_patience_ended, grace_ms < PATIENCE_MS ? grace_ms : PATIENCE_MS, 0);
}

static void stats(struct role *r)
{
	const struct accounts *known = directory_accounts(login.directory);

	role_stat_of(r, METRIC_LOGIN_PASSWORDS, S(""), known ? accounts_count(known) : 0, S("in the account file"));
	role_stat(r, METRIC_LOGIN_ACCEPTED, login.accepted);
	role_stat_of(r, METRIC_LOGIN_FROM_CACHE, S(""), login.from_cache, S("of the accepted: checked a short while ago"));
	role_stat_of(r, METRIC_LOGIN_REFUSED, S(""), login.refused, S("wrong name, password or dialogue"));
	role_stat_of(r, METRIC_LOGIN_FAILED, S(""), login.failed, S("by a fault on this side"));
	role_stat(r, METRIC_LOGIN_OPEN, login.open_exchanges);
	role_stat_of(r, METRIC_LOGIN_STUCK, S(""), workers_stuck(login.workers, login.config->auth.timeout_ms),
		     S("their back-end has not answered within auth.timeout"));
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = {
		.login_start = handle_login_start,
		.login_step = handle_login_step,
		.login_end = handle_login_end,
		.login_present = handle_login_present,
		.host_check = handle_host_check,
		.local_user = handle_local_user,
		.drop_owner = handle_drop_owner,
		.account_change = handle_account_change,
		.account_page = handle_account_page,
		.accounts_version = handle_accounts_version,
	};
	static const struct role_ops ops = {
		.id = ROLE_LOGIN,
		.start = start,
		.configure = configure,
		.apply = apply,
		.peer_up = peer_up,
		.peer_down = peer_down,
		.stop = stop,
		.stats = stats,
		.handlers = &handlers,
	};

	return role_main(argc, argv, &ops);
}
