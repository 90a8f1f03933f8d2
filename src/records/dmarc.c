/* dmarc.c - DMARC records (RFC 7489 6.3). */
#include "posthouse/dmarc.h"

#include "tags.h"

const char *const dmarc_policy_names[] = { "none", "quarantine", "reject" };

bool dmarc_likely(struct str text)
{
	return str_search(text, S("DMARC1")) < text.n || str_search(text, S("dmarc1")) < text.n;
}

static bool read_policy(struct str value, enum dmarc_policy *to)
{
	for (unsigned i = DMARC_NONE; i <= DMARC_REJECT; i++)
		if (str_ieq(value, str_of(dmarc_policy_names[i]))) {
			*to = (enum dmarc_policy)i;
			return true;
		}
	return false;
}

static struct str_list addresses(struct arena *a, struct str value)
{
	struct str_list list = { ARENA_ARRAY(a, struct str, value.n / 2 + 1), 0 };
	struct str part;

	while (str_split(&value, ',', &part)) {
		part = str_trim(str_head(part, str_find(part, '!')));
		if (part.n > 0)
			list.at[list.n++] = part;
	}
	return list;
}

static bool read_mode(struct arena *a, const struct tags *tags, const char *name, bool *strict_out, struct str *why_out)
{
	struct str value = tag_value(tags, name);

	*strict_out = str_ieq(value, S("s"));
	*why_out = arena_printf(a, "%s=%.*s is neither r nor s", name, STR_ARG(value));
	return value.n == 0 || *strict_out || str_ieq(value, S("r"));
}

static bool read_values(struct arena *a, const struct tags *tags, struct dmarc_record *r, struct str *why_out)
{
	struct str p = tag_value(tags, "p"), sp = tag_value(tags, "sp"), pct = tag_value(tags, "pct");
	uint64_t number = 100;

	*why_out = p.n == 0 ? S("it has no p=") : arena_printf(a, "p=%.*s is no policy", STR_ARG(p));
	if (!read_policy(p, &r->policy))
		return false;
	r->subdomains = r->policy;
	*why_out = arena_printf(a, "sp=%.*s is no policy", STR_ARG(sp));
	if (sp.n > 0 && !read_policy(sp, &r->subdomains))
		return false;
	*why_out = arena_printf(a, "pct=%.*s is no number from 0 to 100", STR_ARG(pct));
	if (pct.n > 0 && (!str_to_u64(pct, &number) || number > 100))
		return false;
	r->pct = (unsigned)number;
	r->rua = addresses(a, tag_value(tags, "rua"));
	return read_mode(a, tags, "adkim", &r->adkim_strict, why_out) && read_mode(a, tags, "aspf", &r->aspf_strict, why_out);
}

bool dmarc_parse(struct arena *a, struct str text, struct dmarc_record *record_out, struct str *why_out)
{
	struct tags tags = tags_read(a, text);
	const struct tag *v = tag_find(&tags, "v");

	*record_out = (struct dmarc_record){ .pct = 100 };
	if (str_find(text, '"') < text.n || str_find(text, '\\') < text.n) {
		*why_out = S("it has quotes or backslashes inside, which belong to the zone file");
		return false;
	}
	*why_out = S("v=DMARC1 is not its first tag");
	if (!v || v != tags.at || !str_eq(v->value, S("DMARC1")) || v->at > 0 || text.p[0] != 'v')
		return false;
	*why_out = tags.fault;
	return tags.fault.n == 0 && read_values(a, &tags, record_out, why_out);
}

/* Is the tag worth keeping: the first of its name, with a value that means something? */
static bool is_kept(struct arena *a, const struct tags *tags, const struct tag *t)
{
	enum dmarc_policy policy;
	uint64_t number;

	if (str_eq(t->name, S("v")) || str_ieq(t->name, S("p")) || t->value.n == 0 || t != tag_find(tags, arena_cstr(a, t->name)))
		return false;
	if (str_eq(t->name, S("sp")))
		return read_policy(t->value, &policy);
	if (str_eq(t->name, S("adkim")) || str_eq(t->name, S("aspf")))
		return str_ieq(t->value, S("r")) || str_ieq(t->value, S("s"));
	return !str_eq(t->name, S("pct")) || (str_to_u64(t->value, &number) && number <= 100);
}

static struct str without_litter(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '"' && text.p[i] != '\'' && text.p[i] != '\\')
			p[n++] = text.p[i];
	return str_make(p, n);
}

struct str dmarc_mended(struct arena *a, struct str text, struct str rua)
{
	struct tags tags = tags_read(a, without_litter(a, text));
	enum dmarc_policy policy = DMARC_NONE;
	struct str mended;

	for (size_t i = 0; i < tags.n; i++)
		if (str_ieq(tags.at[i].name, S("p")) && read_policy(tags.at[i].value, &policy))
			break;
	mended = arena_printf(a, "v=DMARC1; p=%s", dmarc_policy_names[policy]);
	for (size_t i = 0; i < tags.n; i++)
		if (is_kept(a, &tags, &tags.at[i]))
			mended = arena_printf(a, "%.*s; %.*s=%.*s", STR_ARG(mended), STR_ARG(tags.at[i].name),
					      STR_ARG(tags.at[i].value));
	if (tag_value(&tags, "rua").n == 0 && rua.n > 0)
		mended = arena_printf(a, "%.*s; rua=%.*s", STR_ARG(mended), STR_ARG(rua));
	return mended;
}
