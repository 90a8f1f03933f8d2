/* sendmail_options.c - reads the command line of sendmail(8). Not by getopt(): options that take a value only when it is in the
 * same word (-q, -q30m), and words behind recipients, are read alike on every system. */
#include "send.h"

#include "posthouse/address.h"
#include "posthouse/smtp_server.h"

#include <stdarg.h>
#include <stdio.h>

enum value_kind { FLAG, VALUE, ATTACHED };
enum option_done {
	IGNORED,
	REFUSED,
	ALIASES,
	BODY,
	CONFIG,
	DOT,
	ENVID,
	FIELDS,
	FULL_NAME,
	MODE,
	NOTIFY,
	NO_ALIASES,
	OLD,
	QUEUE,
	RET,
	SENDER,
	VERBOSE,
};

static const struct letter {
	char letter;
	enum value_kind value;
	enum option_done done;
} letters[] = {
#define LETTER(letter, value, done) { letter, value, done },
#include "sendmail_options.def"
};

struct line {
	struct arena *arena;
	struct outgoing *m;
	enum sendmail_mode mode;
	char **words;   /* the next one */
	char **end;     /* behind the last one */
	bool skip_next; /* the next word is the value of an option that is ignored */
	const char *error;
};

__attribute__((format(printf, 2, 3))) static void complain(struct line *l, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (l->error)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	l->error = arena_cstr(l->arena, str_of(text));
}

/* ---- values ---- */

static void take_notify(struct line *l, struct str value)
{
	static const struct {
		struct str word;
		unsigned bit;
	} words[] = { { S("success"), NOTIFY_SUCCESS }, { S("failure"), NOTIFY_FAILURE }, { S("delay"), NOTIFY_DELAY } };
	struct str rest = value, word;
	unsigned bits = 0;

	if (str_ieq(value, S("never"))) {
		l->m->notify = NOTIFY_NEVER;
		return;
	}
	while (str_split(&rest, ',', &word)) {
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			bit |= str_ieq(word, words[i].word) ? words[i].bit : 0;
		if (bit == 0)
			break;
		bits |= bit;
	}
	if (bits == 0 || rest.n > 0)
		complain(l, "-N wants never, or some of success,failure,delay, not \"%.*s\"", STR_ARG(value));
	l->m->notify = bits;
}

static void take_ret(struct line *l, struct str value)
{
	if (str_ieq(value, S("full")))
		l->m->ret = RET_FULL;
	else if (str_ieq(value, S("hdrs")))
		l->m->ret = RET_HDRS;
	else
		complain(l, "-R wants full or hdrs, not \"%.*s\"", STR_ARG(value));
}

/* RFC 3461 4.4: at most 100 octets in the encoded form. */
static void take_envid(struct line *l, struct str value)
{
	struct str text = xtext_encode(l->arena, value);

	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < ' ' || value.p[i] > '~')
			text.n = 0;
	if (text.n == 0 || text.n > 100)
		complain(l, "-V wants an envelope id of at most 100 printable characters");
	l->m->envid = text;
}

static void take_mode(struct line *l, struct str value)
{
	char mode = value.n > 0 ? *value.p : '?';

	if (str_eq(value, S("V"))) {
		l->mode = SENDMAIL_NOTHING; /* Exim: the version */
	} else if (str_eq(value, S("m"))) {
		l->mode = SENDMAIL_SEND;
	} else if (mode == 's') {
		l->mode = SENDMAIL_SMTP;
	} else if (mode == 'p' && !str_eq(value, S("pc"))) {
		l->mode = SENDMAIL_LIST;
	} else if (mode == 'i') {
		l->mode = SENDMAIL_ALIASES;
	} else if (mode == 'd' || mode == 'D') {
		complain(l, "-b%.*s: the relay is started by `systemctl start posthouse`, or `posthouse serve`", STR_ARG(value));
	} else if (mode == 'v' || mode == 't') {
		complain(l,
			 "-b%.*s is not supported; `posthouse explain --from ADDRESS --to ADDRESS` says what would become of a "
			 "message",
			 STR_ARG(value));
	} else {
		complain(l, "-b%.*s is not supported", STR_ARG(value));
	}
}

/* The options of old: "-oi", "-oem". Exim's -oMr and its like have their value in the next word. */
static void take_old(struct line *l, struct str value)
{
	if (str_eq(value, S("i")))
		l->m->dot_is_text = true;
	else if (str_eq(value, S("v")))
		l->m->verbose = true;
	else if (str_starts(value, S("M")) && value.n > 1)
		l->skip_next = true;
}

static void take_body(struct line *l, struct str value)
{
	if (!str_ieq(value, S("7bit")) && !str_ieq(value, S("8bitmime")) && !str_ieq(value, S("binarymime")))
		complain(l, "-B wants 7BIT or 8BITMIME, not \"%.*s\"", STR_ARG(value));
}

static void take(struct line *l, const struct letter *o, char *value)
{
	struct outgoing *m = l->m;

	switch (o->done) {
	case IGNORED: break;
	case REFUSED: complain(l, "-%c is not supported; `posthouse queue` has orders for messages that wait", o->letter); break;
	case ALIASES: l->mode = SENDMAIL_ALIASES; break;
	case BODY: take_body(l, str_of(value)); break;
	case CONFIG: m->config_path = value; break;
	case DOT: m->dot_is_text = true; break;
	case ENVID: take_envid(l, str_of(value)); break;
	case FIELDS: m->from_fields = true; break;
	case FULL_NAME: m->full_name = str_of(value); break;
	case MODE: take_mode(l, str_of(value)); break;
	case NOTIFY: take_notify(l, str_of(value)); break;
	case NO_ALIASES: m->no_aliases = true; break;
	case OLD: take_old(l, str_of(value)); break;
	case QUEUE: l->mode = SENDMAIL_RETRY; break;
	case RET: take_ret(l, str_of(value)); break;
	case SENDER:
		m->has_sender = true;
		m->sender = str_trim(str_of(value));
		break;
	case VERBOSE: m->verbose = true; break;
	}
}

/* ---- words ---- */

static const struct letter *letter_find(char c)
{
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].letter == c)
			return &letters[i];
	return NULL;
}

/* The letters of one word: "-ti", "-fuser@example.org", "-oi". */
static void take_cluster(struct line *l, char *word)
{
	for (char *p = word + 1; *p && !l->error; p++) {
		const struct letter *o = letter_find(*p);
		char *value = NULL;

		if (!o) {
			complain(l, "there is no option -%c here (\"%s\"); sendmail(8) lists those that there are", *p, word);
		} else if (o->value == FLAG) {
			take(l, o, NULL);
		} else {
			value = p[1] || o->value == ATTACHED ? p + 1 : l->words < l->end ? *l->words++ : NULL;
			if (!value)
				complain(l, "-%c wants a value", *p);
			else
				take(l, o, value);
			return;
		}
	}
}

static void take_long(struct line *l, const char *word)
{
	if (strcmp(word, "--version") == 0)
		l->mode = SENDMAIL_NOTHING;
	else if (strcmp(word, "--help") == 0)
		l->mode = SENDMAIL_HELP;
	else
		complain(l, "there is no option %s here; sendmail(8) lists those that there are", word);
}

static void take_words(struct line *l)
{
	bool only_recipients = false;

	while (l->words < l->end && !l->error) {
		char *word = *l->words++;

		if (l->skip_next)
			l->skip_next = false;
		else if (only_recipients || word[0] != '-')
			send_list_add(l->arena, &l->m->named, str_of(word));
		else if (word[1] == '-' && word[2])
			take_long(l, word);
		else if (word[1] == '-')
			only_recipients = true;
		else if (word[1])
			take_cluster(l, word);
		else
			complain(l, "\"-\" is neither an option nor a recipient; the message is read from standard input anyway");
	}
}

/* ---- the whole ---- */

static struct str base_name(const char *program)
{
	struct str name = str_of(program);

	return str_from(name, str_rfind(name, '/') < name.n ? str_rfind(name, '/') + 1 : 0);
}

bool sendmail_is_name(const char *program)
{
	struct str name = base_name(program);

	return str_eq(name, S("sendmail")) || str_eq(name, S("mailq")) || str_eq(name, S("newaliases"));
}

const char *sendmail_options_read(struct arena *a, int argc, char **argv, struct outgoing *m, enum sendmail_mode *mode_out)
{
	struct str name = base_name(argc > 0 ? argv[0] : "");
	struct line l = { .arena = a, .m = m, .words = argv + (argc > 0), .end = argv + argc };

	l.mode = str_eq(name, S("mailq")) ? SENDMAIL_LIST : str_eq(name, S("newaliases")) ? SENDMAIL_ALIASES : SENDMAIL_SEND;
	take_words(&l);
	if (!l.error && l.mode == SENDMAIL_SEND && m->named.n == 0 && !m->from_fields)
		complain(&l, "no recipients: name them on the command line, or use -t for those of To, Cc and Bcc");
	*mode_out = l.mode;
	return l.error;
}
