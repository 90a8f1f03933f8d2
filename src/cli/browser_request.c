/* browser_request.c - the parser of a browser's request: see browser.h. */
#include "browser.h"

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	struct str all = str_of(digits);
	size_t i = str_find(all, ascii_lower(c));

	return i < all.n ? (int)i : -1;
}

/* application/x-www-form-urlencoded. False: a wrong encoding, or a byte that no such value has. */
static bool decode(struct arena *a, struct str s, struct str *value_out)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int high, low;
		char c = s.p[i] == '+' ? ' ' : s.p[i];

		if (c == '%') {
			if (i + 2 >= s.n)
				return false;
			high = hex_digit(s.p[i + 1]);
			low = hex_digit(s.p[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c < ' ' || c > '~')
			return false;
		out[n++] = c;
	}
	*value_out = str_make(out, n);
	return true;
}

struct str browser_parameter(struct arena *a, struct str query, struct str name)
{
	struct str found = S(""), part;
	bool seen = false;

	while (str_split(&query, '&', &part)) {
		size_t at = str_find(part, '=');

		if (at == part.n || !str_eq(str_head(part, at), name))
			continue;
		if (seen || !decode(a, str_from(part, at + 1), &found))
			return S("");
		seen = true;
	}
	return found;
}

/* "/?code=…" of "GET /?code=… HTTP/1.1"; "": another request. */
static struct str query_of(struct str line)
{
	struct str method, target = S(""), version = line;

	if (!str_split(&version, ' ', &method) || !str_eq(method, S("GET")) || !str_split(&version, ' ', &target) ||
	    (!str_eq(version, S("HTTP/1.1")) && !str_eq(version, S("HTTP/1.0"))) || !str_starts(target, S("/?")))
		return S("");
	return str_from(target, 2);
}

enum browser_request browser_read(struct arena *a, struct str request, struct str state, struct browser_answer *answer_out)
{
	size_t end = str_search(request, S("\r\n\r\n"));
	struct str query;

	*answer_out = (struct browser_answer){ .code = S("") };
	if (end == request.n)
		return request.n < BROWSER_REQUEST_MAX ? BROWSER_MORE : BROWSER_OTHER;
	query = query_of(str_head(request, str_search(request, S("\r\n"))));
	if (state.n == 0 || !str_eq(browser_parameter(a, query, S("state")), state))
		return BROWSER_OTHER;
	answer_out->code = browser_parameter(a, query, S("code"));
	answer_out->error = browser_parameter(a, query, S("error"));
	return answer_out->code.n > 0 || answer_out->error.n > 0 ? BROWSER_SIGNED_IN : BROWSER_OTHER;
}
