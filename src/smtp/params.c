/* params.c - the parameters of MAIL and RCPT, a row per parameter that we offer (see extensions.def). */
#include "grammar.h"

#define ENVID_MAX 100 /* RFC 3461 4.4 */
#define ORCPT_MAX 500 /* RFC 3461 4.2 */

struct param {
	struct str keyword;
	bool (*parse)(struct str value, void *to); /* false: the value is malformed */
};

/* RFC 1870 section 4: one to twenty digits; what a number of 64 bits cannot hold is too large in any case. */
static bool parse_size(struct str value, void *to)
{
	struct smtp_mail_params *p = to;

	if (value.n == 0 || value.n > 20)
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
	p->has_size = true;
	if (!str_to_u64(value, &p->size))
		p->size = UINT64_MAX;
	return true;
}

/* RFC 6152 section 2; BINARYMIME (RFC 3030) is not offered. */
static bool parse_body(struct str value, void *to)
{
	struct smtp_mail_params *p = to;

	p->body = str_ieq(value, S("8BITMIME")) ? BODY_8BITMIME : BODY_7BIT;
	return str_ieq(value, S("7BIT")) || str_ieq(value, S("8BITMIME"));
}

/* RFC 4954 section 5: who has the AUTH extension accepts the parameter; we trust no other server's word, so it is read and dropped. */
static bool parse_auth(struct str value, void *to)
{
	return value.n > 0 && (str_eq(value, S("<>")) || smtp_xtext_valid(value));
}

/* RFC 3461 4.3. */
static bool parse_ret(struct str value, void *to)
{
	struct smtp_mail_params *p = to;

	p->ret = str_ieq(value, S("FULL")) ? RET_FULL : RET_HDRS;
	return p->ret == RET_FULL || str_ieq(value, S("HDRS"));
}

/* RFC 3461 4.2 and 4.4: what stands in the xtext comes back in a report, so it is printable ASCII: a code for anything else is malformed. */
static bool printable_xtext(struct str text)
{
	if (text.n == 0 || !smtp_xtext_valid(text))
		return false;
	for (size_t i = 0; i + 2 < text.n; i++)
		if (text.p[i] == '+' &&
		    (text.p[i + 1] < '2' || text.p[i + 1] > '7' || (text.p[i + 1] == '7' && text.p[i + 2] == 'F')))
			return false;
	return true;
}

static bool parse_envid(struct str value, void *to)
{
	struct smtp_mail_params *p = to;

	p->envid = value;
	return value.n <= ENVID_MAX && printable_xtext(value);
}

static const struct param mail_params[] = {
	{ S("SIZE"), parse_size }, { S("BODY"), parse_body },   { S("AUTH"), parse_auth },
	{ S("RET"), parse_ret },   { S("ENVID"), parse_envid },
};

/* RFC 3461 4.1: NEVER alone, or a list of the others with commas. */
static bool parse_notify(struct str value, void *to)
{
	static const struct {
		struct str word;
		unsigned bit;
	} words[] = {
		{ S("NEVER"), NOTIFY_NEVER },
		{ S("SUCCESS"), NOTIFY_SUCCESS },
		{ S("FAILURE"), NOTIFY_FAILURE },
		{ S("DELAY"), NOTIFY_DELAY },
	};
	struct smtp_rcpt_params *p = to;
	size_t n = sizeof(words) / sizeof(words[0]);

	for (bool more = true; more;) {
		size_t comma = str_find(value, ','), i = 0;

		while (i < n && !str_ieq(str_head(value, comma), words[i].word))
			i++;
		if (i == n)
			return false;
		p->notify |= words[i].bit;
		more = comma < value.n;
		value = str_from(value, comma + 1);
	}
	return (p->notify & NOTIFY_NEVER) == 0 || p->notify == NOTIFY_NEVER;
}

/* RFC 3461 4.2: the type (an atom, "rfc822" as a rule), a semicolon, and the address as xtext. */
static bool parse_orcpt(struct str value, void *to)
{
	struct smtp_rcpt_params *p = to;
	size_t semicolon = str_find(value, ';');

	p->orcpt = value;
	return value.n <= ORCPT_MAX && semicolon < value.n && smtp_atom_valid(str_head(value, semicolon)) &&
	       printable_xtext(str_from(value, semicolon + 1));
}

static const struct param rcpt_params[] = {
	{ S("NOTIFY"), parse_notify },
	{ S("ORCPT"), parse_orcpt },
};

/* Take the next word off the front. */
static bool next_word(struct str *rest, struct str *word_out)
{
	while (str_split(rest, ' ', word_out))
		if ((*word_out = str_trim(*word_out)).n > 0)
			return true;
	return false;
}

static struct verdict parse_params(struct str rest, const struct param *table, size_t n, void *to)
{
	struct str word;
	uint64_t seen = 0;

	while (next_word(&rest, &word)) {
		size_t equals = str_find(word, '='), i = 0;

		while (i < n && !str_ieq(str_head(word, equals), table[i].keyword))
			i++;
		if (i == n)
			return perm(555, S("5.5.4"), S("Parameter not recognized or not offered"));
		if ((seen & 1ull << i) != 0)
			return perm(501, S("5.5.4"), S("Parameter given twice"));
		seen |= 1ull << i;
		if (!table[i].parse(str_from(word, equals + 1), to))
			return perm(501, S("5.5.4"), S("Parameter with a bad value"));
	}
	return ok();
}

struct verdict smtp_mail_params(struct str rest, struct smtp_mail_params *params_out)
{
	*params_out = (struct smtp_mail_params){ 0 };
	return parse_params(rest, mail_params, sizeof(mail_params) / sizeof(mail_params[0]), params_out);
}

struct verdict smtp_rcpt_params(struct str rest, struct smtp_rcpt_params *params_out)
{
	*params_out = (struct smtp_rcpt_params){ 0 };
	return parse_params(rest, rcpt_params, sizeof(rcpt_params) / sizeof(rcpt_params[0]), params_out);
}
