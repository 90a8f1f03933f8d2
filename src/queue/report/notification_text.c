/* notification_text.c - the words of notices. */
#include "report/notification.h"

static struct str warning_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(a,
			    "%.*s has used %.*s: four fifths, or more, of what is allowed.\n\n"
			    "%s Room comes back all the time; all of it within %.*s, if nothing is sent until then.\n\n"
			    "If this much mail is not meant, somebody else may be using the password: change it.\n\n"
			    "For the postmaster, what is used of all limits, and to begin anew:\n"
			    "    posthouse limits show %.*s\n"
			    "    posthouse limits reset %.*s\n"
			    "The limit itself is in the configuration, under limits.\n",
			    STR_ARG(e->name), STR_ARG(format_used(a, e->meter, e->rate, e->used)),
			    e->hold ? "Mail beyond the limit will be accepted, and held until the postmaster releases it."
				    : "Mail beyond the limit will be refused for a while; mail programs then try again later.",
			    STR_ARG(format_wait(a, e->rate.window_ms)), STR_ARG(login), STR_ARG(login));
}

static struct str held_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(
		a,
		"Mail of %.*s was accepted, but it is held and not sent: %.*s.\n\n"
		"The limit is %.*s. Mail that fits into it again is sent as usual; what is held waits for the postmaster. "
		"This is told once in the time of the limit, however many messages are held.\n\n"
		"If this much mail is not meant, somebody else may be using the password: change it.\n\n"
		"For the postmaster, to see, to send, or to remove what is held:\n"
		"    posthouse queue list --user %.*s\n"
		"    posthouse queue release --user %.*s\n"
		"    posthouse queue remove --user %.*s\n",
		STR_ARG(e->name), STR_ARG(e->reason), STR_ARG(format_limit(a, e->meter, e->rate)), STR_ARG(login), STR_ARG(login),
		STR_ARG(login));
}

static struct str breaker_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(
		a,
		"The mail of %.*s is held from now on, because of a sudden change: %.*s.\n\n"
		"This is what it looks like when a password was stolen. Mail of this login that was not sent yet is held too; "
		"nothing is lost, and it goes on when the postmaster says so.\n\n"
		"If it was not you: change the password at once, and tell the postmaster.\n"
		"If it was you: tell the postmaster, so that your mail can go on.\n\n"
		"For the postmaster, to see what is held:\n    posthouse queue list --user %.*s\nWas it an intruder:\n"
		"    posthouse user passwd %.*s\n"
		"    posthouse queue remove --user %.*s\n"
		"    posthouse limits reset %.*s\n"
		"Was it meant:\n"
		"    posthouse limits reset %.*s\n"
		"    posthouse queue release --user %.*s\n"
		"What counts as a sudden change is in the configuration, under breaker.\n",
		STR_ARG(login), STR_ARG(e->reason), STR_ARG(login), STR_ARG(login), STR_ARG(login), STR_ARG(login),
		STR_ARG(login), STR_ARG(login));
}

struct str notification_subject(const struct account_event *e)
{
	static const char *const subjects[] = {
		[LIMIT_NEARLY_USED] = "A sending limit is nearly used up",
		[MAIL_HELD] = "Mail is held: a sending limit is used up",
		[BREAKER_TRIPPED] = "Mail is held: was a password stolen?",
	};

	return str_of(subjects[e->kind]);
}

struct str notification_text(struct arena *a, const struct account_event *e)
{
	if (e->kind == LIMIT_NEARLY_USED)
		return warning_text(a, e);
	return e->kind == MAIL_HELD ? held_text(a, e) : breaker_text(a, e);
}
