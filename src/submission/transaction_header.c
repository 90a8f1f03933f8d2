/* transaction_header.c - the header section is whole: fix-up (RFC 6409 section 8), the check of From, and which keys will
 * sign. */
#include "transaction.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/policy.h"

/* An address that the login does not own, and the field that has it. */
struct foreign {
	const char *where; /* NULL: there is none */
	struct str address;
};

static void look_for_foreign(struct transaction *tx, const char *where, const struct str_list *list, struct foreign *f)
{
	const struct config *c = role_config(tx->sub->role);
	const struct sending_user user = { .login = tx->envelope.login,
					   .forced = tx->report ? local_report_sender(c, &tx->arena) : S("") };
	const struct str *found = f->where == NULL ? first_foreign(c, &user, list) : NULL;

	if (found != NULL)
		*f = (struct foreign){ where, *found };
}

/* Another's address: the client hears which, the log also whose client it was. */
static struct verdict refuse_author(struct transaction *tx, const struct foreign *f, const char *advice)
{
	log_warning(&tx->log, "sender.refused", kv("login", tx->envelope.login), kv("device", tx->device),
		    kv("client", tx->client), kv("sender", f->address), kv("where", f->where));
	return perm(550, S("5.7.1"),
		    arena_printf(&tx->arena, "%s: <%.*s> is not an address of %.*s%s", f->where, STR_ARG(f->address),
				 STR_ARG(tx->envelope.login), advice));
}

/* RFC 5322 3.6.6: a login that forwards another author's message says so in Resent-From, which must then be its own address. */
static struct verdict check_resenders(struct transaction *tx, const struct foreign *author)
{
	struct foreign f = { 0 };

	if (!sender_may_resend(role_config(tx->sub->role), tx->envelope.login))
		return refuse_author(tx, author, "; to send on mail of others this login needs senders.resent = true");
	if (tx->fixed.resent_fault.class != OK)
		return tx->fixed.resent_fault;
	look_for_foreign(tx, "Resent-From or Resent-Sender", &tx->fixed.resent, &f);
	tx->resent = f.where == NULL;
	return tx->resent ? ok() : refuse_author(tx, &f, "");
}

/* RFC 6409 section 6.1: is the login allowed to use all addresses that the message shows as its author? */
static struct verdict check_authors(struct transaction *tx)
{
	struct str_list sender = { &tx->fixed.sender, tx->fixed.sender.n > 0 };
	struct foreign f = { 0 };

	if (tx->fixed.from.n == 0)
		return perm(550, S("5.6.0"), S("The message has no From field"));
	if (tx->listed || tx->any_sender) /* they are the forced ones, or root's */
		return ok();
	look_for_foreign(tx, "From", &tx->fixed.from, &f);
	look_for_foreign(tx, "Sender", &sender, &f);
	look_for_foreign(tx, "the display name in From or Sender", &tx->fixed.shown, &f);
	if (f.where == NULL)
		return ok();
	return tx->fixed.is_resent && !tx->report ? check_resenders(tx, &f) : refuse_author(tx, &f, "");
}

/* Take all keys that the configuration has for these authors. They are copied, because a reload can come before the signature.
 * Without any the message goes unsigned, which the operator hardly meant. */
static void choose_keys(struct transaction *tx)
{
	const struct config *c = role_config(tx->sub->role);

	tx->resenders = tx->resent ? tx->fixed.resent : (struct str_list){ 0 };
	if (tx->resenders.n > AUTHORS_MAX)
		tx->resenders.n = AUTHORS_MAX;
	tx->keys_n = config_author_keys(&tx->arena, c, &tx->fixed.from, tx->resent ? &tx->resenders : NULL, tx->keys);
	if (tx->keys_n > 0)
		tx->dkim = dkim_new();
	else
		log_debug(&tx->log, "mail.unsigned",
			  kv("domain", address_domain(tx->resent ? tx->resenders.at[0] : tx->fixed.from.at[0])));
}

/* The author when none is named: the envelope's sender, or of the null sender the login itself, where it is an
 * address. */
static struct str default_author(const struct transaction *tx)
{
	bool owned = tx->any_sender || sender_allowed(role_config(tx->sub->role), tx->envelope.login, tx->envelope.login);

	return tx->envelope.sender.n > 0 || !owned ? tx->envelope.sender : tx->envelope.login;
}

/* Names of this machine come to "localhost" first, so that they are known here. The author of a report is known as it is. */
static struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	const struct transaction *tx = ctx;
	const struct config *c = role_config(tx->sub->role);

	if (tx->report && is_sender)
		return address;
	if (tx->user_here)
		address = local_field(c, a, tx->user_here, is_sender, address);
	return rewrite_address(c, a, is_sender, true, address);
}

struct verdict transaction_fix_header(struct transaction *tx)
{
	const struct config *c = role_config(tx->sub->role);
	struct fixup_input in = { .section = buf_view(&tx->header.section),
				  .hostname = c->hostname,
				  .id = tx->id,
				  .now_ms = clock_now_ms(),
				  .envelope_sender = default_author(tx),
				  .domain = tx->user_here ? S("localhost") : c->auth.realm,
				  .rewrite = c->rewrite_n > 0 || tx->user_here ? rewrite : NULL,
				  .rewrite_ctx = tx,
				  .force_from = tx->listed ? tx->envelope.sender : S("") };
	struct verdict v = mail_fixup(&tx->arena, &in, &tx->fixed);

	if (v.class == OK)
		v = check_authors(tx);
	if (v.class != OK)
		return v;
	choose_keys(tx);
	tx->envelope.subject = mail_subject(&tx->arena, &tx->fixed.header);
	tx->envelope.message_id = mail_message_id(&tx->arena, &tx->fixed.header);
	if (!(tx->envelope.options & OPTION_REQUIRETLS) && mail_tls_optional(&tx->fixed.header)) /* RFC 8689 4.1 */
		tx->envelope.options |= OPTION_TLS_OPTIONAL;
	return v;
}
