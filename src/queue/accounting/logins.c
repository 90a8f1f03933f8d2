/* logins.c - the verdict on a login that the back-end has checked: bans, counting, and what the client hears.
 *
 * The protection against guessed passwords must not shut out those who know them. So the same wrong password counts once;
 * a network from which people log in is slowed, never banned: attempts there take turns, right and wrong alike, except those of
 * logins that have used the network before; and the owner of a banned login gets in from a network that has waited for an hour.
 * Where a right password is not let in, neither the answer, nor its time, nor what is counted shows that it was right. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define LOGIN_BYTES 1024
#define SLOW_MS     5000 /* the answer to a wrong password, from a slowed network */
#define SLOT_MS     5000 /* from one attempt to the next, of a login that is guessed from its own network */

static struct verdict login_banned(struct arena *a, uint64_t ms)
{
	return temp(454, S("4.7.0"),
		    arena_printf(a, "this login is locked for %.*s after too many wrong passwords", STR_ARG(format_wait(a, ms))));
}

/* Is the client a host that the configuration lists, or a user of this machine? Then there was no password to guess. */
static bool is_known(const struct msg_authenticated *m)
{
	return (m->rights & (RIGHT_LISTED | RIGHT_LOCAL)) != 0;
}

/* Passwords are perhaps guessed from this network: right and wrong ones wait for their turn, but no ban holds. A login that has
 * used the network before has turns of its own; all others ("") share theirs. */
static struct verdict judge_turn(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network,
				 uint64_t now, uint64_t *delay_ms_out)
{
	*delay_ms_out = turn_wait_ms(acc, a, login, device, network, SLOT_MS, now);
	if (*delay_ms_out != TURN_NEVER)
		return ok();
	*delay_ms_out = 0;
	return temp(454, S("4.7.0"),
		    login.n > 0 ? S("too many wrong passwords for this login from your network, try again in a minute")
				: S("too many wrong passwords from your network, try again in a minute"));
}

/* The login is new in the network. Even when guessers there take all turns, it waits for an hour at most. */
static struct verdict judge_newcomer(struct accounting *acc, struct arena *a, const struct msg_authenticated *m,
				     struct str network, uint64_t now, uint64_t *delay_ms_out)
{
	struct verdict v = judge_turn(acc, a, S(""), S(""), network, now, delay_ms_out);

	return v.class == OK || lockout_ms(acc, a, m->login, m->device, network, now) > 0 ? v : ok();
}

/* Is the login, or the network, banned? The answer is the same whether the password was right or wrong. Both count against the
 * network; but perhaps the owner of the login is the one who tries, so such a ban of the network ends when the owner is let
 * in. */
static struct verdict judge_ban(struct client *c, struct arena *a, const struct msg_authenticated *m, uint64_t now,
				struct msg_authorized *answer)
{
	struct accounting *acc = c->accounting;
	struct str network = str_of(c->place->name);
	uint64_t ms = network_banned_ms(acc, a, network, now), locked_ms;

	if (ms > 0)
		return network_banned(a, ms);
	if (m->login.n == 0)
		return ok();
	if (seen_network_known(acc, a, m->login, network, now))
		return judge_turn(acc, a, m->login, m->device, network, now, &answer->delay_ms);
	ms = login_banned_ms(acc, a, m->login, m->device, now);
	if (ms == 0)
		return judge_newcomer(acc, a, m, network, now, &answer->delay_ms);
	locked_ms = lockout_ms(acc, a, m->login, m->device, network, now);
	if (locked_ms == 0)
		return ok();
	answer->counted = COUNTED_IN_BAN;
	if (!(m->repeated & COUNTED_IN_BAN) && network_failed(acc, a, network, str_of(c->address), locked_ms, now))
		return network_banned(a, network_banned_ms(acc, a, network, now));
	return login_banned(a, ms);
}

/* Count the failure of a login that is new in the network. True: the login is banned for it. */
static bool newcomer_failed(struct client *c, struct arena *a, const struct msg_authenticated *m, uint64_t now)
{
	struct accounting *acc = c->accounting;
	struct str network = str_of(c->place->name);

	if (home_network_known(acc, network, now))
		turn_failed(acc, a, S(""), S(""), network, now);
	return login_failed(acc, a, m->login, m->device, str_of(c->address), now);
}

/* The password was wrong: count that. */
static struct verdict judge_failure(struct client *c, struct arena *a, const struct msg_authenticated *m, uint64_t now)
{
	struct verdict wrong = perm(535, S("5.7.8"), S("Authentication failed"));
	struct str network = str_of(c->place->name), client = str_of(c->address);
	struct accounting *acc = c->accounting;
	bool login_is_banned = false;

	if (m->repeated & COUNTED_AS_JUDGED)
		return wrong;
	if (m->login.n > 0 && seen_network_known(acc, a, m->login, network, now))
		turn_failed(acc, a, m->login, m->device, network, now);
	else if (m->login.n > 0)
		login_is_banned = newcomer_failed(c, a, m, now);
	if (network_failed(acc, a, network, client, UINT64_MAX, now))
		return network_banned(a, network_banned_ms(acc, a, network, now));
	if (login_is_banned)
		return login_banned(a, login_banned_ms(acc, a, m->login, m->device, now));
	return wrong;
}

/* The password was right. */
static struct verdict judge_success(struct client *c, struct arena *a, const struct msg_authenticated *m, uint64_t now)
{
	struct accounting *acc = c->accounting;
	const struct account *account = account_of(acc, m->login);
	size_t others = account->connections - (c->account == account);

	if (account->connections_max > 0 && others >= account->connections_max) {
		admission_refused(acc, &acc->admission.crowded, str_of(c->address));
		return temp(421, S("4.7.0"),
			    arena_printf(a, "too many connections of this login at once, at most %llu",
					 (unsigned long long)account->connections_max));
	}
	client_log_out(c);
	client_log_in(c, m->login, m->device, m->rights, m->stamp);
	revocation_forget(acc, m->login, m->device, m->stamp);
	if (!is_known(m))
		breaker_logged_in(c->account, str_of(c->place->name), now);
	return ok();
}

static void judge(struct client *c, struct arena *a, const struct msg_authenticated *m, struct msg_authorized *answer)
{
	uint64_t now = clock_now_ms();

	answer->verdict = is_known(m) ? ok() : judge_ban(c, a, m, now, answer);
	if (answer->verdict.class != OK)
		return;
	answer->counted = COUNTED_AS_JUDGED;
	answer->verdict = m->success ? judge_success(c, a, m, now) : judge_failure(c, a, m, now);
	if (!m->success && answer->delay_ms < SLOW_MS && network_is_slowed(c->accounting, a, str_of(c->place->name), now))
		answer->delay_ms = SLOW_MS;
}

static struct str ticket_of(const struct client *c, char room[TICKET_SIZE])
{
	const struct channel *ch = c->peer->channel;
	struct ticket t = { .worker = channel_peer_index(ch),
			    .incarnation = channel_peer_incarnation(ch),
			    .session = c->session,
			    .login = str_of(c->login),
			    .device = str_of(c->device_name),
			    .rights = c->rights,
			    .stamp = c->stamp };

	return ticket_make(role_config(c->accounting->role)->ticket_secret, &t, room);
}

void accounting_authenticated(struct accounting *acc, struct channel *ch, const struct msg_authenticated *m)
{
	struct client *client = client_of(acc, m->worker, m->incarnation, m->session);
	struct msg_authorized answer = { .call = m->call, .unknown = client == NULL };
	char ticket[TICKET_SIZE];
	struct arena a = { 0 };

	if (!client || !accounting_is_ready(acc) || !accounts_have_room(acc) || m->login.n > LOGIN_BYTES)
		answer.verdict = temp(454, S("4.7.0"), S("Temporary authentication failure, try again"));
	else
		judge(client, &a, m, &answer);
	if (answer.verdict.class == OK) {
		answer.reserving = reserving(client);
		answer.ticket = ticket_of(client, ticket);
	}
	ipc_send_authorized(ch, &answer, -1);
	arena_fini(&a);
}
