/* meaning.c - names and words for what replies mean. */
#include "posthouse/meaning.h"

static const struct {
	const char *name, *advice;
} troubles[TROUBLES] = {
	[TROUBLE_NONE] = { "", "" },
	[TROUBLE_MAILBOX] = { "mailbox", "The address does not exist there, or takes no mail. Check it for mistakes, or ask the "
					 "recipient for another one." },
	[TROUBLE_FULL] = { "full",
			   "The recipient's mailbox is full. The recipient must make room; reach the recipient in another "
			   "way, or send it again later." },
	[TROUBLE_CONTENT] = { "content",
			      "The recipient's server refuses what the message contains or how it is built. Change its text, "
			      "links or attachments, or reach the recipient in another way." },
	[TROUBLE_REPUTATION] = { "reputation", "The next server does not trust this relay or the sender." },
	[TROUBLE_AUTHENTICATION] = { "authentication",
				     "The recipient's server could not verify that the message comes from the sender's domain "
				     "(SPF, DKIM, DMARC)." },
	[TROUBLE_RATE] = { "rate", "The next server has been sent too much in a short time." },
	[TROUBLE_QUOTA] = { "quota", "The amount of mail that the next server takes in a day or a month is used up." },
	[TROUBLE_LOGIN] = { "login", "The next server does not accept this relay's login." },
	[TROUBLE_SETUP] = { "setup", "The next server does not let this relay send this mail." },
	[TROUBLE_TLS] = { "tls", "The next server and this relay do not agree about encryption." },
	[TROUBLE_DNS] = { "dns", "The next server dislikes what the DNS says about this relay or the sender's domain." },
	[TROUBLE_SIZE] = { "size", "The message is too large for the recipient's server. Send less at once, or a link." },
	[TROUBLE_LOOP] = { "loop", "The message goes in circles between mail servers." },
	[TROUBLE_GREYLIST] = { "greylist",
			       "The recipient's server wants to see the message again later, as many do when a sender is new "
			       "to them." },
	[TROUBLE_TEMPORARY] = { "temporary", "The next server has a trouble of its own that should pass." },
};

static const char *const scopes[SCOPES] = { "recipient", "message", "sender", "domain", "family", "hop" };

static const struct {
	const char *name, *advice;
} actors[ACTORS] = {
	[ACTOR_NOBODY] = { "nobody", " Nobody needs to do anything about it but wait." },
	[ACTOR_USER] = { "user", "" }, /* what to do is part of the trouble's own words */
	[ACTOR_ADMIN] = { "admin", " Your administrator must act: tell them what the server answered." },
	[ACTOR_RECIPIENT] = { "recipient",
			      " Only the recipient's side can change that: ask the recipient, in another way, to allow your "
			      "mail." },
};

static const char *const hints[HINTS] = {
	[HINT_NONE] = "",
#define HINT(id, sentence) [HINT_##id] = (sentence),
#include "posthouse/hints.def"
};

const char *trouble_name(unsigned trouble)
{
	return trouble < TROUBLES ? troubles[trouble].name : "";
}

const char *scope_name(unsigned scope)
{
	return scope < SCOPES ? scopes[scope] : "";
}

const char *actor_name(unsigned actor)
{
	return actor < ACTORS ? actors[actor].name : "";
}

uint64_t meaning_pack(struct meaning m)
{
	return (uint64_t)m.trouble | (uint64_t)m.actor << 8 | (uint64_t)m.hint << 16;
}

enum trouble meaning_trouble(uint64_t packed)
{
	return (packed & 0xff) < TROUBLES ? (enum trouble)(packed & 0xff) : TROUBLE_NONE;
}

enum actor meaning_actor(uint64_t packed)
{
	return (packed >> 8 & 0xff) < ACTORS ? (enum actor)(packed >> 8 & 0xff) : ACTOR_NOBODY;
}

const char *meaning_hint(uint64_t packed)
{
	return packed >> 16 < HINTS ? hints[packed >> 16] : "";
}

struct str meaning_advice(struct arena *a, uint64_t packed)
{
	enum trouble trouble = meaning_trouble(packed);
	const char *hint = meaning_hint(packed);

	if (trouble == TROUBLE_NONE)
		return str_of(hint);
	return arena_printf(a, "%s%s%s%s", troubles[trouble].advice, *hint ? " " : "", hint,
			    actors[meaning_actor(packed)].advice);
}
