/* values.c */
#include "values.h"

#include "posthouse/hash.h"

#include <stdlib.h>

#define NAMES       64
#define RECENT      8
#define RECENT_TEXT 512

#define REFERENCE UINT64_C(0x7e7e5265434e7400) /* the lowest byte says which */
static const char reference_text[] = "\001re";

uint64_t roll(struct dice *d, uint64_t n)
{
	d->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = d->state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

/* ---- what the role has said ---- */
static struct {
	uint64_t numbers[RECENT];
	char texts[RECENT][RECENT_TEXT];
	size_t lengths[RECENT];
	unsigned numbers_n, texts_n;
} recent[NAMES];

static unsigned place(const char *name)
{
	return (unsigned)(hash_fixed(0, str_of(name)) % NAMES);
}

void recent_forget(void)
{
	for (unsigned i = 0; i < NAMES; i++)
		recent[i].numbers_n = recent[i].texts_n = 0;
}

void recent_note(const struct message *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct token *t = &m->at[i];
		unsigned at = place(t->field->name);

		if (t->field->kind == TOKEN_u64) {
			recent[at].numbers[recent[at].numbers_n++ % RECENT] = t->number;
		} else if (t->field->kind == TOKEN_str && t->text.n <= RECENT_TEXT) {
			unsigned k = recent[at].texts_n++ % RECENT;

			memcpy(recent[at].texts[k], t->text.p, t->text.n);
			recent[at].lengths[k] = t->text.n;
		}
	}
}

/* The `back`th of the last ones; there can be less. */
static unsigned which(unsigned n, unsigned back)
{
	unsigned known = n < RECENT ? n : RECENT;

	return (n - 1 - back % known) % RECENT;
}

static void resolve(struct token *t, struct arena *a)
{
	unsigned at = place(t->field->name), k;

	if (t->field->kind == TOKEN_u64 && (t->number & ~UINT64_C(0xff)) == REFERENCE) {
		k = (unsigned)(t->number & 0xff);
		t->number = recent[at].numbers_n ? recent[at].numbers[which(recent[at].numbers_n, k)] : 0;
	} else if (t->field->kind == TOKEN_str && t->text.n == sizeof reference_text &&
		   memcmp(t->text.p, reference_text, sizeof reference_text - 1) == 0) {
		k = which(recent[at].texts_n ? recent[at].texts_n : 1, (unsigned char)t->text.p[t->text.n - 1]);
		t->text = recent[at].texts_n ? arena_str(a, str_make(recent[at].texts[k], recent[at].lengths[k])) : S("");
	}
}

void recent_resolve(struct message *m, struct arena *a)
{
	for (size_t i = 0; i < m->n; i++)
		resolve(&m->at[i], a);
}

/* ---- good values ---- */
#define TEXT_HEAD "From: <alice@example.org>\r\nTo: <bob@example.net>\r\nSubject: x\r\n\r\n"
#define TEXT_BODY "Hello\r\n.dot\r\n"
#define LONG_KEY  "0123456789abcdef0123456789abcdef"
static const struct {
	const char *name;
	struct str text;
} good_texts[] = {
	{ "login", S("alice@example.org") },
	{ "user", S("alice@example.org") },
	{ "name", S("alice@example.org") },
	{ "sender", S("alice@example.org") },
	{ "recipient", S("bob@example.net") },
	{ "address", S("bob@example.net") },
	{ "client", S("192.0.2.1") },
	{ "mechanism", S("PLAIN") },
	{ "initial", S("\0alice@example.org\0secret") },
	{ "service", S("smtp") },
	{ "route", S("upstream:next") },
	{ "upstream", S("next") },
	{ "via", S("next") },
	{ "domain", S("example.org") },
	{ "sign_domain", S("example.org") },
	{ "destination", S("example.net") },
	{ "selector", S("s1") },
	{ "digest", S(LONG_KEY) },
	{ "signature", S(LONG_KEY LONG_KEY) },
	{ "prefix", S("Received: by relay\r\n") },
	{ "received", S("Received: by relay\r\n") },
	{ "text", S(TEXT_HEAD TEXT_BODY) },
	{ "subject", S("x") },
	{ "message_id", S("<1@example.org>") },
	{ "url", S("https://127.0.0.1:9/token") },
	{ "content_type", S("application/x-www-form-urlencoded") },
	{ "body", S("grant_type=refresh_token") },
	{ "output", S("token\n") },
	{ "enhanced", S("2.0.0") },
	{ "words", S("a sentence") },
	{ "origin", S("192.0.2.1") },
	{ "remote", S("mx.example.net [127.0.0.1]") },
	{ "tls", S("TLSv1.3") },
	{ "system_users", S("daemon games") },
	{ "value", S("token") },
	{ "redirect", S("http://127.0.0.1:9/") },
	{ "reason", S("a reason") },
	{ "field",
	  S("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=s1; t=1; h=From; bh=x;\r\n\tb=") },
	{ "verifier", S("SCRAM-SHA-256$4096:c2FsdHNhbHQ=$" LONG_KEY "0123456789a=$" LONG_KEY "0123456789a=") },
};

/* Numbers that are not 0 where all is well. */
static const struct {
	const char *name;
	uint64_t number;
} good_numbers[] = {
	{ "success", 1 },
	{ "known", 1 },
	{ "done", 1 },
	{ "status", 200 },
	{ "max", 10 },
	{ "header_size", sizeof TEXT_HEAD - 1 },
	{ "size", sizeof TEXT_HEAD TEXT_BODY - 1 },
	{ "place", 1 },
	{ "session", 1 },
	{ "transaction", 1 },
	{ "id", 1 },
	{ "n", 1 },
	{ "token", 7 },
	{ "uid", 33 },
	{ "port", 25 },
	{ "algorithm", 2 },
	{ "ready", 1 },
	{ "judged", 1 },
	{ "message", 1 },
	{ "lease", REFERENCE },
};

/* Most authors write in their own name. */
static bool is_empty_list(const char *name)
{
	return strcmp(name, "resenders") == 0;
}

void value_good(struct token *t)
{
	const char *name = t->field->name;

	t->number = t->field->kind == TOKEN_CLASS ? 250 : t->field->kind == TOKEN_COUNT ? !is_empty_list(name) : 0;
	t->text = S("");
	for (size_t i = 0; t->field->kind == TOKEN_str && i < sizeof good_texts / sizeof *good_texts; i++)
		if (strcmp(good_texts[i].name, name) == 0)
			t->text = good_texts[i].text;
	for (size_t i = 0; t->field->kind == TOKEN_u64 && i < sizeof good_numbers / sizeof *good_numbers; i++)
		if (strcmp(good_numbers[i].name, name) == 0)
			t->number = good_numbers[i].number;
}

/* ---- odd ones ---- */
static const struct str odd_texts[] = {
	S(""),
	S(" "),
	S("*"),
	S("."),
	S("<>"),
	S("@"),
	S("a@b"),
	S("\"quoted \\\" local\"@example.org"),
	S("root@localhost"),
	S("postmaster"),
	S("user@[127.0.0.1]"),
	S("user@[IPv6:::1]"),
	S("m\xc3\xbcller@b\xc3\xbc"
	  "cher.example"),
	S("\xff\xfe\xfd"),
	S("\xed\xa0\x80"),
	S("\xe2\x80\xae"),
	S("a\0b"),
	S("a\r\nb"),
	S("-"),
	S("0"),
	S("18446744073709551616"),
	S("mx:example.net"),
	S("mx:"),
	S("mx:[127.0.0.1]"),
	S("upstream:"),
	S("upstream:safe"),
	S("upstream:token"),
	S("next"),
	S("safe"),
	S("token"),
	S("SCRAM-SHA-256"),
	S("LOGIN"),
	S("XOAUTH2"),
	S("OAUTHBEARER"),
	S("DEVICE"),
	S("LOCAL"),
	S("n,,n=alice@example.org,r=abc"),
	S("r=abcdef,s=c2FsdA==,i=4096"),
	S("127.0.0.1"),
	S("::1"),
	S("2001:db8::1"),
	S("::ffff:192.0.2.1"),
	S("10.0.0.1/8"),
	S("example.org"),
	S("example.net"),
	S("sub.example.org"),
	S("rfc822;bob@example.net"),
	S("utf-8;\\x{263A}@example.net"),
	S("From: a\r\nFrom: b\r\n"),
	S("\r\n"),
	S("Subject: =?utf-8?q?x?=\r\n\r\n"),
	S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b--\r\n"),
	S("http://127.0.0.1:9/"),
	S("device"),
	S("Content-Transfer-Encoding: binary\r\n\r\n\0\n\r"),
	S("CHUNKING SIZE DSN"),
	S("250-x\r\n250 y\r\n"),
	S("5.7.1"),
	S("4.2.2"),
};

static uint64_t odd_number(struct dice *d)
{
	static const uint64_t odd[] = { 0,
					1,
					2,
					3,
					4,
					5,
					7,
					8,
					15,
					16,
					63,
					64,
					255,
					256,
					1000,
					65535,
					65536,
					65537,
					INT32_MAX,
					UINT32_MAX,
					UINT32_MAX + UINT64_C(1),
					UINT64_C(1) << 52,
					INT64_MAX,
					UINT64_C(1) << 63,
					UINT64_MAX - 1,
					UINT64_MAX };
	uint64_t n = odd[roll(d, sizeof odd / sizeof *odd)];

	switch (roll(d, 8)) {
	case 0: return roll(d, UINT64_MAX);
	case 1: return n + roll(d, 5) - 2;
	case 2: return UINT64_C(1764000000000) + roll(d, UINT64_C(1) << 36); /* a time */
	case 3: return UINT64_C(1) << roll(d, 64);
	case 4: return roll(d, 8);
	default: return n;
	}
}

static struct str odd_text(struct str now, struct dice *d, struct arena *a)
{
	struct str text = odd_texts[roll(d, sizeof odd_texts / sizeof *odd_texts)], other = now;
	char *bytes;

	switch (roll(d, 8)) {
	case 0: /* long */
		bytes = arena_alloc(a, 70000);
		text.n = roll(d, 4) ? roll(d, 2000) : roll(d, 70000);
		memset(bytes, "a.\xff\n"[roll(d, 4)], text.n);
		return str_make(bytes, text.n);
	case 1: /* both */
		return roll(d, 2) ? arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(other))
				  : arena_printf(a, "%.*s%.*s", STR_ARG(other), STR_ARG(text));
	case 2: /* a part */ return str_head(other, other.n ? roll(d, other.n) : 0);
	case 3: /* some bytes are others */
		bytes = arena_alloc(a, other.n + 1);
		memcpy(bytes, other.p, other.n);
		for (uint64_t k = roll(d, 4); other.n && k <= 4; k++)
			bytes[roll(d, other.n)] = (char)roll(d, 256);
		return str_make(bytes, other.n);
	default: return text;
	}
}

static struct str a_reference(struct dice *d, struct arena *a)
{
	char text[sizeof reference_text];

	memcpy(text, reference_text, sizeof text - 1);
	text[sizeof text - 1] = (char)(roll(d, 3) ? 0 : roll(d, RECENT));
	return arena_str(a, str_make(text, sizeof text));
}

void value_random(struct token *t, struct dice *d, struct arena *a)
{
	if (roll(d, 3) == 0) {
		value_good(t);
	} else if (t->field->kind == TOKEN_str) {
		t->text = roll(d, 4) == 0 ? a_reference(d, a) : odd_text(t->text, d, a);
	} else if (t->field->kind == TOKEN_CLASS) {
		t->number =
			roll(d, 8) ? roll(d, 3) << 16 | (roll(d, 2) ? 250 + roll(d, 5) * 100 : roll(d, 65536)) : odd_number(d);
	} else if (t->field->kind == TOKEN_u64) {
		t->number = roll(d, 4) == 0 ? REFERENCE | (roll(d, 3) ? 0 : roll(d, RECENT)) : odd_number(d);
	}
}

/* ---- messages ---- */
static void make_fields(struct message *m, const struct field *fields, const char *list, bool good, struct dice *d,
			struct arena *a)
{
	for (; fields->name && m->n < TOKENS_MAX; fields++) {
		struct token *t = &m->at[m->n];

		if (!(fields->seen & message_types[m->type].to))
			continue;
		*t = (struct token){ .field = fields, .text = S("") };
		value_good(t);
		if (strcmp(list, "from") == 0)
			t->text = S("alice@example.org");
		if (!good && roll(d, 3) == 0)
			value_random(t, d, a);
		if (!good && fields->kind == TOKEN_COUNT)
			t->number = roll(d, 3) ? roll(d, 3) : roll(d, 40);
		m->n++;
		for (uint64_t i = 0; fields->kind == TOKEN_COUNT && i < t->number; i++)
			make_fields(m, fields->record, fields->name, good, d, a);
	}
}

void message_make(struct message *m, unsigned type, bool good, struct dice *d, struct arena *a)
{
	m->type = type;
	m->call = 0;
	m->n = 0;
	make_fields(m, shapes[type], "", good, d, a);
}
