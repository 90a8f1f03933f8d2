/* spf_parse.c - the text of an SPF record as terms (RFC 7208 4.5, 4.6, 5, 6). */
#include "spf.h"

#include <arpa/inet.h>
#include <ctype.h>

#define VERSION   S("v=spf1")
#define SEPARATED S("terms have blanks between them, no ';' and no ','")

enum wants { NOTHING, PERHAPS_DOMAIN, A_DOMAIN, A_NETWORK };

static const struct form {
	const char *name;
	enum spf_kind kind;
	enum wants wants;
	bool prefix; /* RFC 7208 5.3, 5.4: "/24//64" can follow */
} forms[] = {
	{ "all", SPF_ALL, NOTHING, false },
	{ "include", SPF_INCLUDE, A_DOMAIN, false },
	{ "a", SPF_A, PERHAPS_DOMAIN, true },
	{ "mx", SPF_MX, PERHAPS_DOMAIN, true },
	{ "ptr", SPF_PTR, PERHAPS_DOMAIN, false },
	{ "ip4", SPF_IP4, A_NETWORK, false },
	{ "ip6", SPF_IP6, A_NETWORK, false },
	{ "exists", SPF_EXISTS, A_DOMAIN, false },
	{ "redirect", SPF_REDIRECT, A_DOMAIN, false },
	{ "exp", SPF_EXP, A_DOMAIN, false },
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

bool spf_is_record(struct str text)
{
	return str_istarts(text, VERSION) && (text.n == VERSION.n || text.p[VERSION.n] == ' ');
}

static size_t name_length(struct str s)
{
	size_t n = 0;

	if (s.n == 0 || !isalpha((unsigned char)s.p[0]))
		return 0;
	while (n < s.n && (isalnum((unsigned char)s.p[n]) || (s.p[n] && strchr("-_.", s.p[n]))))
		n++;
	return n;
}

static const struct form *form_of(struct str name, bool modifier)
{
	for (size_t i = 0; i < FORMS; i++)
		if (str_ieq(name, str_of(forms[i].name)) && (forms[i].kind >= SPF_REDIRECT) == modifier)
			return &forms[i];
	return NULL;
}

/* Take "/24" off the end. Returns 0: there is none, 1: *bits_out has it, -1: it is no prefix length. */
static int take_prefix(struct str *s, unsigned most, unsigned *bits_out)
{
	size_t i = s->n;
	uint64_t bits;

	while (i > 0 && isdigit((unsigned char)s->p[i - 1]))
		i--;
	if (i == 0 || s->p[i - 1] != '/' || i == s->n)
		return 0;
	if (!str_to_u64(str_from(*s, i), &bits) || bits > most || (s->p[i] == '0' && s->n - i > 1))
		return -1;
	*bits_out = (unsigned)bits;
	s->n = i - 1;
	return 1;
}

/* "/24", "//64", "/24//64" at the end of a or mx. */
static bool take_prefixes(struct str *s, struct spf_term *t)
{
	struct str rest = *s;
	size_t slash = str_rfind(rest, '/');
	bool six = slash < rest.n && slash > 0 && rest.p[slash - 1] == '/';

	if (six) {
		if (take_prefix(&rest, 128, &t->bits6) != 1)
			return false;
		rest.n--; /* the first '/' of "//" */
	}
	if (take_prefix(&rest, 32, &t->bits4) < 0)
		return false;
	*s = rest;
	return true;
}

static bool read_network(struct arena *a, struct str value, struct spf_term *t, struct str *why_out)
{
	bool six = t->kind == SPF_IP6;
	int taken = take_prefix(&value, six ? 128 : 32, six ? &t->bits6 : &t->bits4);

	*why_out = arena_printf(a, "\"%.*s\" is no IPv%d network", STR_ARG(value), six ? 6 : 4);
	if (taken < 0 || value.n == 0 || str_find(value, 0) < value.n)
		return false;
	return inet_pton(six ? AF_INET6 : AF_INET, arena_cstr(a, value), t->address) == 1;
}

/* `value` is what is behind the name, with its ':' or '='; "": nothing is there. */
static bool read_value(struct arena *a, const struct form *form, struct str value, struct spf_term *t, struct str *why_out)
{
	bool colon = value.n > 0 && (value.p[0] == ':' || value.p[0] == '=');

	*why_out = arena_printf(a, "\"%.*s\" cannot follow %s", STR_ARG(value), form->name);
	if (form->wants == NOTHING)
		return value.n == 0;
	if (form->prefix && !take_prefixes(&value, t)) {
		*why_out = S("the number of bits is no prefix length");
		return false;
	}
	if (form->wants == PERHAPS_DOMAIN && value.n == 0)
		return true;
	if (!colon)
		*why_out = form->wants == A_NETWORK ? S("an address has to follow, after a colon")
						    : S("a name has to follow, after a colon");
	if (!colon || value.n == 0)
		return false;
	value = str_from(value, 1);
	if (form->wants == A_NETWORK)
		return read_network(a, value, t, why_out);
	t->domain = value;
	if (value.n == 0)
		*why_out = S("the name is missing");
	return value.n > 0 && spf_spec_valid(a, value, true, &t->macros, why_out);
}

/* A name that is no term: the mistakes that people make. */
static struct str unknown_term(struct arena *a, struct str text, struct str name)
{
	struct str value = str_from(text, name.n);

	if (text.n > 0 && strchr("\"'\\", text.p[0]))
		return S("quotes belong to the zone file, not into the record");
	if (str_find(text, ';') < text.n || str_find(text, ',') < text.n)
		return SEPARATED;
	if (str_ieq(name, S("ip")) || str_ieq(name, S("ipv4")))
		return S("the name of this term is ip4");
	if (str_ieq(name, S("ipv6")))
		return S("the name of this term is ip6");
	if (value.n > 0 && value.p[0] == ':' && str_ieq(name, S("redirect")))
		return S("it is written with '=': redirect=");
	if (str_istarts(text, VERSION))
		return S("the version is there twice: two records became one");
	return arena_printf(a, "\"%.*s\" is no term of SPF", STR_ARG(text));
}

bool spf_read_term(struct arena *a, struct str text, size_t at, struct spf_term *t, struct str *why_out)
{
	struct str rest = text, name;
	const struct form *form;
	bool modifier;

	*t = (struct spf_term){ .text = text, .at = at, .bits4 = 32, .bits6 = 128 };
	if (text.n > 0 && text.p[0] && strchr("+-~?", text.p[0])) {
		t->qualifier = text.p[0];
		rest = str_from(rest, 1);
	}
	name = str_head(rest, name_length(rest));
	modifier = name.n > 0 && name.n < rest.n && rest.p[name.n] == '=' && t->qualifier == 0;
	form = form_of(name, modifier);
	rest = str_from(rest, name.n);
	if (form) {
		t->kind = form->kind;
		if (!modifier && t->qualifier == 0)
			t->qualifier = '+';
		if (read_value(a, form, rest, t, why_out))
			return true;
		if (str_ends(text, S(";")) || str_ends(text, S(",")))
			*why_out = SEPARATED;
		return false;
	}
	t->kind = SPF_OTHER;
	if (modifier && !form_of(name, false) && !str_istarts(text, VERSION))
		return spf_spec_valid(a, str_from(rest, 1), false, &t->macros, why_out);
	*why_out = unknown_term(a, t->qualifier ? str_from(text, 1) : text, name);
	return false;
}

/* Modifiers that can be there once (RFC 7208 6). */
static bool doubled(const struct spf_record *r, const struct spf_term *t)
{
	if (t->kind != SPF_REDIRECT && t->kind != SPF_EXP)
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (&r->terms[i] != t && r->terms[i].kind == t->kind)
			return true;
	return false;
}

static void note(struct spf_record *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->terms[i].kind == SPF_ALL && !r->all)
			r->all = &r->terms[i];
		if (r->terms[i].kind == SPF_REDIRECT && !r->redirect)
			r->redirect = &r->terms[i];
	}
}

bool spf_parse(struct arena *a, struct str text, struct spf_record *record_out, struct spf_fault *fault_out)
{
	struct str rest = str_from(text, VERSION.n), word;
	size_t capacity = 0;
	bool good = spf_is_record(text);

	*record_out = (struct spf_record){ 0 };
	*fault_out = (struct spf_fault){ .term = str_head(text, str_find(text, ' ')), .why = S("it does not begin with v=spf1") };
	while (good && str_split(&rest, ' ', &word)) {
		struct spf_term *t;

		if (word.n == 0)
			continue;
		ARENA_GROW(a, record_out->terms, record_out->n, capacity);
		t = &record_out->terms[record_out->n];
		*fault_out = (struct spf_fault){ .at = (size_t)(word.p - text.p), .term = word };
		good = spf_read_term(a, word, fault_out->at, t, &fault_out->why);
		record_out->n += good;
		if (good && doubled(record_out, t)) {
			fault_out->why = S("this modifier is there twice");
			good = false;
		}
	}
	note(record_out);
	return good;
}
