/* senders.c - is the session allowed to send this message as it says? The login is that of queue's own record of the session.
 * What the message shows as its authors is submission's report: who lies there gains at most a signature of a domain that has
 * addresses of the login.
 *
 * Submission has checked the same before, by a configuration that can be older or newer: so a no is temporary. */
#include "intake/intake_private.h"

#include "posthouse/log.h"
#include "posthouse/policy.h"
#include "posthouse/smtp_server.h"

/* Who sends, in the eyes of the configuration. */
struct session_user {
	const struct client *client;
	const struct config *config;
	const struct cfg_device *device; /* a listed host that has not logged in; NULL: no such one */
	struct sending_user as;
	bool report; /* pickup writes to the owner of a file */
};

static struct verdict refuse_sender(const struct transaction *t, const struct session_user *u, struct str address,
				    const char *where)
{
	log_warning(&t->log, "sender.refused", kv("login", u->client->login), kv("device", u->client->device_name),
		    kv("client", u->client->address), kv("sender", address), kv("where", where));
	return temp(451, S("4.7.1"), S("The queue does not know the sender as an address of the login, try again"));
}

/* A listed host is known by its address, and its device is called "@" and that address. */
static bool find_user(struct transaction *t, struct session_user *u)
{
	struct str device;

	u->client = client_find(t->intake->accounting, t->peer->channel, t->log.session);
	if (!u->client || !u->client->login)
		return false;
	device = str_of(u->client->device_name);
	u->config = role_config(t->intake->role);
	u->as.login = str_of(u->client->login);
	u->as.any = u->client->rights & RIGHT_ANY_SENDER;
	u->report = u->client->rights & RIGHT_REPORT;
	if (u->report)
		u->as.forced = local_report_sender(u->config, &t->arena);
	if (!str_starts(device, S("@")) || str_eq(device, S(LOCAL_DEVICE)))
		return true;
	u->device = device_at(u->config, str_from(device, 1)); /* login has asked the kernel for it */
	if (!u->device || !str_eq(u->device->user, u->as.login))
		return false;
	u->as.forced = u->device->sender;
	return true;
}

/* A listed host is allowed to write to few. */
static struct verdict check_recipients(const struct transaction *t, const struct session_user *u)
{
	for (size_t i = 0; u->device && i < t->m.recipients_n; i++) {
		if (patterns_match(&u->device->recipients, t->recipients[i].address))
			continue;
		log_warning(&t->log, "recipient.refused", kv("device", u->client->device_name),
			    kv("recipient", t->recipients[i].address));
		return temp(451, S("4.7.1"), S("The queue does not know that this host may send to all recipients, try again"));
	}
	return ok();
}

static struct str_list authors(struct transaction *t, const struct rec_author *at, size_t n)
{
	struct str_list list = { ARENA_ARRAY(&t->arena, struct str, n), n };

	for (size_t i = 0; i < n; i++)
		list.at[i] = at[i].address;
	return list;
}

/* Mostly the author is the envelope's sender, about whom all is known. */
static const struct str *foreign_author(const struct transaction *t, const struct session_user *u, const struct str_list *from)
{
	if (from->n == 1 && str_eq(from->at[0], t->m.envelope.sender))
		return NULL;
	return first_foreign(u->config, &u->as, from);
}

static struct verdict check_senders(struct transaction *t, const struct session_user *u, const struct str_list *from,
				    const struct str_list *resenders)
{
	struct str sender = t->m.envelope.sender;
	const struct str *foreign;

	if (u->report && (sender.n > 0 || resenders->n > 0))
		return refuse_sender(t, u, sender.n > 0 ? sender : resenders->at[0], "a report");
	if (sender.n > 0 && !sends_as(u->config, &u->as, sender))
		return refuse_sender(t, u, sender, "envelope");
	if (resenders->n == 0) {
		foreign = foreign_author(t, u, from);
		return foreign ? refuse_sender(t, u, *foreign, "From") : ok();
	}
	if (!u->as.any && !sender_may_resend(u->config, u->as.login))
		return refuse_sender(t, u, from->at[0], "From");
	foreign = first_foreign(u->config, &u->as, resenders);
	return foreign ? refuse_sender(t, u, *foreign, "Resent-From or Resent-Sender") : ok();
}

/* RFC 6710: a priority above what the login can ask for counts as that. */
static void limit_priority(struct envelope *e, const struct session_user *u)
{
	struct user_limits limits;

	if (e->priority <= PRIORITY_NORMAL)
		return;
	limits_of_login(u->config, u->as.login, &limits);
	if (e->priority > PRIORITY_NORMAL + limits.priority)
		e->priority = PRIORITY_NORMAL + limits.priority;
}

struct verdict judge_sender(struct transaction *t, const struct msg_submit *m)
{
	struct session_user u = { 0 };
	struct str_list from, resenders;
	struct verdict v;

	if (!find_user(t, &u)) {
		log_warning(&t->log, "mail.without_login");
		return temp(451, S("4.3.0"), S("the queue knows of no login in this session, try again"));
	}
	from = authors(t, m->from.at, m->from.n);
	resenders = authors(t, m->resenders.at, m->resenders.n);
	t->m.envelope.login = arena_str(&t->arena, u.as.login);
	t->m.device = arena_str(&t->arena, str_of(u.client->device_name));
	limit_priority(&t->m.envelope, &u);
	v = check_recipients(t, &u);
	if (v.class == OK)
		v = check_senders(t, &u, &from, &resenders);
	if (v.class == OK)
		v = signing_prepare(t, m, &from, resenders.n > 0 ? &resenders : NULL);
	return v;
}
