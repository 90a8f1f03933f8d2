/* status.c - RFC 3463 status codes in plain words. */
#include "status.h"

#define ADMINISTRATOR "Your administrator can help."
#define OTHER_WAY     "Reach the recipient in another way."
#define CHECK         "Check how the address is written, and send the message again."
#define SMALLER       "Make it smaller, or share the large part in another way."

/* By subject and detail, without the class; a row with one digit is for a whole subject. */
struct meaning {
	struct str detail;
	const char *refused; /* what a final refusal means */
	const char *advice;
	const char *waiting; /* the meaning while delivery is still tried; NULL: nothing helpful is known */
};
static const struct meaning meanings[] = {
	{ S("1.1"), "This address does not exist there.", CHECK,
	  "The recipient's mail server does not know this address at the moment." },
	{ S("1.2"), "The part after the @ is no place that takes mail.", CHECK,
	  "It is not known at the moment where mail for this address goes." },
	{ S("1.3"), "This is not how an address is written.", CHECK, NULL },
	{ S("1.6"), "The recipient has moved and left no new address.", "Ask for it in another way.", NULL },
	{ S("1.7"), "The address that the message comes from was not accepted.", ADMINISTRATOR, NULL },
	{ S("1.8"), "The address that the message comes from was not accepted.", ADMINISTRATOR, NULL },
	{ S("1.10"), "The part after the @ says that it takes no mail.", CHECK, NULL },
	{ S("1"), "There is something wrong with this address.", CHECK, NULL },
	{ S("2.0"), "The recipient's mailbox did not take the message.", OTHER_WAY, NULL }, /* greylisting says 4.2.0 */
	{ S("2.1"), "This mailbox is closed.", OTHER_WAY, "This mailbox takes no mail at the moment." },
	{ S("2.2"), "The recipient's mailbox is full.", "Try again later, or reach the recipient in another way.",
	  "The recipient's mailbox is full." },
	{ S("2.3"), "The message is too large for this mailbox.", SMALLER, NULL },
	{ S("2"), "The recipient's mailbox did not take the message.", OTHER_WAY,
	  "The recipient's mailbox does not take mail at the moment." },
	{ S("3.1"), "The recipient's mail server has no room left.", OTHER_WAY,
	  "The recipient's mail server has no room left at the moment." },
	{ S("3.4"), "The message is too large for this server.", SMALLER, NULL },
	{ S("3"), "The recipient's mail server cannot handle the message.", ADMINISTRATOR,
	  "The recipient's mail server is busy or has trouble of its own." },
	{ S("4.1"), "The recipient's mail server could not be reached.", CHECK,
	  "The recipient's mail server could not be reached." },
	{ S("4.2"), "The connection with the recipient's mail server broke.", OTHER_WAY,
	  "The connection with the recipient's mail server broke." },
	{ S("4.3"), "It could not be found out which server takes mail for this address.", CHECK,
	  "It could not be found out which server takes mail for this address." },
	{ S("4.4"), "It could not be found out which server takes mail for this address.", CHECK,
	  "It could not be found out which server takes mail for this address." },
	{ S("4.5"), "The recipient's mail server is too busy.", OTHER_WAY, "The recipient's mail server is too busy." },
	{ S("4.6"), "The message goes round in a loop between mail servers.", ADMINISTRATOR,
	  "The message goes round in a loop between mail servers." },
	{ S("4.7"), "The message could not be delivered within the time that it had.", OTHER_WAY, NULL },
	{ S("4"), "The recipient's mail server could not be reached.", OTHER_WAY,
	  "The recipient's mail server could not be reached." },
	{ S("5.3"), "The message has too many recipients.", "Send it to fewer at a time.", NULL },
	{ S("6.1"), "The recipient's server does not take this kind of content.", OTHER_WAY, NULL },
	{ S("6.3"), "The recipient's server takes plain English letters only, and the message could not be changed to that.",
	  "Do not sign or encrypt it, use English letters only, or ask your administrator.", NULL },
	{ S("6.7"), "The recipient's server cannot handle addresses with letters beyond English ones.", OTHER_WAY, NULL },
	{ S("6"), "The recipient's server does not take this kind of content.", OTHER_WAY, NULL },
	{ S("7.2"), "You may not write to this mailing list.", "Its owner can help.", NULL },
	{ S("7.8"), "The next mail server did not accept this relay's login.", ADMINISTRATOR,
	  "The next mail server does not accept this relay's login. Your administrator can help." },
	{ S("7.23"), "The recipient's server did not believe that the message comes from you.", ADMINISTRATOR, NULL },
	{ S("7.26"), "The recipient's server did not believe that the message comes from you.", ADMINISTRATOR, NULL },
	{ S("7"), "The recipient's server refused the message by its rules.",
	  "It may have taken it for spam, or knows only certain senders. Reach the recipient in another way, or ask your "
	  "administrator.",
	  "The recipient's mail server wants to see the message again later, as many do when a sender is new to them." },
};

/* RFC 5321 4.2: reply codes that say something without a status code. */
static const struct {
	unsigned code;
	struct str detail;
} codes[] = {
	{ 421, S("3") },   { 422, S("2.2") }, { 442, S("4.2") }, { 452, S("3.1") },  { 521, S("1.10") },
	{ 523, S("2.3") }, { 530, S("7.8") }, { 534, S("3.4") }, { 535, S("7.8") },  { 541, S("7") },
	{ 551, S("1.6") }, { 552, S("3.4") }, { 553, S("1") },   { 556, S("1.10") },
};

static bool well_formed(struct str s)
{
	return s.n > 0 && enhanced_length(s) == s.n;
}

struct str status_code(struct arena *a, const struct verdict *v, char class)
{
	char own = well_formed(v->enhanced) ? *v->enhanced.p : '\0';

	if (own == class || (class == '5' && own == '4'))
		return v->enhanced;
	/* an answer of class 5 that is treated as temporary, such as a refused login: its subject is kept (RFC 3464 2.3.4) */
	if (own == '5' && class == '4')
		return arena_printf(a, "4%.*s", STR_ARG(str_from(v->enhanced, 1)));
	if (class == '5' && v->class == TEMP)
		class = '4';
	return arena_printf(a, "%c.0.0", class);
}

static const struct meaning *find(struct str detail)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		if (str_eq(detail, meanings[i].detail))
			return &meanings[i];
	}
	return NULL;
}

/* The nearest meaning: of the status code, of its subject, of the reply code; NULL for none. */
static const struct meaning *find_meaning(const struct verdict *v)
{
	const struct meaning *m = NULL;
	struct str detail = str_from(v->enhanced, 2);

	if (well_formed(v->enhanced) && !str_eq(detail, S("0.0"))) {
		m = find(detail);
		return m ? m : find(str_head(detail, str_find(detail, '.')));
	}
	for (size_t i = 0; i < sizeof codes / sizeof *codes && !m; i++) {
		if (codes[i].code == v->code)
			m = find(codes[i].detail);
	}
	return m;
}

struct str status_failed(struct arena *a, const struct verdict *v)
{
	const struct meaning *m = find_meaning(v);

	if (v->class == TEMP) {
		const char *why = m && m->waiting ? m->waiting : "";
		return arena_printf(
			a,
			"%s%sIt was tried again and again, and the time for that is over. Send it again later, or reach the "
			"recipient in another way.",
			why, *why ? " " : "");
	}
	if (!m)
		return S("The message was refused for this address, and trying again would not help.");
	return arena_printf(a, "%s %s", m->refused, m->advice);
}

struct str status_waiting(const struct verdict *v)
{
	const struct meaning *m = find_meaning(v);

	if (v->class == OK)
		return S("It could not be tried yet.");
	return m && m->waiting ? str_of(m->waiting) : S("The recipient's mail server has not taken the message yet.");
}
