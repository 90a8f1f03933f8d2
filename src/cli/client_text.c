/* client_text.c - the texts of client_settings.def with the values of this relay. */
#include "client.h"

#include "cli.h"

#include <stdio.h>

static const struct client_row {
	const char *name, *also, *title, *trust, *text;
} rows[] = {
#define CLIENT(name, also, title, trust, text) { name, also, title, trust, text },
#include "client_settings.def"
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct client_row *client_find(struct str name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (str_ieq(name, str_of(rows[i].name)) || (name.n > 0 && str_ieq(name, str_of(rows[i].also))))
			return &rows[i];
	return NULL;
}

struct str client_names(struct arena *a)
{
	struct str names = S("");

	for (size_t i = 0; i < ROWS; i++)
		names = arena_printf(a, "%.*s%s%s", STR_ARG(names), i > 0 ? " " : "", rows[i].name);
	return names;
}

void client_list(void)
{
	for (size_t i = 0; i < ROWS; i++)
		printf("%-14s %s\n", rows[i].name, rows[i].title);
}

/* ---- values ---- */

/* For the part of a URL before the @ (RFC 3986 3.2.1). */
static struct str url_text(struct arena *a, struct str s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	struct str text = S("");

	for (size_t i = 0; i < s.n; i++)
		text = arena_printf(a, strchr(plain, s.p[i]) ? "%.*s%c" : "%.*s%%%02X", STR_ARG(text), (unsigned char)s.p[i]);
	return text;
}

static struct str with_kind(struct arena *a, const struct client_values *v, bool secure)
{
	return secure ? arena_printf(a, "%.*s, SSL/TLS", STR_ARG(v->secure))
		      : arena_printf(a, "%.*s, STARTTLS", STR_ARG(v->starttls));
}

static struct str value_of(struct arena *a, const struct client_values *v, struct str key)
{
	bool secure = v->secure.n > 0, starttls = v->starttls.n > 0;
	const struct {
		struct str key, value;
	} values[] = {
		{ S("program"), v->program },
		{ S("config"), v->config },
		{ S("host"), v->host },
		{ S("login"), v->login },
		{ S("login-url"), url_text(a, v->login) },
		{ S("domain"), str_from(v->login, str_rfind(v->login, '@') + 1) },
		{ S("ports"), secure && starttls ? arena_printf(a, "%.*s, SSL/TLS (or %.*s, STARTTLS)", STR_ARG(v->secure),
								STR_ARG(v->starttls))
						 : with_kind(a, v, secure) },
		{ S("secure"), v->secure },
		{ S("starttls"), starttls ? v->starttls : v->secure },
		{ S("starttls-number"), starttls ? v->starttls : S("(none: no listener with tls = \"starttls\")") },
		{ S("secure-or-starttls"), with_kind(a, v, secure) },
		{ S("starttls-or-secure"), with_kind(a, v, !starttls) },
		{ S("starttls-or-secure-number"), starttls ? v->starttls : v->secure },
		{ S("ca"), v->ca },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (str_eq(values[i].key, key))
			return values[i].value;
	return S("");
}

/* ---- lines ---- */

/* Takes the conditions off its front. */
static bool is_wanted(const struct client_values *v, struct str *line)
{
	while (line->n > 2 && line->p[0] == '+' && line->p[2] == ' ' && strchr("TSCP", line->p[1])) {
		bool secure = v->secure.n > 0, own = v->ca.n > 0;
		char condition = line->p[1];

		if (condition == 'T' ? !secure : condition == 'S' ? secure : condition == 'C' ? !own : own)
			return false;
		*line = str_from(*line, 3);
	}
	return true;
}

/* Lines to be copied stay as they are; in others the values can be longer than was thought of. */
static void print_wrapped(struct str line)
{
	size_t column = 0;

	while (column < line.n && line.p[column] == ' ')
		column++;
	if (column >= 6) {
		printf("%.*s\n", STR_ARG(line));
		return;
	}
	for (size_t at; column > 0 && (at = str_search(str_from(line, column), S("  "))) < line.n - column;)
		for (column += at; column < line.n && line.p[column] == ' ';)
			column++;
	printf("%.*s", STR_ARG(str_head(line, column)));
	print_words(stdout, str_from(line, column), (unsigned)column, (unsigned)column);
}

static void print_line(struct arena *a, const struct client_values *v, struct str line)
{
	struct str all = S("");

	if (!is_wanted(v, &line))
		return;
	/* braces with anything else in them are of the language */
	while (line.n > 0) {
		size_t open = str_find(line, '{'), end = open + str_find(str_from(line, open), '}');
		struct str key = str_head(str_from(line, open + 1), end > open ? end - open - 1 : 0);
		struct str value = end < line.n ? value_of(a, v, key) : S("");

		all = arena_printf(a, "%.*s%.*s%.*s%s", STR_ARG(all), STR_ARG(str_head(line, open)), STR_ARG(value),
				   open < line.n && value.n == 0 ? "{" : "");
		if (open == line.n)
			break;
		line = str_from(line, value.n > 0 ? end + 1 : open + 1);
	}
	print_wrapped(all);
}

static void print_lines(struct arena *a, const struct client_values *v, const char *text)
{
	struct str rest = str_of(text), line;

	while (str_split(&rest, '\n', &line))
		if (line.n > 0 || rest.n > 0)
			print_line(a, v, line);
}

static const char first[] = "This is the outgoing server only: your mailbox account stays as it is, just its\n"
			    "outgoing server changes.\n";

static const char self_signed[] = "The certificate of {host} is self-signed, so this program has to be\ntold to trust it:\n";

static const char common[] = "      server     {host}\n"
			     "      port       {ports}\n"
			     "      user name  {login}\n"
			     "      password   one of its own for each device, which can be removed alone:\n"
			     "      {program} user add {login}/DEVICE --generate\n";

static const char errors[] = "When it does not work:\n"
			     "  535          wrong password, or the user name lacks its domain: {login}\n"
			     "  550 5.7.1    \"is not an address of\": the sender is not one of this login\n"
			     "  530          TLS first: switch SSL/TLS or STARTTLS on\n"
			     "  certificate  the server was entered by another name than {host}\n"
			     "  no answer    the port is closed on the way: firewall, port forwarding\n";

void client_print(struct arena *a, const struct client_row *row, const struct client_values *v)
{
	printf("%s\n\n", row->title);
	if (v->ca.n > 0 && row->trust[0] != '+') {
		print_lines(a, v, self_signed);
		print_lines(a, v, row->trust);
		printf("\n");
	} else if (v->ca.n > 0) {
		print_lines(a, v,
			    "The certificate of {host} is self-signed: the lines below name its\n"
			    "file, which has to be copied there:\n      {ca}\n");
		printf("\n");
	}
	print_lines(a, v, first);
	printf("\n");
	print_lines(a, v, common);
	printf("\n");
	print_lines(a, v, row->text);
	printf("\n");
	print_lines(a, v, errors);
}
