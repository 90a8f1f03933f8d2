/* rpt_record.c - where a domain wants to have its reports about TLS: the TXT record at _smtp._tls.DOMAIN (RFC 8460 3). */
#include "posthouse/tls_policy.h"

#include <ctype.h>

#define VERSION "v=TLSRPTv1"

/* RFC 8460 3: other records are discarded. The ABNF allows blanks before the semicolon. */
static bool has_version(struct str text)
{
	return str_starts(text, S(VERSION)) && str_starts(str_trim(str_from(text, sizeof VERSION - 1)), S(";"));
}

static int hex_of(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 2.1. False: a "%" without two digits behind it. */
static bool percent_decode(struct arena *a, struct str text, struct str *out)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '%') {
			p[n++] = text.p[i];
			continue;
		}
		if (i + 2 >= text.n || hex_of(text.p[i + 1]) < 0 || hex_of(text.p[i + 2]) < 0)
			return false;
		p[n++] = (char)(hex_of(text.p[i + 1]) * 16 + hex_of(text.p[i + 2]));
		i += 2;
	}
	*out = str_make(p, n);
	return true;
}

/* Characters that a URI can have (RFC 3986 2). RFC 8460 3: commas and semicolons, which cannot be in here, and exclamation points
 * must be encoded. */
static bool uri_characters(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((!strchr("-._~:/?#[]@$&'()*+=%", text.p[i]) && !isalnum((unsigned char)text.p[i])) || text.p[i] == 0)
			return false;
	return true;
}

/* One address; what could be the header of the mail (RFC 6068 2) is ours to choose. */
static bool read_mailto(struct arena *a, struct str rest, struct rpt_uri *uri_out)
{
	struct str address;

	rest = str_head(rest, str_find(rest, '?'));
	if (!percent_decode(a, rest, &address))
		return false;
	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] <= ' ' || address.p[i] == 0x7f)
			return false;
	*uri_out = (struct rpt_uri){ .target = address };
	return str_find(address, '@') > 0 && str_rfind(address, '@') + 1 < address.n;
}

static bool read_https(struct arena *a, struct str text, struct rpt_uri *uri_out)
{
	struct str host = str_from(text, sizeof "https://" - 1), ignored;

	host = str_head(host, strcspn(arena_cstr(a, host), "/?#"));
	*uri_out = (struct rpt_uri){ .https = true, .target = arena_str(a, text) };
	return host.n > 0 && str_find(host, '@') == host.n && percent_decode(a, text, &ignored);
}

static void set_fault(struct rpt_record *r, struct str fault)
{
	if (r->fault.n == 0)
		r->fault = fault;
}

/* One report is enough for a place: others' addresses could be in the record too. */
static bool is_known(const struct rpt_record *r, const struct rpt_uri *uri)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].https == uri->https &&
		    (uri->https ? str_eq(r->at[i].target, uri->target) : str_ieq(r->at[i].target, uri->target)))
			return true;
	return false;
}

static void add_uri(struct arena *a, struct rpt_record *r, struct str text)
{
	struct rpt_uri uri;

	if (!str_istarts(text, S("mailto:")) && !str_istarts(text, S("https://")))
		set_fault(r, arena_printf(a, "rua=%.*s is neither mailto: nor https://", STR_ARG(text)));
	else if (!uri_characters(text))
		set_fault(r, arena_printf(a, "rua=%.*s has characters that must be written with %%", STR_ARG(text)));
	else if (str_istarts(text, S("mailto:")) ? !read_mailto(a, str_from(text, 7), &uri) : !read_https(a, text, &uri))
		set_fault(r, arena_printf(a, "rua=%.*s names no place for reports", STR_ARG(text)));
	else if (is_known(r, &uri))
		set_fault(r, arena_printf(a, "rua=%.*s is there twice", STR_ARG(text)));
	else if (r->n == RPT_URIS_MAX)
		set_fault(r, arena_printf(a, "rua= has more than %d places", RPT_URIS_MAX));
	else
		r->at[r->n++] = uri;
}

/* tlsrpt-ext-name of the ABNF; "rua" is one too. */
static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!isalnum((unsigned char)name.p[i]) && (i == 0 || !strchr("_-.", name.p[i]) || name.p[i] == 0))
			return false;
	return name.n > 0 && name.n <= 32;
}

static void read_fields(struct arena *a, struct rpt_record *r, struct str text)
{
	struct str rest = str_from(text, sizeof VERSION - 1), field, uris, uri;
	bool has_rua = false;

	str_split(&rest, ';', &field); /* what is behind the version: blanks */
	while (str_split(&rest, ';', &field)) {
		size_t equals = str_find(field, '=');

		if (str_trim(field).n == 0) {
			if (rest.n > 0)
				set_fault(r, S("there is nothing between two ';'"));
			continue;
		}
		if (equals == field.n || !is_name(str_trim(str_head(field, equals)))) {
			set_fault(r, arena_printf(a, "\"%.*s\" is no field", STR_ARG(str_trim(field))));
			continue;
		}
		if (!str_eq(str_trim(str_head(field, equals)), S("rua")))
			continue; /* unknown fields are ignored */
		has_rua = true;
		uris = str_from(field, equals + 1);
		while (str_split(&uris, ',', &uri))
			add_uri(a, r, str_trim(uri));
	}
	if (!has_rua || (r->n == 0 && r->fault.n == 0))
		r->fault = S("it has no rua=");
}

void rpt_record_read(struct arena *a, struct str_list texts, struct rpt_record *record_out)
{
	struct str text = S("");
	size_t found = 0;

	*record_out = (struct rpt_record){ .fault = S("") };
	for (size_t i = 0; i < texts.n; i++)
		if (has_version(texts.at[i])) {
			text = texts.at[i];
			found++;
		}
	if (found == 1)
		read_fields(a, record_out, text);
	else if (found > 1)
		record_out->fault = S("there are several");
	else if (texts.n > 0)
		record_out->fault = S("it has no " VERSION "; at its beginning");
}
