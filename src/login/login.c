/* login.c - the login role: checks names and passwords with Cyrus SASL for submission, and keeps the account file for the console.
 * Starts, configures, and hands each message to the file about it. */
#include "login.h"
#include "cyrus.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

/* ---- messages ---- */
static void handle_login_start(void *ctx, struct channel *ch, const struct msg_login_start *m, int fd)
{
	exchange_start(role_data(ctx), ch, m);
}

static void handle_login_step(void *ctx, struct channel *ch, const struct msg_login_step *m, int fd)
{
	exchange_step(role_data(ctx), ch, m);
}

static void handle_login_end(void *ctx, struct channel *ch, const struct msg_login_end *m, int fd)
{
	exchange_end(role_data(ctx), ch, m->session);
}

static void handle_account_change(void *ctx, struct channel *ch, const struct msg_account_change *m, int fd)
{
	change_accounts(role_data(ctx), ch, m);
}

static void handle_account_page(void *ctx, struct channel *ch, const struct msg_account_page *m, int fd)
{
	list_accounts(role_data(ctx), ch, m);
}

/* ---- what the frame asks ---- */
static struct login login;

static struct verdict start(struct role *r)
{
	const struct config *c = role_config(r);
	struct arena a = { 0 };
	struct verdict v;

	login_init(&login, role_loop(r), arena_cstr(&a, c->state_dir));
	arena_fini(&a);
	role_set_data(r, &login);
	v = cyrus_start(login.directory);
	if (v.class == OK)
		v = cyrus_can(&c->auth.mechanisms);
	if (v.class != OK)
		return v;
	login.config = c;
	login_refresh(&login); /* a file that cannot be read is logged there, and tried again at each login */
	return ok();
}

static struct verdict configure(struct role *r, const struct config *c)
{
	if (!str_eq(c->auth.backend, S("accounts")))
		return perm(0, S(""), S("auth.backend: only \"accounts\" is built so far"));
	return role_data(r) ? cyrus_can(&c->auth.mechanisms) : ok();
}

static void apply(struct role *r)
{
	login.config = role_config(r);
}

static void peer_down(struct role *r, struct channel *ch)
{
	exchanges_drop(&login, ch);
	changes_drop(&login, ch);
}

static void on_idle(struct login *l)
{
	l->on_idle = NULL;
	role_stopped(l->stopping);
}

/* What workers have begun they end: a login within milliseconds, a change of the account file with its fsync. */
static void stop(struct role *r, uint64_t grace_ms)
{
	exchanges_drop(&login, NULL);
	login.stopping = r;
	login.on_idle = on_idle;
	login_check_idle(&login);
}

static void stats(struct role *r)
{
	const struct accounts *known = directory_accounts(login.directory);

	role_stat(r, S("passwords"), known ? accounts_count(known) : 0, S("in the account file"));
	role_stat(r, S("logins_accepted"), login.accepted, S(""));
	role_stat(r, S("logins_from_cache"), login.from_cache, S("of the accepted: checked a short while ago"));
	role_stat(r, S("logins_refused"), login.refused, S("wrong name, password or dialogue"));
	role_stat(r, S("logins_failed"), login.failed, S("for a reason of ours"));
	role_stat(r, S("logins_open"), login.open_exchanges, S(""));
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = {
		.login_start = handle_login_start,
		.login_step = handle_login_step,
		.login_end = handle_login_end,
		.account_change = handle_account_change,
		.account_page = handle_account_page,
	};
	static const struct role_ops ops = {
		.id = ROLE_LOGIN,
		.start = start,
		.configure = configure,
		.apply = apply,
		.peer_down = peer_down,
		.stop = stop,
		.stats = stats,
		.handlers = &handlers,
	};

	return role_main(argc, argv, &ops);
}
