/* results.c - Authentication-Results (RFC 8601 2.2): what a receiver's server found out about a message. */
#include "text.h"

#include "posthouse/verify.h"

#define RESULTS_MAX    40
#define PROPERTIES_MAX 40

/* Take comments and white space off the front; the words of the last comment, when somebody wants them. False: a comment has no
 * end. */
static bool skip(struct str *rest, struct str *comment_out)
{
	while (rest->n > 0 && (is_wsp(*rest->p) || *rest->p == '\r' || *rest->p == '\n' || *rest->p == '(')) {
		size_t depth = 0, i = 0;

		if (*rest->p != '(') {
			*rest = str_from(*rest, 1);
			continue;
		}
		for (; i < rest->n; i++) {
			if (rest->p[i] == '\\')
				i++;
			else if (rest->p[i] == '(')
				depth++;
			else if (rest->p[i] == ')' && --depth == 0)
				break;
		}
		if (i >= rest->n)
			return false;
		if (comment_out)
			*comment_out = str_make(rest->p + 1, i - 1);
		*rest = str_from(*rest, i + 1);
	}
	return true;
}

/* A quoted string, without quotes and backslashes. */
static bool take_quoted(struct arena *a, struct str *rest, struct str *text_out)
{
	char *p = arena_alloc(a, rest->n);
	size_t n = 0, i = 1;

	for (; i < rest->n && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		p[n++] = rest->p[i];
	}
	if (i >= rest->n)
		return false;
	*rest = str_from(*rest, i + 1);
	*text_out = str_make(p, n);
	return true;
}

/* A word: up to white space, a comment, a semicolon, and `also`, which 0 never is; or a quoted string, which an address can go on
 * behind. */
static bool take_word(struct arena *a, struct str *rest, char also, struct str *word_out)
{
	struct str begin = *rest;
	size_t n = 0;

	if (rest->n > 0 && *rest->p == '"') {
		if (!take_quoted(a, rest, word_out))
			return false;
		if (rest->n == 0 || *rest->p != '@')
			return true;
		n = begin.n - rest->n;
		*rest = begin;
	}
	while (n < rest->n && !strchr(" \t\r\n(;", rest->p[n]) && (also == 0 || rest->p[n] != also))
		n++;
	*word_out = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return n > 0;
}

/* "name = value". RFC 8601 2.2: white space and comments are allowed everywhere between. */
static bool take_pair(struct arena *a, struct str *rest, struct str *name_out, struct str *value_out)
{
	if (!take_word(a, rest, '=', name_out) || !skip(rest, NULL) || rest->n == 0 || *rest->p != '=')
		return false;
	*rest = str_from(*rest, 1);
	return skip(rest, NULL) && take_word(a, rest, 0, value_out);
}

/* One method with its result and properties, up to the semicolon. */
static bool take_result(struct arena *a, struct str *rest, struct auth_result *r)
{
	struct str name, value, comment = { 0 };

	*r = (struct auth_result){ .properties = ARENA_ARRAY(a, struct auth_property, PROPERTIES_MAX) };
	if (!take_pair(a, rest, &name, &r->result))
		return false;
	r->method = str_head(name, str_find(name, '/')); /* a version can follow */
	if (r->method.n == 0 || r->result.n == 0)
		return false;
	for (;;) {
		if (!skip(rest, r->properties_n == 0 && r->reason.n == 0 ? &comment : NULL))
			return false;
		if (rest->n == 0 || *rest->p == ';')
			break;
		if (!take_pair(a, rest, &name, &value))
			return false;
		if (str_ieq(name, S("reason")))
			r->reason = value;
		else if (r->properties_n < PROPERTIES_MAX)
			r->properties[r->properties_n++] = (struct auth_property){ name, value };
	}
	if (r->reason.n == 0)
		r->reason = comment;
	return true;
}

bool auth_results_parse(struct arena *a, struct str value, struct auth_results *out)
{
	struct str rest = value, word;

	*out = (struct auth_results){ .results = ARENA_ARRAY(a, struct auth_result, RESULTS_MAX) };
	if (!skip(&rest, NULL) || !take_word(a, &rest, 0, &out->server) || !skip(&rest, NULL))
		return false;
	if (rest.n > 0 && *rest.p != ';' && (!take_word(a, &rest, 0, &word) || !skip(&rest, NULL))) /* the version */
		return false;
	while (rest.n > 0 && *rest.p == ';') {
		rest = str_from(rest, 1);
		if (!skip(&rest, NULL))
			return false;
		if (rest.n == 0) /* a semicolon at the end, as some servers write it */
			break;
		struct str none = rest;
		if (take_word(a, &none, '=', &word) && str_ieq(word, S("none")) && skip(&none, NULL) && none.n == 0)
			return out->n == 0;
		if (out->n == RESULTS_MAX)
			return true;
		if (!take_result(a, &rest, &out->results[out->n]))
			return false;
		out->n++;
	}
	return rest.n == 0;
}

struct str auth_property_find(const struct auth_result *r, struct str name)
{
	for (size_t i = 0; i < r->properties_n; i++)
		if (str_ieq(r->properties[i].name, name))
			return r->properties[i].value;
	return S("");
}
