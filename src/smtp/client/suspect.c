/* suspect.c - some servers offer extensions that they cannot do: which of those in use can be the reason why a transaction was
 * lost or refused. */
#include "client.h"

unsigned client_features(const struct smtp_client *c)
{
	return c->peer.features & ~c->tx.what.avoid;
}

unsigned client_suspect_loss(const struct smtp_client *c)
{
	unsigned suspect = c->tx.sent > c->tx.answered + 1 ? PEER_PIPELINING : 0;

	switch (c->stage) {
	case STAGE_MAIL: return suspect | c->tx.with;
	case STAGE_RCPT: return suspect | (c->tx.with & PEER_DSN);
	case STAGE_DATA: return suspect;
	case STAGE_CHUNKS: return PEER_CHUNKING;
	case STAGE_END: return c->tx.chunked ? PEER_CHUNKING : 0;
	default: return 0;
	}
}

static bool says(const struct smtp_client *c, const char *const *words)
{
	struct str text = buf_view(&c->reply.text);

	for (; *words; words++)
		for (size_t i = 0; i < text.n; i++)
			if (str_istarts(str_from(text, i), str_of(*words)))
				return true;
	return false;
}

/* RFC 5321 4.2.2 and 4.3.2: 500 to 504 and 555 are about the command and its parameters, unless RFC 3463 says otherwise: X.5
 * is the protocol. */
static bool is_syntax(const struct smtp_client *c)
{
	const struct reply *r = &c->reply;
	struct str detail = str_from(str_make(r->enhanced, r->enhanced_n), 2);

	return ((r->code >= 500 && r->code <= 504) || r->code == 555) && (detail.n == 0 || str_starts(detail, S("5.")));
}

unsigned client_suspect_refusal(const struct smtp_client *c, unsigned with)
{
	static const struct {
		unsigned feature;
		const char *words[8];
	} named[] = {
		{ PEER_SMTPUTF8, { "smtputf8", "internationalized" } },
		{ PEER_8BITMIME, { "8bitmime", "body=", "body parameter" } },
		{ PEER_DSN, { "ret=", "envid", "notify", "orcpt", "dsn" } },
	};
	static const char *const order[] = { "pipelin", "synchroni", "out of sequence", "too early", NULL };
	unsigned suspect = 0;

	if (c->reply.code < 500)
		return 0;
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if ((with & named[i].feature) && says(c, named[i].words))
			suspect |= named[i].feature;
	if (suspect == 0 && is_syntax(c))
		suspect = with;
	/* the commands were in order, so the server got them too soon */
	if ((client_features(c) & PEER_PIPELINING) && c->tx.sent > 1 && (c->reply.code == 503 || says(c, order)))
		suspect |= PEER_PIPELINING;
	return suspect;
}
