/* local_users.c - the block local: where its socket and its directory are, and checks of what its users send as. */
#include "loader.h"

#include "posthouse/local.h"
#include "posthouse/policy.h"

#include <pwd.h>

#define USERS_COMPARED 1000 /* more entries are not compared with each other */

/* Beside the control socket, where that path is not too long. */
static void place_beside_control(struct loader *l)
{
	struct config *c = l->config;
	struct str directory = str_head(c->control, str_rfind(c->control, '/'));

	c->local.socket = arena_printf(l->arena, "%.*s/%s", STR_ARG(directory), LOCAL_SOCKET_NAME);
	if (!format_socket.valid(c->local.socket) || str_eq(c->local.socket, c->control))
		c->local.socket = S("");
}

void local_place(struct loader *l)
{
	struct config *c = l->config;

	if (c->local.socket.n == 0 && c->control.n > 0)
		place_beside_control(l);
	if (c->local.drop.n == 0)
		c->local.drop = S(LOCAL_DROP);
}

static void place_socket(struct loader *l)
{
	struct config *c = l->config;
	const config_setting_t *s = setting_exact(l, "local.socket");

	if (!s && c->control.n > 0)
		place_beside_control(l);
	if (c->local.socket.n == 0)
		return;
	if (!format_socket.valid(c->local.socket))
		fault(l, s, "local.socket: expected %s once the directory is put before it", format_socket.expected);
	else if (str_eq(c->local.socket, c->control))
		fault(l, s, "local.socket: expected another path than that of the control socket");
}

static bool is_number(struct str s)
{
	uint64_t n;

	return str_to_u64(s, &n);
}

/* A name that is no user here is a mistake, or a user that is made later. */
static bool is_unknown(struct loader *l, struct str user)
{
	return user.n > 0 && !is_number(user) && !str_eq(user, S("*")) && !getpwnam(arena_cstr(l->arena, user));
}

/* root is allowed to use any sender; of "*" and of numbers without a login it is not known who they are. */
static void check_sender(struct loader *l, size_t i, struct cfg_local_user *u)
{
	const config_setting_t *s = setting_near(l, "local.users.[%zu].sender", i);
	struct local_user is;

	if (str_eq(u->user, S("root")) || str_eq(u->user, S("0")) ||
	    (u->login.n == 0 && (str_eq(u->user, S("*")) || is_number(u->user))))
		return;
	local_user_of(l->config, l->arena, u->user, UINT32_MAX, &is);
	if (!sender_allowed(l->config, is.login, u->sender))
		fault(l, s, "local.users: expected a sender that the login \"%.*s\" is allowed to use, see senders",
		      STR_ARG(is.login));
}

static void check_user(struct loader *l, size_t i)
{
	struct cfg_local_user *all = l->config->local.users, *u = &all[i];

	if (u->login.n > 0)
		u->login = login_complete(l->arena, u->login, l->config->auth.realm);
	for (size_t k = 0; k < i && i < USERS_COMPARED; k++)
		if (u->user.n > 0 && str_eq(all[k].user, u->user)) {
			fault(l, setting_near(l, "local.users.[%zu].user", i),
			      "local.users: expected one entry for the user \"%.*s\"; element %zu of the list is one already",
			      STR_ARG(u->user), k + 1);
			break;
		}
	if (u->refuse && (u->login.n > 0 || u->sender.n > 0))
		fault(l, setting_near(l, "local.users.[%zu].refuse", i),
		      "local.users: expected no login and no sender beside refuse = true");
	else if (u->sender.n > 0)
		check_sender(l, i, u);
	if (is_unknown(l, u->user))
		warning(l, setting_near(l, "local.users.[%zu].user", i), "local.users: \"%.*s\" is no user of this machine",
			STR_ARG(u->user));
}

void local_check(struct loader *l)
{
	struct config *c = l->config;

	l->local_known = true;
	place_socket(l);
	if (!setting_exact(l, "local.drop"))
		c->local.drop = S(LOCAL_DROP);
	for (size_t i = 0; i < c->local.users_n; i++)
		check_user(l, i);
}
