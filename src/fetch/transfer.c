/* transfer.c - one request: its options, and what comes back. */
#include "transfer.h"

#include "posthouse/clock.h"
#include "posthouse/secret.h"

#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define USER_AGENT "posthouse/" POSTHOUSE_VERSION

/* An option that this libcurl refuses is a bug: the request must not go out without it. */
#define SET(t, option, value)                                                                                                    \
	do                                                                                                                       \
		if (curl_easy_setopt((t)->easy, (option), (value)) != CURLE_OK)                                                  \
			abort();                                                                                                 \
	while (0)

/* ---- what comes back ---- */
static size_t on_head(char *bytes, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	t->head_n += n;
	t->too_large |= t->head_n > ANSWER_HEAD_MAX;
	return t->too_large ? 0 : n;
}

/* All the memory at once: a buffer that grows leaves copies behind. */
static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	if (!t->body.p)
		buf_reserve(&t->body, ANSWER_MAX);
	if (buf_add(&t->body, str_make(bytes, n)))
		return n;
	t->too_large = true;
	return 0;
}

/* libcurl would look the host up itself, in a thread, when its name were not among the addresses: then it fails instead. */
static int on_lookup(void *resolver, void *reserved, void *ctx)
{
	return 1;
}

static const char *field(struct transfer *t, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

/* A date of HTTP (RFC 9110 5.6.7), ms UTC; 0: it is none. */
static uint64_t date_of(const char *text)
{
	time_t at = text ? curl_getdate(text, NULL) : -1;

	return at > 0 ? (uint64_t)at * SECOND_MS : 0;
}

/* RFC 9110 10.2.3: seconds, or a date, which is one of the server's clock. */
static uint64_t retry_after_of(const char *text, uint64_t date)
{
	uint64_t now = date ? date : clock_now_ms(), at, seconds;

	if (!text)
		return 0;
	if (str_to_u64(str_trim(str_of(text)), &seconds))
		return seconds < RETRY_AFTER_MAX / SECOND_MS ? seconds * SECOND_MS : RETRY_AFTER_MAX;
	at = date_of(text);
	if (at <= now)
		return 0;
	return at - now < RETRY_AFTER_MAX ? at - now : RETRY_AFTER_MAX;
}

/* ---- the end ---- */
static void transfer_free(struct transfer *t)
{
	curl_multi_remove_handle(t->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->addresses);
	if (t->body.p)
		wipe(t->body.p, t->body.capacity);
	buf_fini(&t->body);
	free(t);
}

void transfer_finish(struct transfer *t, CURLcode code)
{
	struct transfer_answer answer = { .body = buf_view(&t->body) };
	struct arena a = { 0 };
	long status = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		answer.status = (unsigned)status;
		answer.date = date_of(field(t, "Date"));
		answer.retry_after_ms = retry_after_of(field(t, "Retry-After"), answer.date);
		answer.content_type = str_of(field(t, "Content-Type") ?: "");
		t->done(t->ctx, ok(), &answer);
	} else {
		answer = (struct transfer_answer){ .untrusted = code == CURLE_PEER_FAILED_VERIFICATION };
		t->done(t->ctx, temp(451, S("4.4.1"), transfer_failure(t, code, &a)), &answer);
	}
	arena_fini(&a);
	transfer_free(t);
}

void transfer_cancel(struct transfer *t)
{
	transfer_free(t);
}

/* ---- the beginning ---- */
/* As CURLOPT_RESOLVE wants it: host:port:address,address. A + in front would give it an end, which a request needs no more. */
static void give_addresses(struct transfer *t, const struct transfer_request *request)
{
	struct arena a = { 0 };
	struct str text = arena_printf(&a, "%.*s:%u:", STR_ARG(request->host), request->port);

	for (size_t i = 0; i < request->addresses_n; i++) {
		char address[INET6_ADDRSTRLEN + 1] = "";
		const struct sockaddr *from = (const struct sockaddr *)&request->addresses[i];
		bool six = from->sa_family == AF_INET6;

		uv_ip_name(from, address, sizeof address);
		text = arena_printf(&a, "%.*s%s%s%s%s", STR_ARG(text), i ? "," : "", six ? "[" : "", address, six ? "]" : "");
	}
	t->addresses = curl_slist_append(NULL, arena_cstr(&a, text));
	arena_fini(&a);
	SET(t, CURLOPT_RESOLVE, t->addresses);
	SET(t, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
}

/* The variable's path, or the one that OpenSSL was built with, as for next hops. NULL: there is nothing. */
static const char *system_certificates(const char *variable, const char *built_in)
{
	const char *path = getenv(variable);

	if (!path)
		path = built_in;
	return access(path, R_OK) == 0 ? path : NULL;
}

static void set_tls(struct transfer *t, struct str ca_pem)
{
	struct curl_blob blob = { (void *)(uintptr_t)ca_pem.p, ca_pem.n, CURL_BLOB_COPY };

	SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(t, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(t, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(t, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	SET(t, CURLOPT_CAINFO, (char *)NULL);
	SET(t, CURLOPT_CAPATH, (char *)NULL);
	if (ca_pem.n > 0) {
		SET(t, CURLOPT_CAINFO_BLOB, &blob);
		return;
	}
	SET(t, CURLOPT_CAINFO, system_certificates(X509_get_default_cert_file_env(), X509_get_default_cert_file()));
	SET(t, CURLOPT_CAPATH, system_certificates(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
}

static void set_limits(struct transfer *t, uint64_t time_ms)
{
	SET(t, CURLOPT_PROTOCOLS_STR, "https");
	SET(t, CURLOPT_FOLLOWLOCATION, 0L);
	SET(t, CURLOPT_PROXY, "");
	SET(t, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(t, CURLOPT_FRESH_CONNECT, 1L);
	SET(t, CURLOPT_FORBID_REUSE, 1L);
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	SET(t, CURLOPT_TIMEOUT_MS, (long)(time_ms > 0 ? time_ms : 1));
}

static void set_request(struct transfer *t, const struct transfer_request *request)
{
	struct arena a = { 0 };

	t->headers = curl_slist_append(NULL, arena_cstr(&a, arena_printf(&a, "Accept: %s", request->accept)));
	if (request->body.n > 0) {
		struct str type = arena_printf(&a, "Content-Type: %.*s", STR_ARG(request->content_type));

		t->headers = curl_slist_append(t->headers, arena_cstr(&a, type));
		t->headers = curl_slist_append(t->headers, "Expect:"); /* no wait for "100 Continue" */
		SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
		SET(t, CURLOPT_POSTFIELDS, request->body.p);
	}
	arena_fini(&a);
	SET(t, CURLOPT_HTTPHEADER, t->headers);
	SET(t, CURLOPT_USERAGENT, USER_AGENT);
}

struct transfer *transfer_begin(CURLM *multi, const struct transfer_request *request, transfer_fn done, void *ctx)
{
	struct transfer *t = NEW(struct transfer);
	char *url = str_dup(request->url);

	*t = (struct transfer){ .multi = multi, .easy = curl_easy_init(), .done = done, .ctx = ctx };
	if (!t->easy)
		abort();
	snprintf(t->host, sizeof t->host, "%.*s", STR_ARG(request->host));
	buf_init(&t->body, ANSWER_MAX);
	SET(t, CURLOPT_PRIVATE, t);
	SET(t, CURLOPT_ERRORBUFFER, t->error);
	SET(t, CURLOPT_HEADERFUNCTION, on_head);
	SET(t, CURLOPT_HEADERDATA, t);
	SET(t, CURLOPT_WRITEFUNCTION, on_body);
	SET(t, CURLOPT_WRITEDATA, t);
	SET(t, CURLOPT_URL, url);
	wipe(url, request->url.n);
	free(url);
	set_limits(t, request->time_ms);
	set_tls(t, request->ca_pem);
	give_addresses(t, request);
	set_request(t, request);
	if (curl_multi_add_handle(multi, t->easy) != CURLM_OK)
		abort();
	return t;
}
