/* tx_recipients.c - the recipients of one transaction: as many as the next hop accepts at once, in a form that it can handle. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/clock.h"

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* Whether the client has declared SMTPUTF8 does not count, because some clients always do. Text other than addresses can be
 * written in ASCII, which no later server returns. */
bool tx_recipients_header_is_utf8(const struct delivery *d, unsigned usable)
{
	return (usable & PEER_SMTPUTF8) && (d->envelope.utf8 & UTF8_IN_HEADER) &&
	       (d->envelope.utf8 & (UTF8_IN_ENVELOPE | UTF8_IN_ADDRESS));
}

static struct verdict lacks_utf8(struct arena *a, const char *whose, struct str address)
{
	return perm(550, S("5.6.7"),
		    arena_printf(a, "the %s's address <%.*s> needs SMTPUTF8, which the next hop lacks", whose, STR_ARG(address)));
}

/* The address in the form of a command; false: the next hop cannot handle it. */
static bool to_ascii(struct delivery *d, struct str address, struct str *out)
{
	*out = address;
	return is_ascii(address) || mail_address_to_ascii(&d->arena, address, out);
}

struct verdict tx_recipients_obstacle(const struct connection *c, unsigned usable)
{
	struct verdict v = requirements_check_peer(c, clock_now_ms());
	struct delivery *d = c->delivery;
	struct str ascii;

	if (v.class != OK || (usable & PEER_SMTPUTF8))
		return v;
	if (!to_ascii(d, d->envelope.sender, &ascii))
		return lacks_utf8(&d->arena, "sender", d->envelope.sender);
	return v;
}

/* The limit of recipients by RFC 9422 4.2, or by earlier replies of the next hop. */
static size_t most_at_once(const struct delivery *d, const struct smtp_peer *peer)
{
	size_t max = d->recipients_n;

	if (peer->rcptmax > 0 && peer->rcptmax < max)
		max = (size_t)peer->rcptmax;
	if (d->pool->rcptmax > 0 && d->pool->rcptmax < max)
		max = (size_t)d->pool->rcptmax;
	return max;
}

bool tx_recipients_fill(const struct connection *c, unsigned usable)
{
	const struct smtp_peer *peer = smtp_client_peer(c->client);
	struct delivery *d = c->delivery;
	bool utf8 = usable & PEER_SMTPUTF8;
	size_t max = most_at_once(d, peer);
	struct tx_recipients *b = &d->tx;

	*b = (struct tx_recipients){ .sender = d->envelope.sender,
				     .index = ARENA_ARRAY(&d->arena, size_t, max),
				     .recipients = ARENA_ARRAY(&d->arena, struct smtp_recipient, max) };
	if (!utf8)
		to_ascii(d, d->envelope.sender, &b->sender); /* cannot fail: tx_recipients_obstacle() was asked */
	b->utf8 = !is_ascii(b->sender) || tx_recipients_header_is_utf8(d, usable);
	for (size_t i = 0; i < d->recipients_n && b->n < max; i++) {
		const struct recipient *r = &d->recipients[i];
		struct str address = r->address;

		if (r->known)
			continue;
		if (!utf8 && !to_ascii(d, address, &address)) {
			delivery_outcome(d, i, STEP_OURS, lacks_utf8(&d->arena, "recipient", address));
			continue;
		}
		b->index[b->n] = i;
		b->recipients[b->n++] = (struct smtp_recipient){ address, r->orcpt, r->notify };
		b->utf8 = b->utf8 || !is_ascii(address);
	}
	return b->n > 0;
}

void tx_recipients_forget(struct delivery *d)
{
	for (size_t i = 0; i < d->tx.n; i++)
		d->recipients[d->tx.index[i]].heard = false;
	d->tx.n = 0;
}

static bool was_too_many(const struct recipient *r)
{
	return r->heard && reply_class_too_many(r->step, r->verdict);
}

static bool meets_family(const struct recipient *r)
{
	return r->heard && r->verdict.class != OK && r->meaning.scope == SCOPE_FAMILY;
}

bool tx_recipients_meet_family(const struct delivery *d)
{
	for (size_t i = 0; i < d->tx.n; i++)
		if (meets_family(&d->recipients[d->tx.index[i]]))
			return true;
	return false;
}

/* Each transaction settles at least one recipient, so that transactions end: when all were "too many", that is their verdict. */
void tx_recipients_commit(struct delivery *d, bool moves, unsigned given_up)
{
	size_t too_many = 0;
	bool one_domain = false;

	for (size_t i = 0; i < d->tx.n; i++) {
		const struct recipient *r = &d->recipients[d->tx.index[i]];

		too_many += was_too_many(r);
		one_domain = one_domain || (r->heard && reply_class_one_domain(r->step, r->verdict));
	}
	for (size_t i = 0; i < d->tx.n; i++) {
		struct recipient *r = &d->recipients[d->tx.index[i]];

		r->known = r->heard && (!was_too_many(r) || too_many == d->tx.n) && !(moves && meets_family(r)) &&
			   !(r->suspect & given_up);
		r->heard = false;
	}
	if (too_many > 0 && too_many < d->tx.n && !one_domain)
		d->pool->rcptmax = d->tx.n - too_many;
	d->tx.n = 0;
}
