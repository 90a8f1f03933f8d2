/* reply_class.c - see reply_class.h. */
#include "reply_class.h"
#include "server_words.h"

#include "posthouse/units.h"

#define TOLD_MAX_MS DAY_MS /* of a pause that a server asks for */

/* ---- the table ---- */

#define OPENING (1u << STEP_OPENING)
#define AUTH    (1u << STEP_AUTH)
#define MAIL    (1u << STEP_MAIL)
#define RCPT    (1u << STEP_RCPT)
#define DATA    (1u << STEP_DATA)
#define ANY     (OPENING | AUTH | MAIL | RCPT | DATA)

#define AT_MX(steps) ((steps) << 8)

#define SCOPE_ACCOUNT SCOPES /* decided by the place: see narrow() */

#define SCHEDULE   0
#define SECONDS(n) ((n)*SECOND_MS)
#define MINUTES(n) ((n)*MINUTE_MS)
#define HOURS(n)   ((n)*HOUR_MS)
#define DAYS(n)    ((n)*DAY_MS)
#define NEVER      UINT64_MAX

struct reply {
	unsigned steps, code;
	const char *enhanced, *words;
};

static const struct rule {
	struct reply reply;
	enum trouble trouble;
	enum actor actor;
	unsigned scope; /* enum scope, or SCOPE_ACCOUNT */
	uint64_t pause_ms;
} rules[] = {
#define REPLY(steps, code, enhanced, words, trouble, actor, scope, pause)                                                        \
	{ { steps, code, enhanced, words }, TROUBLE_##trouble, ACTOR_##actor, SCOPE_##scope, pause },
#define EXPLAIN(hint, server, steps, code, enhanced, words)
#include "replies.def"

#undef REPLY
#undef EXPLAIN
};

static const struct explanation {
	struct reply reply;
	enum hint hint;
	const char *server; /* parts of its host or greeting, with '|' between; NULL: any server */
} explanations[] = {
#define REPLY(steps, code, enhanced, words, trouble, actor, scope, pause)
#define EXPLAIN(hint, server, steps, code, enhanced, words) { { steps, code, enhanced, words }, HINT_##hint, server },
#include "replies.def"

#undef REPLY
#undef EXPLAIN
};

/* ---- matching ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Does "7.26" fit "7.25|7.26", "7.*" or "7.2?"? */
static bool code_fits(struct str code, const char *patterns)
{
	struct str rest = str_of(patterns), p;

	while (str_split(&rest, '|', &p)) {
		size_t i = 0;

		while (i < p.n && i < code.n && (p.p[i] == code.p[i] || (p.p[i] == '?' && is_digit(code.p[i]))))
			i++;
		if ((i == p.n && i == code.n) || (i + 1 == p.n && p.p[i] == '*'))
			return true;
	}
	return false;
}

static bool fits(const struct reply *r, struct place p, struct verdict v, struct str words)
{
	unsigned step = 1u << p.step;

	if (!(r->steps & (p.mx ? step | AT_MX(step) : step)))
		return false;
	if (r->code != 0 && r->code != v.code && r->code != v.code / 100u)
		return false;
	if (r->enhanced && !code_fits(str_from(v.enhanced, 2), r->enhanced))
		return false;
	return !r->words || server_words_fit(words, r->words);
}

/* Some servers have the enhanced code (RFC 3463) within the text ("#5.1.0", "(4.7.1)"). Without such a mark the digits can mean
 * anything. */
static struct str hidden_code(struct verdict v)
{
	for (size_t i = 0; i + 5 < v.text.n && i < 40; i++) {
		struct str code = str_from(v.text, i + 1);
		size_t n = 0, dots = 0;

		if ((v.text.p[i] != '#' && v.text.p[i] != '(' && v.text.p[i] != '[') || code.p[0] != (char)('0' + v.code / 100))
			continue;
		while (n < code.n && (is_digit(code.p[n]) || code.p[n] == '.'))
			dots += code.p[n++] == '.';
		if (dots == 2 && n >= 5 && code.p[1] == '.')
			return str_head(code, n);
	}
	return S("");
}

static const struct rule *find(struct place place, struct verdict v, struct str words)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (fits(&rules[i].reply, place, v, words))
			return &rules[i];
	return NULL;
}

static bool is_server(struct str server, const char *parts)
{
	struct str rest = str_of(parts ? parts : ""), part;

	while (str_split(&rest, '|', &part))
		for (size_t i = 0; i < server.n; i++)
			if (str_istarts(str_from(server, i), part))
				return true;
	return parts == NULL;
}

static enum hint find_hint(struct place place, struct verdict v, struct str words)
{
	for (size_t i = 0; i < sizeof explanations / sizeof *explanations; i++)
		if (is_server(place.server, explanations[i].server) && fits(&explanations[i].reply, place, v, words))
			return explanations[i].hint;
	return HINT_NONE;
}

/* ---- consequences ---- */

/* Somebody other than the sender can mend the fault, and then the message goes: a 5xx for this is not final. */
static bool can_be_mended(const struct rule *r)
{
	switch (r->trouble) {
	case TROUBLE_LOGIN:
	case TROUBLE_SETUP:
	case TROUBLE_TLS: return true;
	case TROUBLE_REPUTATION: return r->scope != SCOPE_RECIPIENT;
	default: return false;
	}
}

/* The pause between tries that show whether the fault has been mended. */
static uint64_t mending_ms(const struct meaning *m)
{
	if (m->trouble == TROUBLE_REPUTATION)
		return DAY_MS;
	return m->scope == SCOPE_HOP ? 10 * MINUTE_MS : HOUR_MS;
}

static bool may_name_time(enum trouble t)
{
	return t == TROUBLE_GREYLIST || t == TROUBLE_RATE || t == TROUBLE_QUOTA || t == TROUBLE_TEMPORARY;
}

/* The scope of a refusal at this place. Before MAIL it is the whole next hop. This relay has an account at an upstream, but
 * neither an account nor a set-up at an MX host: such a refusal there concerns this mail, and no administrator can mend it. */
static void narrow(struct meaning *m, unsigned scope, struct place p, struct verdict v)
{
	m->scope = scope == SCOPE_ACCOUNT ? p.mx ? SCOPE_SENDER : SCOPE_HOP : (enum scope)scope;
	if ((p.step == STEP_OPENING || p.step == STEP_AUTH) && m->scope != SCOPE_FAMILY)
		m->scope = SCOPE_HOP;
	if (p.mx && m->trouble == TROUBLE_SETUP && m->scope != SCOPE_FAMILY && p.step >= STEP_MAIL) {
		m->scope = SCOPE_RECIPIENT;
		m->waits = v.code < 500;
	}
	/* an upstream that refuses all reports: these wait, other mail goes */
	if (!p.mx && p.null_sender && p.step == STEP_MAIL && v.code >= 500 && m->scope != SCOPE_HOP) {
		m->trouble = TROUBLE_SETUP;
		m->actor = ACTOR_ADMIN;
		m->scope = SCOPE_MESSAGE;
		m->waits = true;
		m->hint = HINT_NULL_SENDER;
	}
}

/* The pause that the words name, a day at most; 0: none. */
static uint64_t told_ms(struct str words)
{
	uint64_t told = server_words_wait_ms(words);

	return told < TOLD_MAX_MS ? told : TOLD_MAX_MS;
}

struct meaning reply_class(struct place place, struct verdict v)
{
	struct meaning m = { .scope = SCOPE_MESSAGE, .waits = v.class == TEMP };
	char copy[SERVER_WORDS_MAX];
	const struct rule *r;
	struct str words;
	uint64_t told;

	if (v.class == OK || v.code < 400 || place.step == STEP_OURS)
		return m;
	words = server_words(v.text, copy);
	if (v.enhanced.n == 0)
		v.enhanced = hidden_code(v);
	m.hint = find_hint(place, v, words);
	r = find(place, v, words);
	if (!r)
		return m;
	m.trouble = r->trouble;
	m.actor = r->actor;
	m.waits = v.code < 500 || r->pause_ms != NEVER || can_be_mended(r);
	narrow(&m, r->scope, place, v);
	if (!m.waits)
		return m;
	told = may_name_time(m.trouble) ? told_ms(words) : 0;
	m.pause_ms = told > 0 ? told : r->pause_ms;
	if (m.pause_ms == NEVER)
		m.pause_ms = can_be_mended(r) ? mending_ms(&m) : SCHEDULE;
	return m;
}

enum gate_state reply_class_gate(struct meaning m)
{
	if (m.scope != SCOPE_HOP && m.scope != SCOPE_FAMILY)
		return GATE_FINE;
	switch (m.trouble) {
	case TROUBLE_LOGIN:
	case TROUBLE_SETUP:
	case TROUBLE_TLS: return GATE_OURS;
	case TROUBLE_NONE:
	case TROUBLE_TEMPORARY: return GATE_BUSY;
	default: return GATE_REFUSES;
	}
}

bool reply_class_is_plain(enum smtp_step step, struct verdict v)
{
	char copy[SERVER_WORDS_MAX];
	struct str words = server_words(v.text, copy);

	if (server_words_fit(words,
			     "client host|client ip|client address|your ip|sending ip|this ip|ip |ip address|your host|"
			     "your server|your mta|your mail server|your network|part of their network|host address|"
			     "connecting host|dynamic ip|dynamic address|dial up|dialup|residential|blocked using|block list|"
			     "blocklist|blacklist|black list|denylist|deny list|dnsbl|rbl|spamhaus|spamcop|barracuda|sorbs|"
			     "uceprotect|abuseat|senderscore|cloudmark|listed at|listed in|listed on|listed by|is listed|"
			     "delist|removal request|bl21|ts03|ts09|tss09"))
		return true;
	return step == STEP_DATA &&
	       server_words_fit(words, "account|tenant|outbound|outboundspam|quota|credits|sending limit|daily|monthly|"
				       "suspended|sending activity|suspicious activity|sending paused|sending is paused|"
				       "sending disabled|sending is disabled|sending has been|sending suspended");
}

struct meaning reply_class_session(struct place place, enum smtp_fault fault, struct verdict v, bool by_peer)
{
	struct meaning m = { .trouble = TROUBLE_TEMPORARY, .scope = SCOPE_HOP, .waits = true };
	char copy[SERVER_WORDS_MAX];

	if (by_peer && fault != FAULT_CONNECTION) {
		m = reply_class(place, v);
		m.waits = true;
		if (m.trouble == TROUBLE_NONE)
			m.trouble = TROUBLE_TEMPORARY;
		if (fault == FAULT_TLS && m.trouble == TROUBLE_TEMPORARY)
			m.trouble = TROUBLE_TLS;
	} else if (fault == FAULT_LOOP) {
		m.trouble = place.mx ? TROUBLE_TEMPORARY : TROUBLE_SETUP;
		m.actor = ACTOR_ADMIN;
	} else if (fault == FAULT_AUTH && (str_eq(v.enhanced, S("4.3.0")) || (v.code == 454 && str_eq(v.enhanced, S("4.7.0"))))) {
		m.pause_ms = told_ms(server_words(v.text, copy)); /* vault cannot answer now, but later: it waits for a token */
	} else if (fault == FAULT_TLS || fault == FAULT_AUTH) {
		m.trouble = fault == FAULT_TLS ? TROUBLE_TLS : TROUBLE_LOGIN;
		/* RFC 3463 3.8: X.7 is about credentials; what else keeps us from a login passes, such as a provider of tokens
		 * that does not answer */
		m.actor = fault == FAULT_TLS || str_starts(str_from(v.enhanced, 2), S("7.")) ? ACTOR_ADMIN : ACTOR_NOBODY;
		if (place.mx &&
		    fault == FAULT_TLS) /* the server breaks the policy of its domain, and most often for a short time */
			m.actor = ACTOR_NOBODY;
	}
	m.scope = SCOPE_HOP;
	return m;
}

/* ---- recipients for another transaction ---- */

bool reply_class_too_many(enum smtp_step step, struct verdict v)
{
	char copy[SERVER_WORDS_MAX];
	struct str words;

	if (step != STEP_RCPT || v.code < 400)
		return false;
	words = server_words(v.text, copy);
	if (server_words_fit(words, "hour|day|daily|today|minute|month|hourly|24h"))
		return false; /* a limit for a time, not for a transaction */
	return str_eq(str_from(v.enhanced, 2), S("5.3")) || reply_class_one_domain(step, v) ||
	       server_words_fit(words, "too many recipients|too many rcpt|only one recipient|one recipient at a time|"
				       "recipients per message|maximum number of recipients|recipient limit");
}

bool reply_class_one_domain(enum smtp_step step, struct verdict v)
{
	char copy[SERVER_WORDS_MAX];

	return step == STEP_RCPT && v.code >= 400 &&
	       server_words_fit(server_words(v.text, copy),
				"multiple destination domains|multiple domains|one domain&transaction|"
				"message|time|supported");
}
