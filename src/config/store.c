/* store.c - checks of `store`: which keys its engine has, and a connection that gives mail and password to the database alone.
 * The connection is read as libpq reads it, without libpq: `check` says what is wrong also where that is not installed. */
#include "loader.h"

#include "posthouse/buf.h"
#include "posthouse/id.h"
#include "posthouse/policy.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

enum form { REFUSED, WORD, HOSTS, PORTS, DATABASE, MODE, PEM, NUMBER };

/* Every key of a connection that something is known about: what its value is, or why it is refused. */
static const struct word {
	const char *key;
	enum form form;
	const char *why;
} words[] = {
	{ "host", HOSTS },
	{ "port", PORTS },
	{ "dbname", DATABASE },
	{ "user", WORD },
	{ "sslmode", MODE },
	{ "sslrootcert", PEM },
	{ "sslcert", PEM },
	{ "sslkey", PEM },
	{ "sslcrl", PEM },
	{ "tcp_user_timeout", NUMBER },
	{ "keepalives", NUMBER },
	{ "keepalives_idle", NUMBER },
	{ "keepalives_interval", NUMBER },
	{ "keepalives_count", NUMBER },
	{ "password", REFUSED, "a secret does not belong into a file that many can read; it goes into the one of password_file" },
	{ "sslpassword", REFUSED,
	  "a secret does not belong into a file that many can read; the key of sslkey has no passphrase" },
	{ "passfile", REFUSED, "the password is in the file that store.password_file names" },
	{ "service", REFUSED, "another file would say where the database is; say it here" },
	{ "options", REFUSED, "Posthouse sets by itself what its sessions need of the server" },
	{ "target_session_attrs", REFUSED, "Posthouse asks all hosts by itself which of them is the primary" },
	{ "application_name", REFUSED, "Posthouse sets it by itself: nodes know each other by it" },
	{ "replication", REFUSED, "Posthouse has ordinary sessions" },
	{ "client_encoding", REFUSED, "Posthouse sets it by itself" },
	{ "hostaddr", REFUSED, "Posthouse looks up the names in host by itself; host can also be an address" },
	{ "connect_timeout", REFUSED, "connections that do not wait ignore it; Posthouse tries each host for 2 s" },
};
#define WORDS_N (sizeof words / sizeof words[0])

/* ---- words, as PQconninfoParse() reads them ---- */

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str skip_blanks(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_blank(s.p[n]))
		n++;
	return str_from(s, n);
}

/* Up to a blank, or to the quote that closes; a backslash takes away the meaning of what follows. False: it is not closed. */
static bool read_value(struct arena *a, struct str *rest, struct str *value_out)
{
	bool quoted = str_starts(*rest, S("'"));
	char *value = arena_alloc(a, rest->n + 1);
	size_t i = quoted, n = 0;

	for (; i < rest->n; i++) {
		if (quoted ? rest->p[i] == '\'' : is_blank(rest->p[i]))
			break;
		if (rest->p[i] == '\\' && ++i == rest->n)
			break;
		value[n++] = rest->p[i];
	}
	*value_out = str_make(value, n);
	if (quoted && i >= rest->n)
		return false;
	*rest = str_from(*rest, i + quoted);
	return true;
}

bool database_word_read(struct arena *a, struct str *rest, struct str *key_out, struct str *value_out, const char **why_out)
{
	struct str s = skip_blanks(*rest);
	size_t n = 0;

	*why_out = NULL;
	if (s.n == 0)
		return false;
	while (n < s.n && s.p[n] != '=' && !is_blank(s.p[n]))
		n++;
	*key_out = str_head(s, n);
	s = skip_blanks(str_from(s, n));
	if (!str_starts(s, S("=")))
		*why_out = "expected words KEY=VALUE with blanks between; a value with blanks is in single quotes";
	s = skip_blanks(str_from(s, 1));
	if (!*why_out && !read_value(a, &s, value_out))
		*why_out = "expected a single quote at the end of the value that begins with one";
	*rest = s;
	return !*why_out;
}

/* ---- what they say; a message has no value that is not in order, since it could be a part of a password ---- */

static const struct word *word_named(struct str key)
{
	for (size_t i = 0; i < WORDS_N; i++)
		if (str_eq(key, str_of(words[i].key)))
			return &words[i];
	return NULL;
}

static bool is_number(struct str s, uint64_t lower, uint64_t upper)
{
	uint64_t number;

	return str_to_u64(s, &number) && number >= lower && number <= upper;
}

/* Where no other machine can listen. */
static bool is_here(struct str host)
{
	return str_starts(host, S("/")) || str_ieq(host, S("localhost")) || network_contains(S("127.0.0.0/8"), host) ||
	       network_contains(S("::1"), host);
}

/* Is each element of a list, of which an empty one would have a meaning for libpq, of that form? */
static bool each_is(enum form form, struct str list, size_t *n_out)
{
	struct str part;

	*n_out = 0;
	if (list.n == 0 || str_ends(list, S(",")))
		return false;
	for (; str_split(&list, ',', &part); ++*n_out)
		if (form == HOSTS ? !str_starts(part, S("/")) && !format_host.valid(part) : !is_number(part, 1, 65535))
			return false;
	return true;
}

static bool is_mode(struct str s)
{
	static const char *const modes[] = { "disable", "allow", "prefer", "require", "verify-ca", "verify-full" };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (str_eq(s, str_of(modes[i])))
			return true;
	return false;
}

/* What the value should be; NULL: it is. */
static const char *expected_of(enum form form, struct str value)
{
	size_t n;

	switch (form) {
	case HOSTS:
		return each_is(HOSTS, value, &n)
			       ? NULL
			       : "host names, IP addresses or directories of sockets (\"/run/postgresql\"), with commas between";
	case PORTS: return each_is(PORTS, value, &n) ? NULL : "a port from 1 to 65535, or one for each host with commas between";
	case DATABASE: /* libpq can take a name with a '=' for a connection */
		return value.n > 0 && str_find(value, '=') == value.n && str_search(value, S("://")) == value.n
			       ? NULL
			       : "the name of a database";
	case MODE: return is_mode(value) ? NULL : "verify-full, verify-ca, require, prefer, allow or disable";
	case PEM: return str_starts(value, S("/")) ? NULL : "the whole path of a file";
	case NUMBER: return is_number(value, 0, INT32_MAX) ? NULL : "a whole number";
	case WORD: return value.n > 0 ? NULL : "a value";
	case REFUSED: break;
	}
	return NULL;
}

/* Each word by itself, into `values`, by the places of `words`; what there is none of stays empty. What is wrong, or "". */
static struct str take_words(struct arena *a, struct str text, struct str *values)
{
	struct str key, value;
	const char *why;

	while (database_word_read(a, &text, &key, &value, &why)) {
		const struct word *w = word_named(key);
		const char *expected;

		if (!w)
			return arena_printf(a, "unknown key %.*s in it; posthouse.conf(5) names those that are allowed",
					    STR_ARG(key));
		if (w->form == REFUSED)
			return arena_printf(a, "expected no %s in it: %s", w->key, w->why);
		if (values[w - words].n > 0)
			return arena_printf(a, "expected %s once in it", w->key);
		expected = expected_of(w->form, value);
		if (expected)
			return arena_printf(a, "expected %s behind %s=", expected, w->key);
		values[w - words] = value;
	}
	return str_of(why);
}

static struct str value_of(const struct str *values, const char *key)
{
	return values[word_named(str_of(key)) - words];
}

/* Who answers must be the database: anybody can answer where no certificate is checked. */
static struct str judge_trust(struct arena *a, const struct str *values, bool i_know)
{
	struct str hosts = value_of(values, "host"), mode = value_of(values, "sslmode"), host;
	bool by_network = false;

	while (str_split(&hosts, ',', &host)) {
		by_network = by_network || !str_starts(host, S("/"));
		if (!i_know && !is_here(host) && !str_eq(mode, S("verify-full")))
			return arena_printf(a,
					    "expected sslmode=verify-full in it: the database at %.*s sees all mail, and the "
					    "password could be given to a stranger; i_know = true accepts that",
					    STR_ARG(host));
	}
	if (by_network && str_starts(mode, S("verify-")) && value_of(values, "sslrootcert").n == 0)
		return arena_printf(a, "expected sslrootcert beside sslmode=%.*s: the file with the certificates to trust",
				    STR_ARG(mode));
	return S("");
}

struct str database_judge(struct arena *a, struct str text, bool i_know)
{
	static const char *const needed[] = { "host", "dbname", "user" };
	struct str values[WORDS_N] = { 0 }, wrong;
	size_t hosts_n, ports_n;

	if (str_starts(text, S("postgresql://")) || str_starts(text, S("postgres://")))
		return S("expected words KEY=VALUE, not an address with \"://\"");
	wrong = take_words(a, text, values);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0] && wrong.n == 0; i++)
		if (value_of(values, needed[i]).n == 0)
			wrong = arena_printf(a, "expected %s=… in it", needed[i]);
	if (wrong.n > 0)
		return wrong;
	each_is(HOSTS, value_of(values, "host"), &hosts_n);
	if (each_is(PORTS, value_of(values, "port"), &ports_n) && ports_n != 1 && ports_n != hosts_n)
		return S("expected one port, or as many as hosts");
	if ((value_of(values, "sslcert").n > 0) != (value_of(values, "sslkey").n > 0))
		return S("expected both sslcert and sslkey in it, or none of them");
	return judge_trust(a, values, i_know);
}

/* ---- the group ---- */

/* libpq reads the file later, in queue; so this process can only check that it is there. */
static void check_file(struct loader *l, struct str key, struct str path)
{
	const config_setting_t *s = setting_near(l, "store.connection");
	unsigned mode;
	struct buf b;
	const char *why = file_read(arena_cstr(l->arena, path), MIB, &b, &mode);

	if (why)
		fault(l, s, "store.connection: %.*s: %.*s cannot be read: %s", STR_ARG(key), STR_ARG(path), why);
	else if (str_eq(key, S("sslkey")) && secret_note(l, path, mode))
		warning(l, s, "store.connection: everybody can read the private key %.*s; expected mode 0600", STR_ARG(path));
	buf_wipe(&b);
}

/* What a good connection leads to, from texts that live as long as the configuration. */
static void fill_in(struct loader *l, struct cfg_store *c)
{
	struct str rest = c->connection, key, value, part;
	const char *why;

	c->hosts.at = ARENA_ARRAY(l->arena, struct str, rest.n); /* no word has less than one byte */
	c->places.at = ARENA_ARRAY(l->arena, struct str, rest.n);
	c->ports.at = ARENA_ARRAY(l->arena, struct str, rest.n);
	while (database_word_read(l->arena, &rest, &key, &value, &why)) {
		enum form form = word_named(key)->form;

		if (form == PEM) {
			check_file(l, key, value);
			c->places.at[c->places.n++] = value;
		}
		while ((form == HOSTS || form == PORTS) && str_split(&value, ',', &part)) {
			struct str_list *list = form == PORTS ? &c->ports : &c->hosts;

			list->at[list->n++] = part;
			if (form == HOSTS && str_starts(part, S("/")))
				c->places.at[c->places.n++] = part;
		}
	}
	if (c->ports.n == 0)
		c->ports.at[c->ports.n++] = S("5432");
}

/* A key that says what holds anyway does no harm: a dump of the configuration has them all. */
static bool says_more(const config_setting_t *s, const char *fallback)
{
	const char *text = config_setting_get_string(s);

	return config_setting_type(s) == CONFIG_TYPE_BOOL ? config_setting_get_bool(s) : text && strcmp(text, fallback) != 0;
}

static void check_only_engine(struct loader *l)
{
	static const char *const others[] = { "connection",   "password", "password_file", "durability",
					      "node_timeout", "patience", "i_know" };

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		const config_setting_t *s = setting_exact(l, "store.%s", others[i]);
		size_t row = schema_find(arena_printf(l->arena, "store.%s", others[i]));
		const char *fallback = row < config_keys_n ? config_keys[row].fallback : NULL;

		if (s && says_more(s, fallback ? fallback : ""))
			fault(l, s,
			      "store.%s: expected engine = \"postgresql\" beside it; with \"sqlite\" the queue is a file in "
			      "state_dir, and this key is left out",
			      others[i]);
	}
}

/* Ids have the node's number, and then room for fewer processes that make some (id.h). */
static void check_workers(struct loader *l)
{
	uint64_t workers = l->config->submission.workers;

	if (workers > ID_CLUSTER_WORKERS_MAX)
		fault(l, setting_near(l, "submission.workers"),
		      "submission.workers: at most %d with store.engine \"postgresql\", not %llu", ID_CLUSTER_WORKERS_MAX,
		      (unsigned long long)workers);
}

void store_keys_check(struct loader *l)
{
	struct cfg_store *c = &l->config->store;
	const config_setting_t *s = setting_near(l, "store.connection");
	struct str wrong;

	secret_place_check(l, setting_exact(l, "store.password"), "store");
	if (c->engine == ENGINE_SQLITE) {
		check_only_engine(l);
		return;
	}
	check_workers(l);
	if (!is_given(setting_exact(l, "store.connection"))) {
		fault(l, s,
		      "store: expected connection beside engine = \"postgresql\": where the database is, such as "
		      "\"host=/run/postgresql dbname=posthouse user=posthouse\"");
		return;
	}
	c->agreement = config_agreement(l->config);
	if (c->connection.n == 0)
		return; /* it was no text, which is a fault already */
	wrong = database_judge(l->arena, c->connection, c->i_know);
	if (wrong.n > 0)
		fault(l, s, "store.connection: %.*s", STR_ARG(wrong));
	else
		fill_in(l, c);
}
