/* trace_words.c - the events of a message as sentences. */
#include "trace.h"

#include "posthouse/id.h"
#include "posthouse/store.h"

/* ---- pieces ---- */

/* "TLSv1.3/TLS_AES_256_GCM_SHA384 verified" as "TLS 1.3 verified". */
static struct str tls_words(struct arena *a, struct str tls, bool of_server)
{
	struct str version = str_head(tls, str_find(tls, '/'));
	const char *verified = !of_server ? "" : str_ends(tls, S(" verified")) ? " verified" : " not verified";

	if (tls.n == 0 || str_eq(tls, S("none")))
		return S("without TLS");
	if (str_starts(version, S("TLSv")))
		version = arena_printf(a, "TLS %.*s", STR_ARG(str_from(version, 4)));
	return arena_printf(a, "%.*s%s", STR_ARG(version), verified);
}

/* " (policy: opportunistic; validation-failure)": which TLS was demanded, and why it failed. That of an upstream is no news. */
static struct str policy_words(struct arena *a, const struct event_fields *f)
{
	struct str policy = event_field(f, "tls_policy"), result = event_field(f, "tls_result");

	if (str_ends(policy, S(" by upstream")))
		policy = S("");
	if (policy.n + result.n == 0)
		return S("");
	return arena_printf(a, " (%s%.*s%s%.*s)", policy.n ? "policy: " : "", STR_ARG(policy), policy.n && result.n ? "; " : "",
			    STR_ARG(result));
}

/* ", 1.6 s"; "" when the event does not say how long the attempt took. */
static struct str took_words(struct arena *a, const struct event_fields *f)
{
	uint64_t ms;

	if (!str_to_u64(event_field(f, "took_ms"), &ms))
		return S("");
	return arena_printf(a, ", %llu.%llu s", (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 100));
}

static struct str attempt_words(struct arena *a, const struct event_fields *f)
{
	uint64_t n;
	const char *th = "th";

	if (!str_to_u64(event_field(f, "attempts"), &n) || n == 0)
		return S("");
	if (n % 100 < 11 || n % 100 > 13)
		th = n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
	return arena_printf(a, ", %llu%s attempt", (unsigned long long)n, th);
}

/* " by isp to smtp.isp.example [192.0.2.1], TLS 1.3 verified"; of a next hop that was not reached only its name. */
static struct str where_words(struct arena *a, const struct event_fields *f, const char *to)
{
	struct str route = event_field(f, "route"), remote = event_field(f, "remote");
	size_t close = str_find(remote, ']');

	route = str_starts(route, S("mx:")) ? S("mx") : str_starts(route, S("upstream:")) ? str_from(route, 9) : route;
	if (route.n > 0)
		route = arena_printf(a, " by %.*s", STR_ARG(route));
	if (remote.n == 0)
		return route;
	if (close < remote.n) /* without the port */
		remote = str_head(remote, close + 1);
	return arena_printf(a, "%.*s %s %.*s, %.*s%.*s", STR_ARG(route), to, STR_ARG(remote),
			    STR_ARG(tls_words(a, event_field(f, "tls"), true)), STR_ARG(policy_words(a, f)));
}

/* The reply on a line of its own. */
static struct str reply_line(struct arena *a, const struct event_fields *f)
{
	static const char *const parts[] = { "code", "enhanced", "reply" };
	struct str line = S("");

	for (size_t i = 0; i < 3; i++) {
		struct str part = event_field(f, parts[i]);

		if (part.n > 0 && !str_eq(part, S("0")))
			line = arena_printf(a, "%.*s%s%.*s", STR_ARG(line), line.n ? " " : "\n", STR_ARG(part));
	}
	return line;
}

/* ": the reason", or when it was. */
static struct str because(struct arena *a, const struct event_fields *f)
{
	struct str reason = event_field(f, "reason"), when = event_field(f, "when");

	if (reason.n == 0 && when.n > 0)
		return arena_printf(a, " %.*s", STR_ARG(when));
	return reason.n > 0 ? arena_printf(a, ": %.*s", STR_ARG(reason)) : S("");
}

/* The selectors of the signatures that precede the message: " s=" of each DKIM-Signature. */
static struct str signature_words(const struct traced *t, struct arena *a)
{
	struct str rest = t->prefix, words = S("");

	for (;;) {
		size_t at = str_search(rest, S("DKIM-Signature:"));
		struct str field;

		if (at == rest.n)
			break;
		rest = str_from(rest, at + 15);
		field = str_head(rest, str_search(rest, S("DKIM-Signature:")));
		at = str_search(field, S(" s="));
		if (at == field.n)
			continue;
		field = str_from(field, at + 3);
		field = str_head(field, str_find(field, ';'));
		words = arena_printf(a, "%.*s%s%.*s", STR_ARG(words), words.n ? " and " : "signed by ", STR_ARG(field));
	}
	return words.n ? words : S("not signed");
}

/* ---- the message ---- */

struct str origin_words(const struct traced *t, struct arena *a, const struct event_fields *f)
{
	struct event_fields origin = event_fields_read(a, event_field(f, "origin"));
	char id[ID_TEXT_MAX];

	if (t->kind == KIND_NOTICE)
		return S("written by the relay");
	if (t->kind != KIND_MAIL)
		return arena_printf(a, "written by the relay, a report on %s", id_format(t->parent, id));
	return arena_printf(a, "accepted from %.*s%s%.*s at %.*s, %.*s", STR_ARG(t->login), t->device.n ? "/" : "",
			    STR_ARG(t->device), STR_ARG(event_field(&origin, "client")),
			    STR_ARG(tls_words(a, event_field(&origin, "tls"), false)));
}

static struct str accepted(const struct traced *t, struct arena *a, const struct event_fields *f)
{
	struct str held = event_field(f, "held"), wish = event_field(f, "tls_wish");

	return arena_printf(a, "%.*s, stored%s%s%.*s%s%.*s", STR_ARG(signature_words(t, a)),
			    t->kind == KIND_MAIL ? ", 250 given" : "", wish.n ? ", asks for " : "", STR_ARG(wish),
			    held.n ? ", held: " : "", STR_ARG(held));
}

/* ---- deliveries ---- */

static struct str sent(struct arena *a, const struct event_fields *f)
{
	return arena_printf(a, "delivered%.*s%.*s%.*s%.*s", STR_ARG(where_words(a, f, "to")), STR_ARG(took_words(a, f)),
			    STR_ARG(attempt_words(a, f)), STR_ARG(reply_line(a, f)));
}

static struct str refused(struct arena *a, const struct event_fields *f, const char *what)
{
	struct str class = event_field(f, "class"), who = event_field(f, "who"), words;

	words = class.n ? arena_printf(a, " (%.*s%s%.*s)", STR_ARG(class), who.n ? ", to be mended by: " : "", STR_ARG(who))
			: S("");
	return arena_printf(a, "%s%.*s%.*s%.*s%.*s%.*s", what, STR_ARG(where_words(a, f, "at")), STR_ARG(took_words(a, f)),
			    STR_ARG(attempt_words(a, f)), STR_ARG(reply_line(a, f)), STR_ARG(words));
}

static struct str deferred(struct arena *a, const struct event_fields *f)
{
	uint64_t ms;
	struct str words = refused(a, f, "not yet");

	if (!str_to_u64(event_field(f, "due_in_ms"), &ms))
		return words;
	return arena_printf(a, "%.*s\nNext attempt in %.*s", STR_ARG(words), STR_ARG(age_text(a, ms)));
}

/* ---- all ---- */

static const struct {
	const char *event, *words; /* words: where there is no more to say than a reason */
} simple[] = {
	{ "mail.held", "held" },
	{ "mail.released", "released" },
	{ "mail.retried", "to be tried again at once" },
	{ "mail.removed", "removed" },
	{ "mail.bounced", "returned to its sender" },
	{ "mail.renumbered", "imported, under a new id" },
	{ "mail.discarded", "nobody is told of the failure" },
	{ "delivery.unknown", "perhaps delivered" },
};

static struct str words_of(const struct traced *t, struct arena *a, struct str event, const struct event_fields *f,
			   struct str raw)
{
	if (str_eq(event, S("mail.accepted")))
		return accepted(t, a, f);
	if (str_eq(event, S("delivery.sent")))
		return sent(a, f);
	if (str_eq(event, S("delivery.failed")))
		return refused(a, f, "failed");
	if (str_eq(event, S("delivery.held")))
		return refused(a, f, "held");
	if (str_eq(event, S("delivery.deferred")))
		return deferred(a, f);
	if (str_eq(event, S("delivery.late")))
		return refused(a, f, "a result that came too late to change anything");
	if (str_eq(event, S("delivery.rerouted")))
		return refused(a, f, "takes the next choice of its route; not");
	if (str_eq(event, S("mail.rerouted")))
		return arena_printf(a, "sent another way%s%.*s%.*s", event_field(f, "via").n ? ", via " : "",
				    STR_ARG(event_field(f, "via")), STR_ARG(because(a, f)));
	if (str_eq(event, S("mail.reported")))
		return arena_printf(a, "its sender is told by the report %.*s to %.*s", STR_ARG(event_field(f, "report")),
				    STR_ARG(event_field(f, "to")));
	for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
		if (str_eq(event, str_of(simple[i].event)))
			return arena_printf(a, "%s%.*s", simple[i].words, STR_ARG(because(a, f)));
	return arena_printf(a, "%.*s %.*s", STR_ARG(event), STR_ARG(raw));
}

/* "… (node 2)" at the end of the first line: of several nodes the one that has done it. */
static struct str with_node(struct arena *a, struct str words, const struct event_fields *f)
{
	struct str node = event_field(f, "node"), line = str_head(words, str_find(words, '\n'));

	if (node.n == 0)
		return words;
	return arena_printf(a, "%.*s (node %.*s)%.*s", STR_ARG(line), STR_ARG(node), STR_ARG(str_from(words, line.n)));
}

struct str event_words(const struct traced *t, struct arena *a, const struct rec_event_row *e)
{
	struct event_fields f = event_fields_read(a, e->fields);
	struct str words = with_node(a, words_of(t, a, e->name, &f, e->fields), &f), to = event_field(&f, "recipient");

	if (to.n == 0 && e->n > 0 && e->n <= t->addresses_n)
		to = t->addresses[e->n - 1];
	return to.n ? arena_printf(a, "%.*s: %.*s", STR_ARG(to), STR_ARG(words)) : words;
}
