/* environment_forms.c - values as other images have them, in our form. */
#include "environment.h"

static bool is_no(struct str value)
{
	return str_ieq(value, S("no")) || str_ieq(value, S("false")) || str_eq(value, S("0"));
}

static bool is_number(struct str value)
{
	uint64_t number;

	return str_to_u64(value, &number);
}

/* "[smtp.example]:587", "smtp.example", "[2001:db8::1]:25": the brackets around a name keep Postfix from looking up MX records,
 * which are never looked up here. */
static struct str relayhost(struct arena *a, struct str value)
{
	size_t end = str_find(value, ']');
	struct str host = value.n > 0 && value.p[0] == '[' && end < value.n ? str_head(str_from(value, 1), end - 1) : S("");

	if (host.n > 0 && str_find(host, ':') == host.n)
		value = arena_printf(a, "%.*s%.*s", STR_ARG(host), STR_ARG(str_from(value, end + 1)));
	end = str_rfind(value, ']');
	if (str_find(end < value.n ? str_from(value, end) : value, ':') == (end < value.n ? value.n - end : value.n))
		value = arena_printf(a, "%.*s:25", STR_ARG(value));
	return value;
}

/* A number alone has the unit that Postfix gives it; a week is seven days. */
static struct str duration(struct arena *a, struct str value, const char *unit)
{
	uint64_t weeks;

	if (is_number(value))
		return str_eq(value, S("0")) ? S("0s") : arena_printf(a, "%.*s%s", STR_ARG(value), unit);
	if (str_ends(value, S("w")) && str_to_u64(str_head(value, value.n - 1), &weeks) && weeks < 10000)
		return arena_printf(a, "%ud", 7 * (unsigned)weeks);
	return value;
}

/* `"Name" <address>` */
static struct str address_alone(struct str value)
{
	size_t from = str_rfind(value, '<');
	struct str inner = from < value.n ? str_from(value, from + 1) : value;

	return str_trim(str_head(inner, str_find(inner, '>')));
}

/* "example.org=mail,example.net": the selector of mwader/postfix-relay is "mail" where none is given. */
static struct str opendkim(struct arena *a, struct str value)
{
	struct str_list words = environment_words(a, value);
	struct str all = S("");

	for (size_t i = 0; i < words.n; i++)
		all = arena_printf(a, "%.*s%s%.*s%s", STR_ARG(all), i ? "," : "", STR_ARG(words.at[i]),
				   str_find(words.at[i], '=') < words.at[i].n ? "" : "=mail");
	return all;
}

/* "ipv4" is no IPv6, and the reverse. */
static struct str protocols(struct variable *v)
{
	bool v4 = str_search(v->value, S("ipv4")) < v->value.n, v6 = str_search(v->value, S("ipv6")) < v->value.n;

	if (v6 && !v4)
		v->ours = "POSTHOUSE_IPV4";
	return v4 != v6 ? S("false") : S("");
}

/* An application can have a variable of that name too, so another value is no fault. */
static struct str log_form(struct variables *e, const struct variable *v)
{
	if (str_ieq(v->value, S("json")))
		return S("json");
	if (!str_ieq(v->value, S("plain")) && !str_ieq(v->value, S("logfmt")))
		fault_at(e->l, v->name, 0, true, "not used: expected plain or json, not \"%.*s\"", STR_ARG(v->value));
	return S("logfmt");
}

void environment_convert(struct variables *e, struct variable *v)
{
	struct arena *a = e->l->arena;

	if (!v->row || v->row->kind != ENV_OTHER || v->value.n == 0)
		return;
	switch (v->row->form) {
	case SWITCH: v->value = is_no(v->value) ? S("no") : S("yes"); break;
	case RELAYHOST: v->value = relayhost(a, v->value); break;
	case SIZE: v->value = str_eq(v->value, S("0")) ? S("2G") : v->value; break;
	case LOG_FORM: v->value = log_form(e, v); break;
	case DEBUGGING: v->value = is_no(v->value) ? S("") : S("debug"); break;
	case DAYS: v->value = duration(a, v->value, "d"); break;
	case HOURS: v->value = duration(a, v->value, "h"); break;
	case PROTOCOLS: v->value = protocols(v); break;
	case ADDRESS_ALONE: v->value = address_alone(v->value); break;
	case DOMAIN_LIST: v->value = opendkim(a, v->value); break;
	case TLS_LEVEL: /* it depends on the login: environment_upstream.c */
	case AS_IT_IS: break;
	}
}
