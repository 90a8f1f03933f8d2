/* mail.c - MAIL to the end of the text, as a session sees it: which addresses are allowed, what the limits allow, and when
 * the transaction gets the text. */
#include "session.h"
#include "transaction.h"

#include "posthouse/address.h"
#include "posthouse/policy.h"

#define ORIGINAL_MAX 160 /* bytes of an address that becomes an ORCPT, which has at most 500 octets (RFC 3461 4.2) */

static void on_reserved(void *ctx, struct verdict v, const struct msg_reserved *m, int fd);

/* Ask queue whether the limits allow the message, or its last recipient. False: there is nothing to ask, or queue is away.
 * Mail then goes on, since queue checks the limits again at `submit`. */
static bool ask_reservation(struct session *s, unsigned what, uint64_t bytes, struct str recipient)
{
	struct channel *queue = submission_queue(s->sub);
	struct msg_reserve m = {
		.session = s->log.session, .transaction = s->tx->number, .bytes = bytes, .recipient = recipient
	};

	if ((s->reserving & what) == 0 || queue == NULL)
		return false;
	s->tx->reserved = true;
	session_enter(s, SESSION_RESERVATION);
	s->call = ipc_call_reserve(queue, &m, -1, on_reserved, s);
	return true;
}

/* OK to MAIL. RFC 6710 section 9: the text of X.3.6 begins with the priority that the message has got. */
static struct verdict mail_reply(const struct transaction *tx, struct arena *a)
{
	if (!tx->priority_changed)
		return ok();
	return ok_text(
		250, S("2.3.6"),
		arena_printf(a, "%d is the highest priority that you may ask for", (int)tx->envelope.priority - PRIORITY_NORMAL));
}

static void on_reserved(void *ctx, struct verdict v, const struct msg_reserved *m, int fd)
{
	struct session *s = ctx;
	bool is_mail = s->tx->recipients_n == 0;
	struct arena a = { 0 };

	s->call = 0;
	v = m != NULL ? m->verdict : temp(451, S("4.3.0"), S("Queue unavailable, try again later"));
	if (v.class == OK) {
		v = is_mail ? mail_reply(s->tx, &a) : ok();
	} else {
		log_warning(&s->tx->log, "limit.reached", kv("login", s->login), kv("device", s->device),
			    kv("command", is_mail ? "MAIL" : "RCPT"), kv("reply", v.text));
		if (is_mail)
			session_on_reset(s, NULL);
		else
			transaction_drop_recipient(s->tx);
	}
	session_reply(s, v);
	arena_fini(&a);
}

/* RFC 6409 section 6.1: the sender after rewriting. Every login is allowed the null sender, which receipts and other
 * notices have (RFC 8098); From is checked later. A listed host has the sender of its entry. */
static struct verdict choose_sender(struct session *s, struct arena *a, struct str address, struct str *sender_out)
{
	const struct config *c = role_config(s->sub->role);
	const struct cfg_device *device;
	struct verdict v;

	if (!session_device(s, &device, &v))
		return v;
	if (device != NULL) {
		*sender_out = device->sender;
		return ok();
	}
	if (s->report && address.n > 0)
		return perm(550, S("5.7.1"), S("A report has the null sender"));
	if (s->local && address.n > 0) {
		address = local_sender(c, a, &s->user_here, address);
		if (address.n == 0)
			return perm(550, S("5.7.1"), S("This user has no address: local.users[].sender can give one"));
	}
	*sender_out = address.n > 0 ? rewrite_address(c, a, true, false, address) : address;
	if (address.n == 0 || (s->local && s->user_here.uid == 0) || sender_allowed(c, s->login, *sender_out))
		return ok();
	log_warning(&s->log, "sender.refused", kv("login", s->login), kv("device", s->device),
		    kv("client", stream_peer_address(s->conn)), kv("sender", *sender_out), kv("where", "envelope"));
	return perm(550, S("5.7.1"),
		    arena_printf(a, "<%.*s> is not an address of %.*s", STR_ARG(*sender_out), STR_ARG(s->login)));
}

/* RFC 6710: a priority above what the login can ask for counts as that. */
static void limit_priority(struct session *s)
{
	uint64_t *priority = &s->tx->envelope.priority;
	struct user_limits limits;
	unsigned most;

	if (*priority <= PRIORITY_NORMAL)
		return;
	limits_of_login(role_config(s->sub->role), s->login, &limits);
	most = PRIORITY_NORMAL + (unsigned)limits.priority;
	s->tx->priority_changed = *priority > most;
	if (s->tx->priority_changed)
		*priority = most;
}

/* Does this node of a cluster take mail now? The 421 ends the session: the client connects again, to another node. */
static struct verdict ask_node(struct session *s)
{
	switch (s->sub->node_state) {
	case NODE_UP: return ok();
	case NODE_DRAINING:
		s->ended_for = "the node is being drained";
		return temp(421, S("4.3.2"), S("This node is being drained, connect again to reach another one"));
	case NODE_AWAY: break;
	}
	return temp(451, S("4.3.0"), S("The database cannot be reached, try again later"));
}

void session_on_mail(struct session *s, const struct smtp_event *e)
{
	struct arena a = { 0 };
	struct str sender;
	struct verdict v = ask_node(s);
	bool asked = false;

	if (v.class == OK)
		v = choose_sender(s, &a, e->address, &sender);
	if (v.class == OK) {
		s->tx = transaction_new(s, sender, &e->mail);
		limit_priority(s);
		asked = ask_reservation(s, RESERVE_MESSAGES, s->tx->announced, S(""));
		v = mail_reply(s->tx, &a);
	}
	if (!asked)
		session_say(s, v);
	arena_fini(&a);
}

/* The recipient: "postmaster" becomes an address, a rule can name another one, and a listed host is allowed only some. */
static struct verdict choose_recipient(struct session *s, struct arena *a, struct str address, struct str *recipient_out)
{
	const struct config *c = role_config(s->sub->role);
	const struct cfg_device *device;
	bool for_postmaster;
	struct verdict v;

	if (s->local) {
		*recipient_out = local_recipient(c, a, s->system_users, address, &for_postmaster);
		return ok();
	}
	/* RFC 5321 4.5.1: postmaster without a domain is the postmaster of this relay. */
	if (address_domain(address).n == 0)
		address = c->postmaster;
	if (address.n == 0)
		return perm(550, S("5.1.3"), S("The address needs a domain"));
	*recipient_out = rewrite_address(c, a, false, false, address);
	if (!session_device(s, &device, &v))
		return v;
	if (device == NULL || patterns_match(&device->recipients, *recipient_out))
		return ok();
	log_warning(&s->tx->log, "recipient.refused", kv("device", s->device), kv("recipient", *recipient_out));
	return perm(550, S("5.7.1"),
		    arena_printf(a, "This host may not send to <%.*s> without logging in", STR_ARG(*recipient_out)));
}

/* RFC 3461 4.2: the address that the sender named stays known as ORCPT when a rule has put another one in its place. A name of
 * this machine is one in the realm. */
static struct smtp_rcpt_params with_original(const struct session *s, struct arena *a, const struct smtp_event *e,
					     struct str recipient)
{
	struct smtp_rcpt_params params = e->rcpt;
	const struct config *c = role_config(s->sub->role);
	struct str named = e->address, name;

	if (s->local && local_name(c, named, &name))
		named = arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(c->auth.realm));
	if (params.orcpt.n == 0 && str_is_ascii(named) && address_domain(named).n > 0 && named.n <= ORIGINAL_MAX &&
	    !address_same(recipient, named))
		params.orcpt = arena_printf(a, "rfc822;%.*s", STR_ARG(xtext_encode(a, named)));
	return params;
}

void session_on_rcpt(struct session *s, const struct smtp_event *e)
{
	struct arena a = { 0 };
	struct str recipient;
	struct verdict v = choose_recipient(s, &a, e->address, &recipient);
	struct smtp_rcpt_params params;

	if (v.class == OK)
		params = with_original(s, &a, e, recipient);
	if (v.class != OK || !transaction_recipient(s->tx, recipient, &params) ||
	    !ask_reservation(s, RESERVE_RECIPIENTS, 0, recipient))
		session_say(s, v);
	arena_fini(&a);
}

void session_on_data(struct session *s, const struct smtp_event *e)
{
	transaction_begin_text(s->tx);
	smtp_server_reply(s->smtp, ok());
}

void session_on_text(struct session *s, const struct smtp_event *e)
{
	transaction_text(s->tx, e->bytes);
	if (transaction_full(s->tx))
		session_enter(s, SESSION_SPOOLING);
}

/* The machine has refused a command or a text without an event: who waits for this mail has to find out why. */
void session_on_refusal(void *ctx, const struct smtp_refusal *refusal)
{
	struct session *s = ctx;
	struct verdict v = refusal->verdict;
	struct transaction *tx = s->tx;

	session_count_refusal(s, v);
	if (tx != NULL && refusal->recipient.n > 0 && tx->refusal_logged == v.code)
		return;
	if (tx != NULL && refusal->recipient.n > 0)
		tx->refusal_logged = v.code;
	log_warning(tx != NULL ? &tx->log : &s->log, "mail.refused", kv("login", s->login), kv("device", s->device),
		    kv("client", stream_peer_address(s->conn)), kv("sender", tx != NULL ? tx->envelope.sender : refusal->sender),
		    kv("to", refusal->recipient), kv("code", v.code), kv("enhanced", v.enhanced), kv("reason", v.text));
}

/* The text broke a rule of the protocol: the machine's verdict is the answer. A lone LF comes from old PHP scripts and
 * printers, whose owner needs to be found. */
static void refuse_text(struct session *s, struct verdict fault)
{
	struct str hint =
		fault.code == 550
			? S("the client's mailer writes line ends or bytes that mail must not have: update or configure it")
			: S("limits.message_size");

	log_warning(&s->log, "mail.malformed", kv("client", stream_peer_address(s->conn)), kv("login", s->login),
		    kv("device", s->device), kv("sender", s->tx->envelope.sender), kv("code", fault.code),
		    kv("enhanced", fault.enhanced), kv("reason", fault.text), kv("hint", hint));
	session_on_reset(s, NULL);
	s->sub->refused++;
	session_say(s, fault);
}

void session_on_text_end(struct session *s, const struct smtp_event *e)
{
	if (e->fault.class != OK) {
		refuse_text(s, e->fault);
		return;
	}
	session_enter(s, SESSION_WAITING);
	transaction_end(s->tx);
}

void session_on_reset(struct session *s, const struct smtp_event *e)
{
	if (s->tx != NULL)
		transaction_leave(s->tx);
	s->tx = NULL;
}
