/* notification_text.c - the words of notices. */
#include "report/notification.h"

#include "posthouse/meaning.h"

/* The sentence about more mail than is meant. */
static const char *misuse(const struct account_event *e)
{
	return e->is_local ? "If this much mail is not meant, look at the programs of this user (web pages, cron)."
			   : "If this much mail is not meant, somebody else may be using the password: change it.";
}

static struct str warning_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(a,
			    "%.*s has used %.*s: four fifths, or more, of what is allowed.\n\n"
			    "%s Room comes back all the time; all of it within %.*s, if nothing is sent until then.\n\n"
			    "%s\n\n"
			    "For the postmaster, what is used of all limits, and to begin anew:\n"
			    "    posthouse limits show %.*s\n"
			    "    posthouse limits reset %.*s\n"
			    "The limit itself is in the configuration, under limits.\n",
			    STR_ARG(e->name), STR_ARG(format_used(a, e->meter, e->rate, e->used)),
			    e->hold ? "Mail beyond the limit will be accepted, and held until the postmaster releases it."
				    : "Mail beyond the limit will be refused for a while; mail programs then try again later.",
			    STR_ARG(format_wait(a, e->rate.window_ms)), misuse(e), STR_ARG(login), STR_ARG(login));
}

static struct str held_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(
		a,
		"Mail of %.*s was accepted, but it is held and not sent: %.*s.\n\n"
		"The limit is %.*s. Mail that fits into it again is sent as usual; what is held waits for the postmaster. "
		"This is told once in the time of the limit, however many messages are held.\n\n"
		"%s\n\n"
		"For the postmaster, to see, to send, or to remove what is held:\n"
		"    posthouse queue list --user %.*s\n"
		"    posthouse queue release --user %.*s\n"
		"    posthouse queue remove --user %.*s\n",
		STR_ARG(e->name), STR_ARG(e->reason), STR_ARG(format_limit(a, e->meter, e->rate)), misuse(e), STR_ARG(login),
		STR_ARG(login), STR_ARG(login));
}

/* A user of this machine has no password here: it is his programs that have to be looked at. */
static struct str what_to_stop(struct arena *a, const struct account_event *e)
{
	if (e->is_local)
		return S("Was it not meant: look at the programs of this user (web pages, cron), and refuse the user "
			 "until they are mended, by refuse = true in the entry of the user in local.users, and posthouse "
			 "reload. Then:\n");
	return arena_printf(a, "Was it an intruder:\n    posthouse user passwd %.*s\n", STR_ARG(e->login));
}

static struct str breaker_text(struct arena *a, const struct account_event *e)
{
	struct str login = e->login;

	return arena_printf(
		a,
		"%s %.*s %s held from now on, because of a sudden change: %.*s.\n\n"
		"This is what it looks like when %s. Mail of this login that was not sent yet is held too; "
		"nothing is lost, and it goes on when the postmaster says so.\n\n"
		"%s"
		"For the postmaster, to see what is held:\n    posthouse queue list --user %.*s\n"
		"%.*s"
		"    posthouse queue remove --user %.*s\n"
		"    posthouse limits reset %.*s\n"
		"Was it meant:\n"
		"    posthouse limits reset %.*s\n"
		"    posthouse queue release --user %.*s\n"
		"What counts as a sudden change is in the configuration, under breaker.\n",
		e->is_local ? "The mail that" : "The mail of", STR_ARG(login), e->is_local ? "sends on this machine is" : "is",
		STR_ARG(e->reason),
		e->is_local ? "a program of this user was broken into, or repeats its mail without end" : "a password was stolen",
		e->is_local ? ""
			    : "If it was not you: change the password at once, and tell the postmaster.\n"
			      "If it was you: tell the postmaster, so that your mail can go on.\n\n",
		STR_ARG(login), STR_ARG(what_to_stop(a, e)), STR_ARG(login), STR_ARG(login), STR_ARG(login), STR_ARG(login));
}

struct str notification_upstream_text(struct arena *a, const struct cfg_upstream *u, uint64_t meaning, struct str reason,
				      uint64_t open_messages)
{
	bool sign_in = u->oauth.provider != OAUTH_NONE && u->oauth.grant == GRANT_REFRESH_TOKEN;
	/* meaning_advice() sends others to their administrator, who reads this */
	struct str what = meaning_advice(a, meaning_pack((struct meaning){ meaning_trouble(meaning), .actor = ACTOR_USER }));
	const char *hint = meaning_hint(meaning);

	return arena_printf(
		a,
		"The upstream %.*s cannot be used, and only a person can mend that.\n\n"
		"Its answer, or what failed:\n    %.*s\n\n"
		"%.*s%s%s\n\n"
		"%s%.*s%s"
		"To see whether it is mended:\n    posthouse upstream test %.*s\n"
		"When the configuration or a file with a password was changed:\n    posthouse reload\n"
		"When it was mended at the provider, so that the mail goes at once:\n    posthouse queue retry --all\n\n"
		"No mail is lost, and none is returned because of this: mail that no other upstream of its route takes waits. "
		"Posthouse tries the upstream again by itself, at growing intervals.\n"
		"Messages in the whole queue: %llu\n\n"
		"This is told once, until the upstream has worked or fails for another reason; \"posthouse status\" shows it "
		"as long as it lasts.\n",
		STR_ARG(u->name), STR_ARG(format_line(a, reason)), STR_ARG(what), *hint ? " " : "", hint,
		sign_in ? "To sign in again, when the sign-in has ended:\n    posthouse upstream login " : "",
		STR_ARG(sign_in ? u->name : S("")), sign_in ? "\n" : "", STR_ARG(u->name), (unsigned long long)open_messages);
}

struct str notification_subject(const struct account_event *e)
{
	static const char *const subjects[] = {
		[LIMIT_NEARLY_USED] = "A sending limit is nearly used up",
		[MAIL_HELD] = "Mail is held: a sending limit is used up",
		[BREAKER_TRIPPED] = "Mail is held: was a password stolen?",
	};

	if (e->kind == BREAKER_TRIPPED && e->is_local)
		return S("Mail is held: what does a program send?");
	return str_of(subjects[e->kind]);
}

struct str notification_text(struct arena *a, const struct account_event *e)
{
	if (e->kind == LIMIT_NEARLY_USED)
		return warning_text(a, e);
	if (e->kind == MAIL_HELD)
		return held_text(a, e);
	return breaker_text(a, e);
}
