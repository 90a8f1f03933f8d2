/* status.c - RFC 3463 status codes in plain words. */
#include "status.h"

/* By subject and detail, the class left out. */
static const struct {
	struct str detail;
	const char *words;
} meanings[] = {
	{ S("1.0"), "There is something wrong with this address. Check how it is written." },
	{ S("1.1"), "This address does not exist there. Check how it is written, and send the message again." },
	{ S("1.2"), "The part after the @ is no place that takes mail. Check how the address is written." },
	{ S("1.3"), "This is not how an address is written. Check it, and send the message again." },
	{ S("1.6"), "The recipient has moved and left no new address. Ask for it in another way." },
	{ S("1.7"), "The address that the message comes from was not accepted. Your administrator can help." },
	{ S("1.8"), "The address that the message comes from was not accepted. Your administrator can help." },
	{ S("1.10"), "The part after the @ says that it takes no mail. Check how the address is written." },
	{ S("2.1"), "This mailbox is closed. Reach the recipient in another way." },
	{ S("2.2"), "The recipient's mailbox is full. Try again later, or reach the recipient in another way." },
	{ S("2.3"), "The message is too large for this mailbox. Make it smaller, or share the large part in another way." },
	{ S("3.4"), "The message is too large for this server. Make it smaller, or share the large part in another way." },
	{ S("4.1"), "The recipient's mail server could not be reached." },
	{ S("4.3"), "It could not be found out which server takes mail for this address." },
	{ S("4.4"), "It could not be found out which server takes mail for this address. Check how it is written." },
	{ S("4.6"), "The message goes round in a loop between mail servers. Your administrator can help." },
	{ S("4.7"), "The message could not be delivered within the time that it had." },
	{ S("5.3"), "The message has too many recipients. Send it to fewer at a time." },
	{ S("6.1"), "The recipient's server does not take this kind of content." },
	{ S("6.3"), "The recipient's server does not take this kind of content." },
	{ S("6.7"), "The recipient's server cannot handle addresses with letters beyond English ones." },
	{ S("7.0"), "The recipient's server refused the message by its rules. It may have taken it for spam." },
	{ S("7.1"), "The recipient's server refused the message by its rules. It may have taken it for spam, or takes mail "
		    "from certain senders only." },
	{ S("7.2"), "You may not write to this mailing list." },
	{ S("7.8"), "The next mail server did not accept this relay's login. Your administrator can help." },
	{ S("7.23"), "The recipient's server did not believe that the message comes from you. Your administrator can help." },
	{ S("7.26"), "The recipient's server did not believe that the message comes from you. Your administrator can help." },
};

/* Digits, one to three (RFC 3463 2), taken from the front. */
static bool take_number(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	*rest = str_from(*rest, n);
	return n >= 1 && n <= 3;
}

/* "class.subject.detail" with a class that says that something is wrong. */
static bool well_formed(struct str s)
{
	if (!str_starts(s, S("4.")) && !str_starts(s, S("5.")))
		return false;
	s = str_from(s, 2);
	if (!take_number(&s) || !str_starts(s, S(".")))
		return false;
	s = str_from(s, 1);
	return take_number(&s) && s.n == 0;
}

struct str status_code(const struct verdict *v)
{
	if (well_formed(v->enhanced))
		return v->enhanced;
	return v->class == TEMP ? S("4.0.0") : S("5.0.0");
}

struct str status_words(const struct verdict *v)
{
	struct str detail = str_from(status_code(v), 2);

	if (v->class == TEMP)
		return S(
			"It was tried again and again, and the time for that is over. Send it again later, or reach the recipient in "
			"another way.");
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		if (str_eq(detail, meanings[i].detail))
			return str_of(meanings[i].words);
	}
	return S("The message was refused for this address, and trying again would not help.");
}
