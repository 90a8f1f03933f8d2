/* downgrade.c - a text that the next hop does not accept as it is: 8-bit without 8BITMIME (RFC 6152 3), binary without
 * BINARYMIME (RFC 3030 3), UTF-8 in the header (RFC 6531), lines that are too long for every server (RFC 5321 4.5.3.1.6), an
 * author other than the address of the account. The text is converted twice: first to count and hash it for fresh signatures,
 * which replace those that the conversion breaks; then to send it (transfer.c). */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/smtp_server.h"

#include <assert.h>

static bool takes_body(const struct connection *c)
{
	unsigned usable = extensions_usable(c);
	bool binary = (usable & PEER_BINARYMIME) && (usable & PEER_CHUNKING);

	switch (c->delivery->envelope.body) {
	case BODY_7BIT: return true;
	case BODY_8BITMIME: return usable & PEER_8BITMIME;
	default: return binary;
	}
}

unsigned downgrade_of(const struct connection *c)
{
	const struct delivery *d = c->delivery;
	unsigned what = (d->long_lines ? DOWNGRADE_LINES : 0) | (d->from.n > 0 ? DOWNGRADE_FROM : 0);

	if (!takes_body(c))
		return DOWNGRADE_7BIT | (what & DOWNGRADE_FROM);
	if ((d->envelope.utf8 & UTF8_IN_HEADER) && !tx_recipients_header_is_utf8(d, extensions_usable(c)))
		what |= DOWNGRADE_HEADERS;
	return what;
}

/* The keys of the domain for which submission signed, or of the new author's. */
static void choose_keys(struct connection *c)
{
	const struct delivery *d = c->delivery;
	struct str domain = d->from.n > 0 ? address_domain(d->from) : d->envelope.sign_domain;
	struct transfer *t = &c->transfer;

	if (domain.n > 0)
		t->keys_n = config_dkim_keys(&c->delivery->arena, role_config(c->relay->role), domain, t->keys);
	if (d->envelope.sign_domain.n > 0 && t->keys_n == 0)
		log_debug(&c->log, "mail.unsigned", kv("domain", domain));
}

static void downgrade_over(struct connection *c)
{
	c->downgrading = false;
	c->delivery->downgraded_as = c->transfer.what;
	transfer_fini(&c->transfer);
}

static void downgrade_failed(struct connection *c, struct verdict v)
{
	c->delivery->no_downgrade = verdict_keep(&c->delivery->arena, v);
	downgrade_over(c);
}

/* Count the converted bytes, and hash those of the body. The conversion gives the header section at once, when it is complete;
 * it ends in a blank line. */
static void digest(struct connection *c)
{
	struct transfer *t = &c->transfer;
	struct str bytes = buf_view(&t->downgraded), header = downgrade_header(t->convert);
	uint64_t body_at = header.n + 2;

	if (header.p && t->counted + bytes.n > body_at)
		dkim_body(t->dkim, str_from(bytes, body_at > t->counted ? (size_t)(body_at - t->counted) : 0));
	t->counted += bytes.n;
	buf_clear(&t->downgraded);
}

static bool take_for_hash(struct connection *c, struct str bytes)
{
	struct verdict v = downgrade_feed(c->transfer.convert, bytes, &c->transfer.downgraded);

	if (v.class != OK) {
		downgrade_failed(c, v);
		return false;
	}
	digest(c);
	return true;
}

/* Signatures over the original text are dropped; the rest of the prefix must not be changed. */
static struct str without_signatures(struct arena *a, struct str prefix)
{
	struct str kept = S("");
	struct header h;

	if (header_parse(a, prefix, &h).class != OK)
		return prefix;
	for (size_t i = 0; i < h.n; i++)
		if (!str_ieq(h.fields[i].name, S("DKIM-Signature")))
			kept = arena_printf(a, "%.*s%.*s", STR_ARG(kept), STR_ARG(h.fields[i].whole));
	return kept;
}

/* Received first, then the signatures, in the order of submission. */
static void finish(struct connection *c, const struct str *signatures)
{
	struct delivery *d = c->delivery;
	struct transfer *t = &c->transfer;

	d->downgraded_prefix = without_signatures(&d->arena, d->prefix);
	for (size_t i = 0; signatures && i < t->keys_n; i++) {
		struct str field = dkim_field(&d->arena, t->dkim, i, signatures[i]);

		d->downgraded_prefix = arena_printf(&d->arena, "%.*s%.*s", STR_ARG(d->downgraded_prefix), STR_ARG(field));
	}
	d->downgraded_size = d->downgraded_prefix.n + t->counted;
	log_debug(&c->log, "text.converted", kv("size_bytes", d->downgraded_size), kv("signatures", t->keys_n));
	downgrade_over(c);
}

/* The signature by a key; empty: the answer has none. */
static struct str find_signature(const struct msg_resigned *m, const struct dkim_key *key)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, key->selector) && m->signatures.at[i].algorithm == key->algorithm)
			return m->signatures.at[i].signature;
	return S("");
}

/* A configured key that cannot be used is a temporary failure: the message never goes unsigned. */
static void signing_failed(struct connection *c, struct str reason)
{
	struct str text = arena_printf(&c->delivery->arena, "the message had to be converted, and cannot be signed again: %.*s",
				       STR_ARG(reason));

	log_error(&c->log, "mail.sign_failed", kv("domain", c->transfer.keys[0].domain), kv("reason", reason));
	downgrade_failed(c, temp(451, S("4.7.5"), text));
}

static void on_re_signed(void *ctx, struct verdict v, const struct msg_resigned *m, int fd)
{
	struct connection *c = ctx;
	struct transfer *t = &c->transfer;
	struct str signatures[DKIM_KEYS_MAX];
	bool complete = true;

	c->call = 0;
	if (v.class == OK)
		v = m->verdict;
	for (size_t i = 0; v.class == OK && i < t->keys_n; i++) {
		signatures[i] = find_signature(m, &t->keys[i]);
		complete = complete && signatures[i].n > 0;
	}
	if (v.class != OK)
		signing_failed(c, v.text);
	else if (!complete)
		signing_failed(c, S("a signature is missing in the answer"));
	else
		finish(c, signatures);
	c->relay->ops->resume(c);
}

/* queue asks vault, the only role with the keys. */
static void ask_queue(struct connection *c, const struct header *header)
{
	struct msg_resign m = { .lease = c->delivery->lease };
	struct rec_digest records[DKIM_KEYS_MAX];
	struct transfer *t = &c->transfer;
	struct str digests[DKIM_KEYS_MAX];

	dkim_finish(t->dkim, header, t->keys, t->keys_n, clock_now_ms(), digests);
	for (size_t i = 0; i < t->keys_n; i++)
		records[i] = (struct rec_digest){ t->keys[i].selector, t->keys[i].algorithm, digests[i] };
	m.digests.at = records;
	m.digests.n = t->keys_n;
	c->call = ipc_call_resign(role_peer(c->relay->role, ROLE_QUEUE, 0), &m, -1, on_re_signed, c);
}

static void end_for_hash(struct connection *c)
{
	struct transfer *t = &c->transfer;
	struct verdict v = downgrade_end(t->convert, &t->downgraded);
	struct header header;

	if (v.class == OK)
		digest(c);
	if (v.class == OK && t->keys_n > 0)
		v = header_parse(&c->delivery->arena, arena_str(&c->delivery->arena, downgrade_header(t->convert)), &header);
	if (v.class != OK)
		downgrade_failed(c, v);
	else if (t->keys_n == 0)
		finish(c, NULL);
	else
		ask_queue(c, &header);
}

static const struct transfer_ops hash_ops = { take_for_hash, end_for_hash };

void downgrade_begin(struct connection *c)
{
	struct transfer *t = &c->transfer;

	assert(!c->downgrading);
	c->downgrading = true;
	c->delivery->downgraded_as = 0; /* the connection can end before the pass does */
	c->delivery->no_downgrade = ok();
	connection_limit(c);
	t->what = downgrade_of(c);
	t->convert = transfer_conversion(c->delivery, t->what);
	t->dkim = dkim_new();
	t->counted = 0;
	buf_init(&t->downgraded, DOWNGRADED_MAX);
	choose_keys(c);
	transfer_begin(c, &hash_ops);
}
