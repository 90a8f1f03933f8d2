/* ehlo.c - EHLO and HELO (RFC 5321 4.1.1.1), and what of extensions.def is offered when. */
#include "server.h"

#include "posthouse/date.h"

static bool without_tls(const struct smtp_server *s)
{
	return !s->tls && s->config->can_starttls;
}

static bool when_auth_is_safe(const struct smtp_server *s)
{
	return (s->tls || !s->config->tls_required) && s->config->mechanisms.n > 0;
}

static bool with_tls(const struct smtp_server *s)
{
	return s->tls;
}

/* Some old clients know no other form than that of a draft of RFC 2554. */
static bool when_old_clients(const struct smtp_server *s)
{
	return when_auth_is_safe(s) && s->config->auth_equals;
}

static bool with_limits(const struct smtp_server *s)
{
	return s->config->recipients > 0 || s->config->messages > 0;
}

static bool when_future_release(const struct smtp_server *s)
{
	return s->config->future_release_s > 0;
}

static void size_limit(const struct smtp_server *s, struct buf *b)
{
	buf_printf(b, " %llu", (unsigned long long)s->config->message_size); /* 0: no fixed limit (RFC 1870 section 4) */
}

static void mechanism_list(const struct smtp_server *s, struct buf *b)
{
	buf_add_char(b, ' ');
	buf_add(b, s->config->mechanisms);
}

static void equals_mechanism_list(const struct smtp_server *s, struct buf *b)
{
	buf_add_char(b, '=');
	buf_add(b, s->config->mechanisms);
}

/* RFC 9422 section 4. */
static void limit_list(const struct smtp_server *s, struct buf *b)
{
	if (s->config->messages > 0)
		buf_printf(b, " MAILMAX=%llu", (unsigned long long)s->config->messages);
	if (s->config->recipients > 0)
		buf_printf(b, " RCPTMAX=%llu", (unsigned long long)s->config->recipients);
}

/* RFC 4865 section 3: the interval in seconds, and the time that it ends at. */
static void future_release(const struct smtp_server *s, struct buf *b)
{
	uint64_t most = s->config->future_release_s;

	buf_printf(b, " %llu ", (unsigned long long)most);
	date_add(b, s->config->now_ms() + most * 1000);
}

static const struct extension {
	struct str keyword, source;
	bool (*offered)(const struct smtp_server *s);
	void (*argument)(const struct smtp_server *s, struct buf *b);
} extensions[] = {
#define EXTENSION(keyword, source, when, argument) { S(keyword), S(source), when, argument },
#include "extensions.def"
#undef EXTENSION
};

bool server_offers_mechanism(const struct smtp_server *s, struct str mechanism)
{
	struct str list = s->config->mechanisms, name;

	while (str_split(&list, ' ', &name))
		if (name.n > 0 && str_ieq(name, mechanism))
			return true;
	return false;
}

void server_add_extensions(const struct smtp_server *s, bool with_source, struct buf *b)
{
	size_t n = sizeof(extensions) / sizeof(extensions[0]);

	for (size_t i = 0; i < n; i++) {
		if (extensions[i].offered != NULL && !extensions[i].offered(s))
			continue;
		buf_add_char(b, '\n');
		buf_add(b, extensions[i].keyword);
		if (extensions[i].argument != NULL)
			extensions[i].argument(s, b);
		if (with_source)
			buf_printf(b, " (%.*s)", STR_ARG(extensions[i].source));
	}
}

static void say_extensions(struct smtp_server *s)
{
	struct buf lines;

	buf_init(&lines, OUTPUT_ENOUGH);
	buf_add(&lines, s->config->hostname);
	server_add_extensions(s, false, &lines);
	server_say(s, 250, S(""), buf_view(&lines));
	buf_fini(&lines);
}

/* Any name is accepted, also one with blanks or of 300 bytes: clients send the name that their machine has for itself, and
 * nothing is derived from it. But there must be a name (RFC 5321 4.1.1.1); the reply tells people who type by hand. */
bool server_ehlo(struct smtp_server *s, struct str argument, bool esmtp)
{
	if (argument.n == 0)
		return server_say(
			s, 501, S("5.5.4"),
			esmtp ? S("A name is missing: type EHLO and the name of your computer, as in EHLO pc.example.org")
			      : S("A name is missing: type HELO and the name of your computer, as in HELO pc.example.org"));
	if (server_in_transaction(s)) {
		s->due |= DUE_RESET;
		server_end_transaction(s);
	} else {
		server_enter(s, SERVER_READY);
	}
	s->esmtp = esmtp;
	s->helo = arena_str(&s->scratch, argument);
	s->due |= DUE_HELO;
	if (esmtp)
		say_extensions(s);
	else
		server_say(s, 250, S(""), s->config->hostname);
	return false;
}
