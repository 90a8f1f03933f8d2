/* server_ehlo.c - EHLO and HELO (RFC 5321 4.1.1.1), and what of extensions.def is offered when. */
#include "server.h"

#define NAME_MAX_OCTETS 255

static bool always(const struct smtp_server *s)
{
	return true;
}

static bool without_tls(const struct smtp_server *s)
{
	return !s->tls && s->config->can_starttls;
}

static bool when_auth_is_safe(const struct smtp_server *s)
{
	return (s->tls || !s->config->tls_required) && s->config->mechanisms.n > 0;
}

static void no_argument(const struct smtp_server *s, struct buf *b)
{
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

static const struct extension {
	struct str keyword;
	bool (*offered)(const struct smtp_server *s);
	void (*argument)(const struct smtp_server *s, struct buf *b);
} extensions[] = {
#define EXTENSION(keyword, source, when, argument) { S(keyword), when, argument },
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

static bool name_valid(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= 0x20 || name.p[i] == 0x7f)
			return false;
	return name.n > 0 && name.n <= NAME_MAX_OCTETS;
}

/* Append the list of extensions after the first line. */
static void say_extensions(struct smtp_server *s)
{
	struct buf lines;
	size_t n = sizeof(extensions) / sizeof(extensions[0]);

	buf_init(&lines, OUTPUT_ENOUGH);
	buf_add(&lines, s->config->hostname);
	for (size_t i = 0; i < n; i++) {
		if (!extensions[i].offered(s))
			continue;
		buf_add_char(&lines, '\n');
		buf_add(&lines, extensions[i].keyword);
		extensions[i].argument(s, &lines);
	}
	server_say(s, 250, S(""), buf_view(&lines));
	buf_fini(&lines);
}

/* Any name will do: clients say what their machine believes to be called, and nothing is derived from it. */
bool server_ehlo(struct smtp_server *s, struct str argument, bool esmtp)
{
	if (!name_valid(argument)) {
		server_say(s, 501, S("5.5.4"), esmtp ? S("Syntax: EHLO hostname") : S("Syntax: HELO hostname"));
		return false;
	}
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
