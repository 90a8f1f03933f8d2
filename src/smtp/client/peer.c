/* peer.c - what a server says about itself in its answer to EHLO. */
#include "client.h"
#include "grammar.h"

/* Keywords without parameters that matter, or whose parameters come later below. */
static const struct {
	struct str keyword;
	unsigned feature;
} features[] = {
	{ { "PIPELINING", 10 }, PEER_PIPELINING },        /* RFC 2920 */
	{ { "8BITMIME", 8 }, PEER_8BITMIME },             /* RFC 6152 */
	{ { "STARTTLS", 8 }, PEER_STARTTLS },             /* RFC 3207 */
	{ { "SIZE", 4 }, PEER_SIZE },                     /* RFC 1870 */
	{ { "DSN", 3 }, PEER_DSN },                       /* RFC 3461 */
	{ { "SMTPUTF8", 8 }, PEER_SMTPUTF8 },             /* RFC 6531 */
	{ { "CHUNKING", 8 }, PEER_CHUNKING },             /* RFC 3030 */
	{ { "ENHANCEDSTATUSCODES", 19 }, PEER_ENHANCED }, /* RFC 2034 */
	{ { "REQUIRETLS", 10 }, PEER_REQUIRETLS },        /* RFC 8689 */
	{ { "BINARYMIME", 10 }, PEER_BINARYMIME },        /* RFC 3030 */
	{ { "DELIVERBY", 9 }, PEER_DELIVERBY },           /* RFC 2852 */
	{ { "MT-PRIORITY", 11 }, PEER_MT_PRIORITY },      /* RFC 6710 */
};

/* Before each EHLO: what was said in the clear is forgotten after the handshake (RFC 3207 4.2). */
void client_peer_reset(struct smtp_client *c)
{
	c->peer.features = 0;
	c->peer.size = c->peer.rcptmax = c->peer.mailmax = c->peer.by_min_s = 0;
	buf_clear(&c->mechanisms);
	c->peer.mechanisms = buf_view(&c->mechanisms);
}

/* Add a mechanism in upper case; one that does not fit counts as not offered. */
static void add_mechanism(struct smtp_client *c, struct str name)
{
	char *to = buf_reserve(&c->mechanisms, name.n + 1);
	size_t n = 0;

	if (!to)
		return;
	if (c->mechanisms.n > 0)
		to[n++] = ' ';
	for (size_t i = 0; i < name.n; i++)
		to[n++] = name.p[i] >= 'a' && name.p[i] <= 'z' ? (char)(name.p[i] - 32) : name.p[i];
	buf_claim(&c->mechanisms, n);
	c->peer.mechanisms = buf_view(&c->mechanisms);
}

/* LIMITS (RFC 9422). Recipients beyond RCPTDOMAINMAX get 452 4.5.3, and go in another transaction. */
static void take_limits(struct smtp_client *c, struct str rest)
{
	struct str word;

	while (smtp_next_word(&rest, &word))
		if (str_istarts(word, S("RCPTMAX=")))
			str_to_u64(str_from(word, 8), &c->peer.rcptmax);
		else if (str_istarts(word, S("MAILMAX=")))
			str_to_u64(str_from(word, 8), &c->peer.mailmax);
}

/* One line of the EHLO answer after the first. */
void client_peer_line(struct smtp_client *c, struct str line)
{
	struct str rest = line, keyword, word;

	if (!smtp_next_word(&rest, &keyword))
		return;
	for (size_t i = 0; i < sizeof features / sizeof *features; i++)
		if (str_ieq(keyword, features[i].keyword))
			c->peer.features |= features[i].feature & ~c->config->avoid;
	if (str_ieq(keyword, S("SIZE"))) {
		if (!smtp_next_word(&rest, &word) || !str_to_u64(word, &c->peer.size))
			c->peer.size = 0;
	} else if (str_ieq(keyword, S("DELIVERBY"))) {
		if (!smtp_next_word(&rest, &word) || !str_to_u64(word, &c->peer.by_min_s))
			c->peer.by_min_s = 0;
	} else if (str_ieq(keyword, S("LIMITS"))) {
		take_limits(c, rest);
	} else if (str_ieq(keyword, S("X-RCPTLIMIT"))) {
		if (smtp_next_word(&rest, &word))
			str_to_u64(word, &c->peer.rcptmax);
	} else if (str_ieq(keyword, S("AUTH")) || str_istarts(keyword, S("AUTH="))) { /* the second form is older than RFC 2554 */
		if (keyword.n > 5)
			add_mechanism(c, str_from(keyword, 5));
		while (smtp_next_word(&rest, &word))
			add_mechanism(c, word);
	}
}

struct str smtp_peer_keywords(struct arena *a, const struct smtp_peer *peer)
{
	struct str all = S("");

	for (size_t i = 0; i < sizeof features / sizeof *features; i++)
		if (peer->features & features[i].feature)
			all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.n ? " " : "", STR_ARG(features[i].keyword));
	if (peer->mechanisms.n > 0)
		all = arena_printf(a, "%.*s%sAUTH %.*s", STR_ARG(all), all.n ? " " : "", STR_ARG(peer->mechanisms));
	return all;
}
