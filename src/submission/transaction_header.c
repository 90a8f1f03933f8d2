/* transaction_header.c - the header section is whole: fix-up (RFC 6409 section 8), who may say From, and which keys will sign. */
#include "transaction.h"

#include "posthouse/clock.h"
#include "posthouse/names.h"

/* Another's address in From or Sender: the client hears which, the log also whose client it was. */
static struct verdict refuse_author(struct transaction *tx, const char *field, struct str address)
{
	log_warning(&tx->log, "sender.refused", kv("login", tx->login), kv("device", tx->device), kv("client", tx->client),
		    kv("sender", address), kv("where", field));
	return perm(
		550, S("5.7.1"),
		arena_printf(&tx->arena, "%s: <%.*s> is not an address of %.*s", field, STR_ARG(address), STR_ARG(tx->login)));
}

/* RFC 6409 section 6.1: may this login use every address that it writes under? */
static struct verdict check_authors(struct transaction *tx)
{
	const struct config *c = role_config(tx->sub->role);

	if (tx->fixed.from.n == 0)
		return perm(550, S("5.6.0"), S("The message has no From field"));
	if (tx->listed) /* they are the forced ones */
		return ok();
	for (size_t i = 0; i < tx->fixed.from.n; i++)
		if (!sender_allowed(c, tx->login, tx->fixed.from.at[i]))
			return refuse_author(tx, "From", tx->fixed.from.at[i]);
	if (tx->fixed.sender.n > 0 && !sender_allowed(c, tx->login, tx->fixed.sender))
		return refuse_author(tx, "Sender", tx->fixed.sender);
	for (size_t i = 0; i < tx->fixed.shown.n; i++)
		if (!sender_allowed(c, tx->login, tx->fixed.shown.at[i]))
			return refuse_author(tx, "the display name in From or Sender", tx->fixed.shown.at[i]);
	return ok();
}

/* Take all keys that the configuration has for the domain; copied, for a reload may come before the signature. */
static void take_keys(struct transaction *tx, struct str domain)
{
	const struct config *c = role_config(tx->sub->role);

	domain = domain_canonical(&tx->arena, domain);
	for (size_t i = 0; i < c->sign_n && tx->keys_n < DKIM_KEYS_MAX; i++)
		if (str_ieq(c->sign[i].domain, domain))
			tx->keys[tx->keys_n++] = (struct dkim_key){ .domain = arena_str(&tx->arena, c->sign[i].domain),
								    .selector = arena_str(&tx->arena, c->sign[i].selector),
								    .algorithm = (enum dkim_algorithm)c->sign[i].algorithm };
}

/* The first author whose domain has keys. Without any the message goes unsigned, which the operator may not have meant. */
static void choose_keys(struct transaction *tx)
{
	for (size_t i = 0; i < tx->fixed.from.n && tx->keys_n == 0; i++)
		take_keys(tx, smtp_address_domain(tx->fixed.from.at[i]));
	if (tx->keys_n > 0)
		tx->dkim = dkim_new();
	else
		log_info(&tx->log, "mail.unsigned", kv("domain", smtp_address_domain(tx->fixed.from.at[0])));
}

static struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	return rewrite_address(ctx, a, is_sender, true, address);
}

struct verdict transaction_fix_header(struct transaction *tx)
{
	const struct config *c = role_config(tx->sub->role);
	struct fixup_input in = { .section = buf_view(&tx->header.section),
				  .hostname = c->hostname,
				  .id = tx->id,
				  .now_ms = clock_now_ms(),
				  .envelope_sender = tx->sender,
				  .domain = c->auth.realm,
				  .rewrite = c->rewrite_n > 0 ? rewrite : NULL,
				  .rewrite_ctx = (void *)c,
				  .force_from = tx->listed ? tx->sender : S("") };
	struct verdict v = mail_fixup(&tx->arena, &in, &tx->fixed);

	if (v.class == OK)
		v = check_authors(tx);
	if (v.class == OK)
		choose_keys(tx);
	return v;
}
