/* token_request.c - see token_request.h. */
#include "token_request.h"

#include "posthouse/base64.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#define CLAIM_S 3600 /* how long a signed claim is valid: Google's most */

/* ---- forms ---- */

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
}

/* Room for three bytes for each one of `text`. The end of what was written. */
static char *put_escaped(char *to, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c && is_unreserved(text.p[i])) {
			*to++ = text.p[i];
			continue;
		}
		*to++ = '%';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	return to;
}

/* A pair of a form (RFC 6749 appendix B) is appended; one without a value is left out. */
static void form_add(struct secret *form, const char *name, struct str value)
{
	size_t name_n = strlen(name);
	struct secret longer = { 0 };
	char *p, *to;

	if (value.n == 0)
		return;
	p = to = xmalloc(form->n + 1 + name_n + 1 + 3 * value.n);
	if (form->n > 0) {
		memcpy(to, form->p, form->n);
		to += form->n;
		*to++ = '&';
	}
	memcpy(to, name, name_n);
	to += name_n;
	*to++ = '=';
	to = put_escaped(to, value);
	secret_set(&longer, str_make(p, (size_t)(to - p)));
	wipe(p, (size_t)(to - p));
	free(p);
	secret_fini(form);
	*form = longer;
}

/* RFC 6749 2.3.1: in the body, which all providers of oauth.def take. */
static void add_client(const struct cfg_oauth *o, struct secret *form)
{
	form_add(form, "client_id", o->client_id);
	form_add(form, "client_secret", o->client_secret);
}

/* ---- the claim of a service account (RFC 7515, 7519, 7523) ---- */

struct str base64url(struct arena *a, struct str bytes)
{
	struct str text = base64_encode(a, bytes);
	char *p = (char *)(uintptr_t)text.p;

	for (size_t i = 0; i < text.n; i++)
		p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
	while (text.n > 0 && p[text.n - 1] == '=')
		text.n--;
	return text;
}

/* A JSON string (RFC 8259 section 7). */
static struct str quoted(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, 6 * text.n + 2), *to = p;

	*to++ = '"';
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '"' || c == '\\' || c < 0x20)
			to += sprintf(to, "\\u%04x", c);
		else
			*to++ = text.p[i];
	}
	*to++ = '"';
	return str_make(p, (size_t)(to - p));
}

static bool rs256(struct arena *a, struct str pem, struct str text, struct str *signature_out)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t n = key ? (size_t)EVP_PKEY_get_size(key) : 0;
	unsigned char *signature = arena_alloc(a, n + 1);
	bool made = key && context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) > 0 &&
		    EVP_DigestSign(context, signature, &n, (const unsigned char *)text.p, text.n) > 0;

	*signature_out = str_make(signature, made ? n : 0);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return made;
}

static struct verdict service_account(const struct cfg_upstream *u, uint64_t now_s, struct secret *body_out)
{
	const struct cfg_oauth *o = &u->oauth;
	struct arena a = { 0 };
	struct str claims = arena_printf(&a, "{\"iss\":%.*s,\"sub\":%.*s,\"scope\":%.*s,\"aud\":%.*s,\"iat\":%llu,\"exp\":%llu}",
					 STR_ARG(quoted(&a, o->service_account)), STR_ARG(quoted(&a, u->login)),
					 STR_ARG(quoted(&a, o->scope)), STR_ARG(quoted(&a, o->token_url)),
					 (unsigned long long)now_s, (unsigned long long)now_s + CLAIM_S);
	struct str text = arena_printf(&a, "%.*s.%.*s", STR_ARG(base64url(&a, S("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"))),
				       STR_ARG(base64url(&a, claims)));
	struct str signature;
	struct verdict v = ok();

	if (rs256(&a, o->key_pem, text, &signature)) {
		form_add(body_out, "grant_type", S("urn:ietf:params:oauth:grant-type:jwt-bearer"));
		form_add(body_out, "assertion", arena_printf(&a, "%.*s.%.*s", STR_ARG(text), STR_ARG(base64url(&a, signature))));
	} else {
		v = temp(454, S("4.7.8"), S("the key of the service account cannot sign"));
	}
	arena_fini(&a);
	return v;
}

/* ---- requests ---- */

struct verdict token_request(const struct cfg_upstream *u, struct str refresh_token, uint64_t now_s, struct secret *body_out)
{
	const struct cfg_oauth *o = &u->oauth;

	if (o->grant == GRANT_SERVICE_ACCOUNT)
		return service_account(u, now_s, body_out);
	if (o->grant == GRANT_REFRESH_TOKEN) {
		form_add(body_out, "grant_type", S("refresh_token"));
		form_add(body_out, "refresh_token", refresh_token);
	} else {
		form_add(body_out, "grant_type", S("client_credentials"));
	}
	add_client(o, body_out);
	form_add(body_out, "scope", o->scope);
	return ok();
}

void device_request(const struct cfg_oauth *o, struct secret *body_out)
{
	form_add(body_out, "client_id", o->client_id);
	form_add(body_out, "scope", o->scope);
}

void device_token_request(const struct cfg_oauth *o, struct str device_code, struct secret *body_out)
{
	form_add(body_out, "grant_type", S("urn:ietf:params:oauth:grant-type:device_code"));
	form_add(body_out, "device_code", device_code);
	add_client(o, body_out);
}

void code_request(const struct cfg_oauth *o, struct str code, struct str redirect, struct str verifier, struct secret *body_out)
{
	form_add(body_out, "grant_type", S("authorization_code"));
	form_add(body_out, "code", code);
	form_add(body_out, "redirect_uri", redirect);
	form_add(body_out, "code_verifier", verifier);
	add_client(o, body_out);
}

struct str authorization_url(struct arena *a, const struct cfg_upstream *u, struct str redirect, struct str state,
			     struct str verifier)
{
	const struct cfg_oauth *o = &u->oauth;
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct secret query = { 0 };
	struct str url;

	SHA256((const unsigned char *)verifier.p, verifier.n, hash);
	form_add(&query, "response_type", S("code"));
	form_add(&query, "client_id", o->client_id);
	form_add(&query, "redirect_uri", redirect);
	form_add(&query, "scope", o->scope);
	form_add(&query, "state", state);
	form_add(&query, "code_challenge", base64url(a, str_make(hash, sizeof hash)));
	form_add(&query, "code_challenge_method", S("S256"));
	form_add(&query, "login_hint", u->login);
	if (o->provider == OAUTH_GOOGLE) { /* else the refresh token comes at the very first consent only */
		form_add(&query, "access_type", S("offline"));
		form_add(&query, "prompt", S("consent"));
	}
	url = arena_printf(a, "%.*s%c%.*s", STR_ARG(o->authorization_url),
			   str_find(o->authorization_url, '?') < o->authorization_url.n ? '&' : '?',
			   STR_ARG(secret_view(&query)));
	secret_fini(&query);
	return url;
}
