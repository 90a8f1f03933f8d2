/* verify.c - DKIM signatures as a receiver verifies them (RFC 6376 6). */
#include "relaxed.h"
#include "tags.h"

#include "posthouse/base64.h"
#include "posthouse/verify.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define NAMES_MAX 300 /* in h= */

/* ---- the field as tags (3.2) ---- */

static void take_canonicalisation(struct dkim_signature *s, struct str value)
{
	size_t slash = str_find(value, '/');
	struct str header = str_head(value, slash), body = str_from(value, slash + 1);

	s->relaxed_header = str_ieq(header, S("relaxed"));
	s->relaxed_body = str_ieq(body, S("relaxed"));
	if ((!s->relaxed_header && !str_ieq(header, S("simple"))) ||
	    (body.n > 0 && !s->relaxed_body && !str_ieq(body, S("simple"))))
		s->fault = S("its canonicalisation (c=) is not known");
}

static void take_time(struct dkim_signature *s, struct str value, uint64_t *to)
{
	if (!str_to_u64(value, to))
		s->fault = S("a time in it is no number");
}

static void take_value(struct arena *a, struct dkim_signature *s, struct str name, struct str value)
{
	struct str text = squeezed(a, value);

	if (str_eq(name, S("v")) && !str_eq(text, S("1")))
		s->fault = S("its version (v=) is not known");
	else if (str_eq(name, S("d")))
		s->domain = text;
	else if (str_eq(name, S("s")))
		s->selector = text;
	else if (str_eq(name, S("a")))
		s->algorithm = text;
	else if (str_eq(name, S("i")))
		s->identity = text;
	else if (str_eq(name, S("h")))
		s->names = text;
	else if (str_eq(name, S("c")))
		take_canonicalisation(s, text);
	else if (str_eq(name, S("t")))
		take_time(s, text, &s->made_at);
	else if (str_eq(name, S("x")))
		take_time(s, text, &s->expires_at);
	else if (str_eq(name, S("l")))
		s->fault = S("it covers a part of the body only (l=)");
	else if (str_eq(name, S("bh")) && !base64_decode(a, text, &s->body_hash))
		s->fault = S("its body hash (bh=) is no base64");
	else if (str_eq(name, S("b"))) {
		s->value_text = value;
		if (!base64_decode(a, text, &s->value))
			s->fault = S("the signature (b=) is no base64");
	}
}

/* d= is i='s domain, or a parent of it (3.5). */
static bool identity_fits(const struct dkim_signature *s)
{
	struct str domain = str_from(s->identity, str_rfind(s->identity, '@') + 1);

	return str_ieq(domain, s->domain) ||
	       (str_iends(domain, s->domain) && domain.n > s->domain.n && domain.p[domain.n - s->domain.n - 1] == '.');
}

static bool covers(const struct dkim_signature *s, struct str name)
{
	struct str rest = s->names, each;

	while (str_split(&rest, ':', &each))
		if (str_ieq(each, name))
			return true;
	return false;
}

static void read_signature(struct arena *a, const struct header_field *field, struct dkim_signature *s)
{
	struct str rest = field->value, name, value;
	unsigned tags = 0;

	*s = (struct dkim_signature){ .field = field };
	while (take_tag(&rest, &name, &value) && ++tags <= 64)
		take_value(a, s, name, value);
	if (s->identity.n == 0)
		s->identity = arena_printf(a, "@%.*s", STR_ARG(s->domain));
	if (s->fault.n > 0)
		return;
	if (s->domain.n == 0 || s->selector.n == 0 || s->names.n == 0 || s->value.n == 0 || s->body_hash.n == 0)
		s->fault = S("a tag is missing: it needs d, s, a, h, bh and b");
	else if (!str_ieq(s->algorithm, S("rsa-sha256")) && !str_ieq(s->algorithm, S("ed25519-sha256")))
		s->fault = S("its algorithm (a=) is too old, or not known"); /* RFC 8301 3.1: rsa-sha1 must not be used */
	else if (!identity_fits(s))
		s->fault = S("its identity (i=) is in another domain");
	else if (!covers(s, S("From")))
		s->fault = S("it does not cover From");
}

size_t dkim_signatures(struct arena *a, const struct header *h, struct dkim_signature *signatures_out)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n && n < DKIM_SIGNATURES_MAX; i++)
		if (str_ieq(h->fields[i].name, S("DKIM-Signature")))
			read_signature(a, &h->fields[i], &signatures_out[n++]);
	return n;
}

/* ---- hashes ---- */

static void must(int done)
{
	assert(done == 1); /* SHA-256 of memory cannot fail */
}

static void add(EVP_MD_CTX *hash, struct str bytes)
{
	must(EVP_DigestUpdate(hash, bytes.p, bytes.n));
}

/* 3.4.3: empty lines at the end are nothing, and an empty body is one. */
static void add_simple_body(EVP_MD_CTX *hash, struct str body)
{
	while (str_ends(body, S("\r\n")))
		body.n -= 2;
	add(hash, body);
	add(hash, S("\r\n"));
}

static bool body_fits(const struct dkim_signature *s, struct str body)
{
	unsigned char digest[DKIM_DIGEST_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	assert(hash);
	must(EVP_DigestInit_ex(hash, EVP_sha256(), NULL));
	if (s->relaxed_body) {
		struct relaxed_body relaxed = { .hash = hash };
		relaxed_body_feed(&relaxed, body);
		relaxed_body_finish(&relaxed);
	} else {
		add_simple_body(hash, body);
	}
	must(EVP_DigestFinal_ex(hash, digest, NULL));
	EVP_MD_CTX_free(hash);
	return str_eq(s->body_hash, str_make(digest, sizeof digest));
}

/* A field with its CRLF, or without it: the signature's own. */
static void add_field(EVP_MD_CTX *hash, bool relaxed, struct str name, struct str value, struct str whole, bool is_last)
{
	struct buf text;

	if (relaxed) {
		buf_init(&text, SIZE_MAX / 2);
		relaxed_field(&text, name, value);
		add(hash, buf_view(&text));
		buf_fini(&text);
		if (!is_last)
			add(hash, S("\r\n"));
	} else {
		add(hash, is_last ? str_head(whole, whole.n - 2) : whole);
	}
}

/* The field of that name that is the `back`th from the bottom; NULL: there are fewer. */
static const struct header_field *from_bottom(const struct header *h, struct str name, size_t back)
{
	for (size_t i = h->n; i-- > 0;)
		if (str_ieq(h->fields[i].name, name) && back-- == 0)
			return &h->fields[i];
	return NULL;
}

/* How often the name is in the part of the list before `at`. */
static size_t count_before(struct str list, struct str at)
{
	struct str rest = str_make(list.p, (size_t)(at.p - list.p)), each;
	size_t n = 0;

	while (str_split(&rest, ':', &each))
		n += str_ieq(each, at);
	return n;
}

/* `text` without the view `hole` in it. */
static struct str without(char *to, struct str text, struct str hole)
{
	size_t before = (size_t)(hole.p - text.p);

	memcpy(to, text.p, before);
	memcpy(to + before, hole.p + hole.n, text.n - before - hole.n);
	return str_make(to, text.n - hole.n);
}

static void hash_header(const struct dkim_signature *s, const struct header *h, unsigned char *digest)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	struct str rest = s->names, name;
	char *own = xmalloc(s->field->whole.n);
	unsigned n = 0;

	assert(hash);
	must(EVP_DigestInit_ex(hash, EVP_sha256(), NULL));
	while (str_split(&rest, ':', &name) && ++n <= NAMES_MAX) {
		const struct header_field *f = from_bottom(h, name, count_before(s->names, name));
		if (f)
			add_field(hash, s->relaxed_header, f->name, f->value, f->whole, false);
	}
	struct str whole = without(own, s->field->whole, s->value_text);
	add_field(hash, s->relaxed_header, s->field->name,
		  str_make(own + (s->field->value.p - s->field->whole.p), s->field->value.n - s->value_text.n), whole, true);
	must(EVP_DigestFinal_ex(hash, digest, NULL));
	EVP_MD_CTX_free(hash);
	free(own);
}

enum dkim_result dkim_verify(const struct dkim_signature *s, const struct header *h, struct str body, EVP_PKEY *key,
			     uint64_t now_ms)
{
	bool ed25519 = str_ieq(s->algorithm, S("ed25519-sha256"));
	unsigned char digest[DKIM_DIGEST_SIZE];

	if (s->fault.n > 0 || !EVP_PKEY_is_a(key, ed25519 ? "ED25519" : "RSA"))
		return DKIM_UNUSABLE;
	if (s->expires_at > 0 && s->expires_at < now_ms / 1000)
		return DKIM_EXPIRED;
	if (!body_fits(s, body))
		return DKIM_BODY_CHANGED;
	hash_header(s, h, digest);
	return dkim_digest_fits(key, digest, s->value) ? DKIM_GOOD : DKIM_HEADER_CHANGED;
}
