/* extensions.c - SMTP extensions that a next hop offers but does not handle. A message that was refused or lost right after it
 * used an extension is sent again without it, on another connection. When the next hop then answers, this is remembered for its
 * address for a day. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

/* In the order in which they are given up: the cheapest loss comes first. */
static const struct {
	const char *name;
	unsigned feature;
	enum host_fact kind;
} extensions[] = {
	{ "PIPELINING", PEER_PIPELINING, HOST_NO_PIPELINING }, { "DSN", PEER_DSN, HOST_NO_DSN },
	{ "CHUNKING", PEER_CHUNKING, HOST_NO_CHUNKING },       { "8BITMIME", PEER_8BITMIME, HOST_NO_8BITMIME },
	{ "SMTPUTF8", PEER_SMTPUTF8, HOST_NO_SMTPUTF8 },
};
#define EXTENSIONS (sizeof extensions / sizeof *extensions)

unsigned extensions_named(const struct str_list *names)
{
	unsigned features = 0;

	for (size_t i = 0; i < names->n; i++)
		for (size_t k = 0; k < EXTENSIONS; k++)
			if (str_ieq(names->at[i], str_of(extensions[k].name)))
				features |= extensions[k].feature;
	return features;
}

struct str extensions_words(struct arena *a, unsigned features)
{
	struct str words = S("");

	for (size_t k = 0; k < EXTENSIONS; k++)
		if (features & extensions[k].feature)
			words = arena_printf(a, "%.*s%s%s", STR_ARG(words), words.n ? " " : "", extensions[k].name);
	return words;
}

/* As remembered for this address. */
static unsigned extensions_broken(const struct connection *c)
{
	unsigned broken = 0;

	for (size_t k = 0; k < EXTENSIONS; k++)
		if (host_status_has(c->relay, extensions[k].kind, &connection_candidate(c)->address))
			broken |= extensions[k].feature;
	return broken;
}

unsigned extensions_usable(const struct connection *c)
{
	return smtp_client_peer(c->client)->features & ~extensions_broken(c) & ~c->delivery->avoid;
}

/* The message cannot be sent without this feature, so a lost connection is no reason to give it up. */
static bool is_needed(const struct connection *c, unsigned feature)
{
	return tx_recipients_obstacle(c, extensions_usable(c) & ~feature).class != OK;
}

unsigned extensions_give_up(struct connection *c, unsigned suspect, struct verdict why)
{
	struct delivery *d = c->delivery;

	suspect &= extensions_usable(c);
	for (size_t k = 0; k < EXTENSIONS; k++) {
		unsigned feature = extensions[k].feature;

		if (!(suspect & feature) || (why.class != PERM && is_needed(c, feature)))
			continue;
		d->avoid |= feature;
		d->unproven |= feature;
		log_info(&c->log, "connection.without", kv("remote", c->remote), kv("extension", extensions[k].name),
			 kv("reason", why.text));
		buf_printf(&d->given_up, "* %s: goes again without %s: %.*s\n", c->remote, extensions[k].name,
			   STR_ARG(str_head(why.text, 200)));
		return feature;
	}
	return 0;
}

void extensions_note(struct connection *c, unsigned features)
{
	for (size_t k = 0; k < EXTENSIONS; k++)
		if (features & extensions[k].feature)
			host_status_note(c->relay, extensions[k].kind, &connection_candidate(c)->address);
}
