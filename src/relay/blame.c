/* blame.c - see blame.h. The one table of what providers say when they mean us and not the message. */
#include "blame.h"

#define TEXT_MAX 2048 /* of a reply, as much as is looked at */

#define OPENING (1u << STEP_OPENING)
#define AUTH    (1u << STEP_AUTH)
#define MAIL    (1u << STEP_MAIL)
#define RCPT    (1u << STEP_RCPT)
#define DATA    (1u << STEP_DATA)
#define ANY     (OPENING | AUTH | MAIL | RCPT | DATA)
#define EARLY   (OPENING | AUTH | MAIL) /* nothing of the message but its sender was seen */

/* code: 0 any refusal, 4 or 5 its class, else exactly that. enhanced: without its first digit; NULL any. words: somewhere in the
 * text, ASCII case aside; NULL any. The first row that fits decides. */
static const struct rule {
	unsigned steps, code;
	const char *enhanced, *words;
	enum gate_state gate;
} rules[] = {
	/* Not ours: greylisting, and what one mailbox has to say about itself. */
	{ ANY, 4, NULL, "greylist", GATE_FINE },
	{ ANY, 4, NULL, "graylist", GATE_FINE },
	{ ANY, 4, NULL, "grey list", GATE_FINE },
	{ RCPT, 5, "1.1", NULL, GATE_FINE }, /* RFC 3463 X.1: this recipient's address */
	{ RCPT, 5, "1.2", NULL, GATE_FINE },
	{ RCPT, 5, "1.3", NULL, GATE_FINE },
	{ RCPT, 5, "1.6", NULL, GATE_FINE },
	{ RCPT, 5, "1.10", NULL, GATE_FINE },
	{ RCPT | DATA, 0, "2.1", NULL, GATE_FINE },
	{ RCPT | DATA, 0, "2.2", NULL, GATE_FINE },
	{ RCPT | DATA, 0, "2.3", NULL, GATE_FINE },
	{ RCPT | DATA, 0, NULL, "mailbox full", GATE_FINE },
	/* Microsoft: this sender may not be used with this login. The user must hear it, and others may go on. */
	{ ANY, 0, NULL, "sendasdenied", GATE_FINE },

	/* Our set-up there. */
	{ MAIL | RCPT, 530, NULL, NULL, GATE_OURS }, /* RFC 3207 4, RFC 4954 6: STARTTLS or AUTH first */
	{ MAIL | RCPT | DATA, 5, "7.57", NULL, GATE_OURS },
	{ AUTH, 0, NULL, "too many login", GATE_REFUSES },
	{ AUTH, 0, NULL, "too many failed", GATE_REFUSES },
	{ AUTH, 0, NULL, "too many auth", GATE_REFUSES },

	/* RFC 3463 X.4.5 is congestion, and makes no sense as a permanent failure: Gmail's quota of a day. */
	{ ANY, 5, "4.5", NULL, GATE_REFUSES },
	{ ANY, 421, "7.28", NULL, GATE_REFUSES }, /* Gmail: unusual rate */
	{ ANY, 5, "7.705", NULL, GATE_REFUSES },  /* Microsoft: the tenant has exceeded a threshold, … */
	{ ANY, 5, "7.708", NULL, GATE_REFUSES },  /* … traffic from this address not accepted, … */
	{ ANY, 5, "7.750", NULL, GATE_REFUSES },  /* … unregistered domains, … */
	{ ANY, 5, "1.8", "outbound", GATE_REFUSES },
	{ EARLY, 5, "2.0", NULL, GATE_REFUSES },
	{ DATA, 5, "2.0", "storedrv.submission", GATE_REFUSES }, /* … and its quotas; .Deliver would be the recipient's mailbox */
	{ DATA, 432, NULL, NULL, GATE_REFUSES },                 /* … sending threads */
	{ ANY, 421, NULL, "[ts0", GATE_REFUSES },                /* Yahoo: volume or complaints */
	{ ANY, 421, NULL, "[tss", GATE_REFUSES },
	{ ANY, 0, NULL, "sending limit", GATE_REFUSES },
	{ ANY, 0, NULL, "sending quota", GATE_REFUSES },
	{ ANY, 0, NULL, "sending rate", GATE_REFUSES },
	{ ANY, 0, NULL, "submission quota", GATE_REFUSES },
	{ ANY, 0, NULL, "submissionquotaexceeded", GATE_REFUSES },
	{ ANY, 0, NULL, "message quota exceeded", GATE_REFUSES },
	{ ANY, 0, NULL, "messaging limit", GATE_REFUSES },
	{ ANY, 0, NULL, "relay limit", GATE_REFUSES },
	{ ANY, 0, NULL, "daily limit", GATE_REFUSES },
	{ ANY, 0, NULL, "hourly limit", GATE_REFUSES },
	{ ANY, 0, NULL, "monthly limit", GATE_REFUSES },
	{ ANY, 0, NULL, "emails per hour", GATE_REFUSES },
	{ ANY, 0, NULL, "emails per day", GATE_REFUSES },
	{ ANY, 0, NULL, "messages per ", GATE_REFUSES },
	{ ANY, 0, NULL, "ratelimit", GATE_REFUSES },
	{ ANY, 0, NULL, "rate limit", GATE_REFUSES },
	{ ANY, 0, NULL, "rate-limit", GATE_REFUSES },
	{ ANY, 0, NULL, "unusual rate", GATE_REFUSES },
	{ ANY, 0, NULL, "throttl", GATE_REFUSES },
	{ ANY, 0, NULL, "too many messages", GATE_REFUSES },
	{ ANY, 0, NULL, "too many emails", GATE_REFUSES },
	{ ANY, 0, NULL, "too many mails", GATE_REFUSES },
	{ ANY, 0, NULL, "credits exceeded", GATE_REFUSES },
	{ ANY, 0, NULL, "outboundspamexception", GATE_REFUSES },
	{ ANY, 0, NULL, "bad outbound sender", GATE_REFUSES },
	/* Where no recipient has been named yet it cannot be that one's quota. */
	{ EARLY, 0, NULL, "quota", GATE_REFUSES },
	{ EARLY, 0, NULL, "limit exceeded", GATE_REFUSES },
	{ EARLY, 0, NULL, "limits exceeded", GATE_REFUSES },
	{ EARLY, 0, NULL, "exceeded the limit", GATE_REFUSES },
	/* Our address is not liked. */
	{ OPENING | MAIL | RCPT, 0, NULL, "blocked using", GATE_REFUSES },
	{ OPENING | MAIL | RCPT, 0, NULL, "spamhaus", GATE_REFUSES },
	{ OPENING | MAIL | RCPT, 0, NULL, "dnsbl", GATE_REFUSES },
	{ OPENING | MAIL | RCPT, 0, NULL, "client host rejected", GATE_REFUSES },
	{ OPENING, 0, NULL, "blocked", GATE_REFUSES },
	{ OPENING, 0, NULL, "blacklist", GATE_REFUSES },
	{ OPENING, 0, NULL, "blocklist", GATE_REFUSES },
	{ OPENING, 0, NULL, "block list", GATE_REFUSES },
	{ OPENING, 0, NULL, "reputation", GATE_REFUSES },
	{ OPENING, 0, NULL, "policy", GATE_REFUSES },
	{ OPENING, 0, NULL, "spam", GATE_REFUSES },
	{ OPENING, 5, "7.1", NULL, GATE_REFUSES }, /* RFC 3463: delivery not authorized */

	/* RFC 5321 3.8: the service is closing, whatever the message; but not because a connection broke (4.4.2 is also what we say). */
	{ MAIL, 421, "4.2", NULL, GATE_FINE },
	{ MAIL, 421, NULL, NULL, GATE_BUSY },
};

/* Servers repeat addresses, and those are of the user's choice: the word around each '@' is blanked before anything is looked for. */
static struct str without_addresses(struct str text, char copy[TEXT_MAX])
{
	size_t n = text.n < TEXT_MAX ? text.n : TEXT_MAX, from = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && text.p[i] != ' ')
			continue;
		if (str_find(str_make(text.p + from, i - from), '@') < i - from)
			memset(copy + from, '?', i - from);
		else
			memcpy(copy + from, text.p + from, i - from);
		if (i < n)
			copy[i] = ' ';
		from = i + 1;
	}
	return str_make(copy, n);
}

/* Does `text` hold `words` (in lower case)? */
static bool holds(struct str text, struct str words)
{
	for (size_t i = 0; i + words.n <= text.n; i++)
		if (str_ieq(str_make(text.p + i, words.n), words))
			return true;
	return false;
}

static bool fits(const struct rule *r, enum smtp_step step, struct verdict v)
{
	if (!(r->steps & (1u << step)))
		return false;
	if (r->code != 0 && r->code != v.code && r->code != v.code / 100u)
		return false;
	if (r->enhanced && !str_eq(str_from(v.enhanced, 2), str_of(r->enhanced)))
		return false;
	return !r->words || holds(v.text, str_of(r->words));
}

enum gate_state blame_reply(enum smtp_step step, struct verdict v)
{
	char copy[TEXT_MAX];

	if (v.class == OK || v.code < 400 || step == STEP_OURS)
		return GATE_FINE;
	v.text = without_addresses(v.text, copy);
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (fits(&rules[i], step, v))
			return rules[i].gate;
	return GATE_FINE;
}

enum gate_state blame_session(enum smtp_step step, enum smtp_fault fault, struct verdict v, bool by_peer)
{
	enum gate_state gate = by_peer && fault != FAULT_CONNECTION ? blame_reply(step, v) : GATE_FINE;

	if (gate != GATE_FINE)
		return gate;
	if (fault == FAULT_AUTH && by_peer && v.code / 100 == 4) /* RFC 4954 6: 454, a trouble of its own for now */
		return GATE_BUSY;
	return fault == FAULT_AUTH || fault == FAULT_TLS ? GATE_OURS : GATE_BUSY;
}

bool blame_too_many(enum smtp_step step, struct verdict v)
{
	if (step != STEP_RCPT || (v.code != 452 && v.code != 552))
		return false;
	return str_eq(str_from(v.enhanced, 2), S("5.3")) || holds(v.text, S("too many recipients")) ||
	       holds(v.text, S("too many rcpt"));
}
