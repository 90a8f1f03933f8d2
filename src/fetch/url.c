/* url.c - the same parser reads a URL here, where the host is looked up, and in the transfer. */
#include "url.h"

#include "posthouse/secret.h"

#include <curl/curl.h>
#include <stdlib.h>

/* One part, copied to the arena; "" when it is not there. */
static struct str part(struct arena *a, CURLU *url, CURLUPart what, unsigned flags)
{
	struct str copy = { "", 0 };
	char *text;

	if (curl_url_get(url, what, &text, flags) != CURLUE_OK)
		return copy;
	copy = arena_str(a, str_of(text));
	curl_free(text);
	return copy;
}

/* libcurl decodes "%33" in a host behind its checks of the host: the same URL would name the host "3" once, and 0.0.0.3 when it
 * is read again. */
static bool has_escaped_host(struct str text)
{
	struct str rest = str_from(text, str_find(text, ':') + 1);

	while (rest.n > 0 && rest.p[0] == '/')
		rest = str_from(rest, 1);
	for (size_t i = 0; i < rest.n && !strchr("/?#", rest.p[i]); i++)
		if (rest.p[i] == '%')
			return true;
	return false;
}

bool url_read(struct arena *a, struct str text, struct url *url_out)
{
	CURLU *url = curl_url();
	char *whole = str_dup(text);
	uint64_t port = 0;
	bool good;

	if (!url)
		abort();
	good = strlen(whole) == text.n && !has_escaped_host(text) &&
	       curl_url_set(url, CURLUPART_URL, whole, CURLU_DISALLOW_USER) == CURLUE_OK &&
	       str_ieq(part(a, url, CURLUPART_SCHEME, 0), S("https")) &&
	       str_to_u64(part(a, url, CURLUPART_PORT, CURLU_DEFAULT_PORT), &port) && port > 0 && port <= 65535;
	*url_out = (struct url){ .host = part(a, url, CURLUPART_HOST, CURLU_PUNYCODE),
				 .path = part(a, url, CURLUPART_PATH, 0),
				 .port = (unsigned)port };
	curl_url_cleanup(url);
	wipe(whole, text.n);
	free(whole);
	return good && url_out->host.n > 0;
}
