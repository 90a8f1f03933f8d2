/* sts_record.c - the TXT record at _mta-sts.DOMAIN (RFC 8461 3.1), which says that there is a policy, and which one. */
#include "posthouse/tls_policy.h"

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim_blanks(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool sts_name_is_valid(struct str name)
{
	if (name.n == 0 || name.n > STS_NAME_MAX || !is_alphanumeric(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++)
		if (!is_alphanumeric(name.p[i]) && name.p[i] != '_' && name.p[i] != '-' && name.p[i] != '.')
			return false;
	return true;
}

/* Others are discarded (RFC 8461 3.1). */
static bool is_record(struct str text)
{
	static const struct str version = { "v=STSv1", 7 };
	struct str rest = str_from(text, version.n);

	return str_starts(text, version) && (trim_blanks(rest).n == 0 || trim_blanks(rest).p[0] == ';');
}

static bool is_id(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!is_alphanumeric(value.p[i]))
			return false;
	return value.n > 0 && value.n <= STS_ID_MAX;
}

/* Of a field that we do not know: sts-ext-value. */
static bool is_value(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || value.p[i] > '~' || value.p[i] == '=')
			return false;
	return value.n > 0;
}

/* A field behind the version. The first id counts. "": it is good, or empty; else what is wrong. */
static struct str read_field(struct arena *a, struct str field, struct str *id)
{
	size_t equals = str_find(field, '=');
	struct str name = str_head(field, equals), value = str_from(field, equals + 1);

	if (field.n == 0)
		return S("");
	if (equals == field.n || !sts_name_is_valid(name))
		return S("it has a part that is not name=value");
	if (str_eq(name, S("id"))) {
		if (!is_id(value))
			return S("its id= is not 1 to 32 letters and digits");
		if (id->n == 0)
			*id = value;
		return S("");
	}
	return is_value(value) ? S("") : arena_printf(a, "the value of %.*s= has characters that it cannot have", STR_ARG(name));
}

struct str sts_record_read(struct arena *a, struct str text, struct str *id_out)
{
	struct str rest = text, part, why = S("");

	*id_out = S("");
	if (!is_record(text))
		return S("it does not begin with v=STSv1;");
	str_split(&rest, ';', &part);
	while (why.n == 0 && str_split(&rest, ';', &part))
		why = read_field(a, trim_blanks(part), id_out);
	if (why.n == 0 && id_out->n == 0)
		why = S("it has no id=");
	if (why.n > 0)
		*id_out = S("");
	return why;
}

struct str sts_record_choose(struct arena *a, const struct str_list *texts, struct str *id_out)
{
	struct str only = S("");
	size_t n = 0;

	*id_out = S("");
	for (size_t i = 0; i < texts->n; i++)
		if (is_record(texts->at[i])) {
			only = texts->at[i];
			n++;
		}
	if (n != 1)
		return n == 0 ? S("there is no MTA-STS record") : S("there are several MTA-STS records");
	return sts_record_read(a, only, id_out);
}
