/* sts_policy.c - the text of an MTA-STS policy (RFC 8461 3.2), and which hosts its patterns fit (4.1). */
#include "posthouse/tls_policy.h"

#include "posthouse/utf8.h"

struct reading {
	struct arena *a;
	struct sts_policy *policy;
	bool version, mode, max_age; /* seen: of these the first one counts */
};

const char *sts_mode_word(enum sts_mode mode)
{
	static const char *const words[] = { "none", "testing", "enforce" };

	return words[mode];
}

/* ---- hosts ---- */

/* Labels of letters, digits and hyphens (A-labels); underscores are no host names, but seen in the wild. */
static bool is_host_name(struct str name)
{
	struct str label;

	if (name.n == 0 || name.n > 253 || name.p[name.n - 1] == '.')
		return false;
	while (str_split(&name, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];

			if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
				return false;
		}
	}
	return true;
}

static struct str without_dot(struct str name)
{
	return name.n > 1 && name.p[name.n - 1] == '.' ? str_head(name, name.n - 1) : name;
}

static bool fits(struct str pattern, struct str host)
{
	host = without_dot(host);
	if (!str_starts(pattern, S("*.")))
		return str_ieq(pattern, host);
	return str_find(host, '.') > 0 && str_ieq(str_from(pattern, 1), str_from(host, str_find(host, '.')));
}

bool sts_policy_lists(const struct sts_policy *policy, struct str host)
{
	for (size_t i = 0; i < policy->mx.n; i++)
		if (fits(policy->mx.at[i], host))
			return true;
	return false;
}

/* ---- fields ---- */

static struct str read_version(struct reading *r, struct str value)
{
	if (r->version)
		return S("");
	r->version = true;
	return str_eq(value, S("STSv1")) ? S("") : S("its version is not STSv1");
}

static struct str read_mode(struct reading *r, struct str value)
{
	if (r->mode)
		return S("");
	r->mode = true;
	for (unsigned mode = STS_NONE; mode <= STS_ENFORCE; mode++)
		if (str_eq(value, str_of(sts_mode_word(mode)))) {
			r->policy->mode = mode;
			return S("");
		}
	return S("its mode is not enforce, testing or none");
}

/* A longer time than the longest one counts as the longest one. */
static struct str read_max_age(struct reading *r, struct str value)
{
	uint64_t seconds;

	if (r->max_age)
		return S("");
	r->max_age = true;
	if (value.n > 10 || !str_to_u64(value, &seconds))
		return S("its max_age is no number of seconds");
	r->policy->max_age_s = seconds < STS_MAX_AGE_S ? seconds : STS_MAX_AGE_S;
	return S("");
}

static struct str read_mx(struct reading *r, struct str value)
{
	struct sts_policy *p = r->policy;
	struct str name = without_dot(value);

	if (!is_host_name(str_starts(name, S("*.")) ? str_from(name, 2) : name))
		return S("one of its mx is no host name, nor one with * in place of the first label");
	if (p->mx.n == STS_MX_MAX)
		return S("it has too many mx");
	if (!p->mx.at)
		p->mx.at = ARENA_ARRAY(r->a, struct str, STS_MX_MAX);
	p->mx.at[p->mx.n++] = arena_lower(r->a, name);
	return S("");
}

static const struct field {
	const char *name;
	struct str (*read)(struct reading *r, struct str value);
} fields[] = { { "version", read_version }, { "mode", read_mode }, { "max_age", read_max_age }, { "mx", read_mx } };

/* Lines end with LF or CRLF; blank ones do no harm, and fields that are not known are ignored, whatever they say. */
static struct str read_line(struct reading *r, struct str line)
{
	size_t colon = str_find(line, ':');
	struct str name = str_head(line, colon), value = str_trim(str_from(line, colon + 1));

	if (line.n == 0)
		return S("");
	if (colon == line.n || !sts_name_is_valid(name))
		return S("it has a line that is not \"name: value\"");
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (str_eq(name, str_of(fields[i].name)))
			return fields[i].read(r, value);
	return S("");
}

static bool has_control(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return !utf8_valid(line);
}

static struct str missing(const struct reading *r)
{
	if (!r->version)
		return S("it has no version");
	if (!r->mode)
		return S("it has no mode");
	if (!r->max_age)
		return S("it has no max_age");
	return r->policy->mode != STS_NONE && r->policy->mx.n == 0 ? S("it has no mx") : S("");
}

struct str sts_policy_read(struct arena *a, struct str text, struct sts_policy *policy_out)
{
	struct reading r = { .a = a, .policy = policy_out };
	struct str line, why = S("");

	*policy_out = (struct sts_policy){ 0 };
	if (text.n > STS_POLICY_MAX)
		return S("it is larger than 64 KiB");
	while (why.n == 0 && str_split(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		why = has_control(line) ? S("it has characters that no policy can have") : read_line(&r, str_trim(line));
	}
	if (why.n == 0)
		why = missing(&r);
	if (why.n > 0)
		*policy_out = (struct sts_policy){ 0 };
	return why;
}
