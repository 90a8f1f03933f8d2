/* params.c - the parameters of MAIL and RCPT, a row per parameter that we offer (see extensions.def). */
#include "grammar.h"

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

static const struct param mail_params[] = {
	{ S("SIZE"), parse_size },
	{ S("BODY"), parse_body },
	{ S("AUTH"), parse_auth },
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
	return parse_params(rest, NULL, 0, params_out); /* none yet: NOTIFY and ORCPT come with DSN */
}
