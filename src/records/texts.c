/* texts.c - short records: BIMI, CAA. */
#include "posthouse/dmarc.h"

#include "tags.h"

/* The version has to be the first tag, as it is written. */
static struct str version_fault(struct arena *a, const struct tags *tags, const char *version)
{
	const struct tag *v = tag_find(tags, "v");

	if (!v)
		return arena_printf(a, "it has no v=%s", version);
	if (v != tags->at)
		return S("v= is not its first tag");
	if (!str_eq(v->value, str_of(version)))
		return arena_printf(a, "its version is %.*s, not %s", STR_ARG(v->value), version);
	return tags->fault;
}

struct str bimi_logo(struct arena *a, struct str text, struct str *fault_out)
{
	struct tags tags = tags_read(a, text);
	struct str logo = tag_value(&tags, "l");

	*fault_out = version_fault(a, &tags, "BIMI1");
	if (fault_out->n == 0 && !tag_find(&tags, "l"))
		*fault_out = S("it has no l=");
	if (fault_out->n == 0 && logo.n > 0 && !str_istarts(logo, S("https://")))
		*fault_out = S("its logo is no https address");
	return logo;
}

bool caa_read(struct str data, struct caa *caa_out)
{
	size_t n;

	if (data.n < 2)
		return false;
	n = (unsigned char)data.p[1];
	if (n == 0 || data.n < 2 + n)
		return false;
	caa_out->critical = (unsigned char)data.p[0] & 0x80;
	caa_out->tag = str_head(str_from(data, 2), n);
	caa_out->value = str_from(data, 2 + n);
	caa_out->value = str_trim(str_head(caa_out->value, str_find(caa_out->value, ';')));
	return true;
}
