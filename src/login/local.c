/* local.c - who a user of this machine is: the kernel says his number, the system his name, local.users his login, and the
 * account file whether that is locked. master asks the system: names can come from a directory service, and no role reaches that.
 * queue counts the session as one of the login. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/local.h"
#include "posthouse/policy.h"
#include "posthouse/role.h"
#include "posthouse/units.h"
#include "proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KNOWN_MS   MINUTE_MS
#define ASKING_MAX 16 /* at once */

/* A question of submission about a client, or of pickup about a file. */
struct question {
	struct login *login;
	struct list link;
	struct channel *ch; /* NULL: nobody waits */
	uint64_t call, session, uid;
	bool is_file;   /* of pickup: the owner of a file */
	bool report;    /* the pass is for a report about a file */
	bool at_master; /* which works on it */
	struct arena arena;
	struct local_user user;
	struct vouch vouch;
};

void local_users_init(struct login *l)
{
	list_init(&l->local.questions);
}

/* The name that is known; NULL: the system has to be asked. */
static const char *known_name(const struct login *l, uint64_t uid)
{
	uint64_t now = clock_mono_ms();
	size_t i = uid % LOCAL_NAMES;

	if (l->local.names[i].uid != uid || l->local.names[i].until <= now || l->local.system_until <= now)
		return NULL;
	return l->local.names[i].name;
}

/* A name that is too long counts as none. */
static const char *remember(struct login *l, uint64_t uid, const struct msg_user_is *m)
{
	size_t i = uid % LOCAL_NAMES;
	char *name = l->local.names[i].name;

	l->local.names[i].uid = uid;
	l->local.names[i].until = l->local.system_until = clock_mono_ms() + KNOWN_MS;
	snprintf(name, sizeof l->local.names[i].name, "%.*s", m->name.n < sizeof l->local.names[i].name ? (int)m->name.n : 0,
		 m->name.p);
	arena_reset(&l->local.arena);
	l->local.system_names = arena_str(&l->local.arena, m->system_users);
	return name;
}

/* ---- answers ---- */

static void question_free(struct question *q)
{
	vouch_drop(&q->vouch);
	list_remove(&q->link);
	role_busy(q->login->role, -1);
	arena_fini(&q->arena);
	free(q);
}

static void answer_user(struct question *q, struct verdict v, const struct msg_authorized *m)
{
	struct msg_local_user_is reply = { .call = q->call,
					   .verdict = v,
					   .uid = q->uid,
					   .name = q->user.name,
					   .login = q->user.login,
					   .sender = q->user.sender,
					   .system_users = q->login->local.system_names,
					   .report = q->report };

	if (m && v.class == OK) {
		reply.reserving = m->reserving;
		reply.ticket = m->ticket;
	}
	ipc_send_local_user_is(q->ch, &reply, -1);
}

/* Reports are root's mail: it has no limits that a user could use up. */
static void answer_file(struct question *q, struct verdict v)
{
	struct msg_drop_owner_is reply = { .call = q->call, .verdict = v, .login = q->user.login, .sender = q->user.sender };

	if (v.class == OK) {
		reply.pass = pass_make(&q->login->local.passes, q->report ? 0 : q->uid, q->report);
		if (reply.pass.n == 0)
			reply.verdict = temp(421, S("4.3.0"), S("there are no random numbers"));
	}
	ipc_send_drop_owner_is(q->ch, &reply, -1);
}

static void end(struct question *q, struct verdict v, const struct msg_authorized *m)
{
	if (q->ch && q->is_file)
		answer_file(q, v);
	else if (q->ch)
		answer_user(q, v, m);
	question_free(q);
}

static void refuse(struct question *q)
{
	end(q, temp(421, S("4.3.0"), S("The users of this machine are not known now, try again later")), NULL);
}

static void on_authorized(void *ctx, const struct msg_authorized *m)
{
	if (m)
		end(ctx, m->verdict, m);
	else
		refuse(ctx);
}

/* ---- the way of a question ---- */

static struct verdict judge(const struct question *q)
{
	if (q->user.refused)
		return perm(554, S("5.7.1"), S("This user is not allowed to send (local.users)"));
	if (watch_is_over(q->login, q->user.login, S(""), 0))
		return perm(554, S("5.7.1"), S("This login is locked"));
	return ok();
}

/* The pass of a report is no right to send as root: submission, which is asked for it, can have refused the file on purpose. */
static uint64_t rights_of(const struct question *q)
{
	if (q->report)
		return RIGHT_LOCAL | RIGHT_REPORT;
	return q->uid == 0 ? RIGHT_LOCAL | RIGHT_ANY_SENDER : RIGHT_LOCAL;
}

/* The name of the user is known. */
static void decide(struct question *q, const char *name)
{
	struct login *l = q->login;
	struct verdict v;

	local_user_of(l->config, &q->arena, str_of(name), q->uid, &q->user);
	q->user.login = arena_str(&q->arena, q->user.login); /* the configuration can change */
	q->user.sender = arena_str(&q->arena, q->user.sender);
	login_refresh(l);
	v = judge(q);
	if (q->is_file || v.class != OK) {
		end(q, q->is_file ? ok() : v, NULL); /* who is refused hears so when the file is handed over */
		return;
	}
	q->vouch.m = (struct msg_authenticated){ .worker = channel_peer_index(q->ch),
						 .incarnation = channel_peer_incarnation(q->ch),
						 .session = q->session,
						 .login = q->user.login,
						 .device = S(LOCAL_DEVICE),
						 .success = 1,
						 .rights = rights_of(q) };
	q->vouch.done = on_authorized;
	q->vouch.ctx = q;
	vouch_begin(l, &q->vouch);
}

static void on_told(void *ctx, struct verdict v, const struct msg_user_is *m, int fd)
{
	struct question *q = ctx;
	const char *name = m && m->verdict.class == OK ? remember(q->login, q->uid, m) : NULL;

	q->login->local.asking_n--;
	q->at_master = false;
	if (q->ch && name)
		decide(q, name);
	else
		refuse(q);
}

static void begin(struct question *q)
{
	struct login *l = q->login;
	const char *name = known_name(l, q->uid);

	if (!vouches_have_room(l)) {
		refuse(q);
		return;
	}
	if (name) {
		decide(q, name);
		return;
	}
	if (l->local.asking_n >= ASKING_MAX) {
		refuse(q);
		return;
	}
	l->local.asking_n++;
	q->at_master = true;
	ipc_call_user_of(role_peer(l->role, ROLE_MASTER, 0), &(struct msg_user_of){ .uid = q->uid }, -1, on_told, q);
}

static struct question *question_new(struct login *l, struct channel *ch, uint64_t call)
{
	struct question *q = NEW(struct question);

	*q = (struct question){ .login = l, .ch = ch, .call = call };
	list_append(&l->local.questions, &q->link);
	role_busy(l->role, +1);
	return q;
}

/* Who is the client? For one that pickup brings its pass says so; the other end of that connection is pickup. */
void local_user_ask(struct login *l, struct channel *ch, const struct msg_local_user *m, int fd)
{
	struct question *q = question_new(l, ch, m->call);
	bool known = m->pass.n > 0 ? pass_take(&l->local.passes, m->pass, &q->uid, &q->report)
				   : proof_user(fd, l->config->local.socket, &q->uid);

	close(fd);
	q->session = m->session;
	if (known)
		begin(q);
	else
		refuse(q);
}

void drop_owner_ask(struct login *l, struct channel *ch, const struct msg_drop_owner *m, int fd)
{
	struct question *q = question_new(l, ch, m->call);
	bool known = proof_owner(fd, m->report != 0, &q->uid);

	close(fd);
	q->is_file = true;
	q->report = m->report != 0;
	if (known)
		begin(q);
	else
		end(q, perm(554, S("5.6.0"), S("this is no file that a user has dropped")), NULL);
}

void local_users_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH_OF (struct question, q, &l->local.questions, link) {
		if (ch && q->ch != ch)
			continue;
		q->ch = NULL;
		if (!q->at_master)
			question_free(q);
	}
}
