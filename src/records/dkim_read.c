/* dkim_read.c - a DKIM record that is published, and every kind of damage that forms and people do to one. */
#include "posthouse/base64.h"
#include "posthouse/dkim_record.h"

#include "tags.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static struct dkim_judgement bad(struct str words)
{
	return (struct dkim_judgement){ .grade = DKIM_RECORD_BAD, .words = words };
}

static struct str without_blanks(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		if (!strchr(" \t\r\n", text.p[i]) || text.p[i] == 0)
			p[n++] = text.p[i];
	return str_make(p, n);
}

static struct str without_padding(struct str text)
{
	while (str_ends(text, S("=")))
		text.n--;
	return text;
}

/* ---- keys ---- */

static EVP_PKEY *public_key(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.n);

	p = (const unsigned char *)der.p;
	if (!key)
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.n);
	ERR_clear_error();
	return key;
}

/* The bare RSAPublicKey (RFC 8017 A.1.1) of a SubjectPublicKeyInfo, in base64: some publish that. "": it is no RSA key. */
static struct str bare_text(struct arena *a, struct str spki)
{
	EVP_PKEY *key = public_key(spki);
	unsigned char *der = NULL;
	int n = key && EVP_PKEY_is_a(key, "RSA") ? i2d_PublicKey(key, &der) : 0;
	struct str text = n > 0 ? base64_encode(a, str_make(der, (size_t)n)) : S("");

	OPENSSL_free(der);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return text;
}

unsigned dkim_record_rsa_bits(struct arena *a, struct str text)
{
	struct tags tags = tags_read(a, text);
	struct str der;
	EVP_PKEY *key = NULL;
	unsigned bits = 0;

	if (base64_decode(a, without_blanks(a, tag_value(&tags, "p")), &der))
		key = public_key(der);
	if (key && EVP_PKEY_is_a(key, "RSA"))
		bits = (unsigned)EVP_PKEY_get_bits(key);
	EVP_PKEY_free(key);
	return bits;
}

/* ---- p= ---- */

/* What is published is a beginning of what should be. */
static bool is_cut(struct str published, struct str ours)
{
	published = without_padding(published);
	return published.n > 0 && published.n < without_padding(ours).n && str_starts(ours, published);
}

static struct str cut_words(struct arena *a, struct str text)
{
	return arena_printf(a, "is cut after %zu characters by the form that it was entered in", text.n);
}

static struct dkim_judgement judge_key(struct arena *a, struct str text, const struct tag *p, struct str ours)
{
	struct str published = without_blanks(a, p->value), spki, der, bare;

	if (published.n == 0)
		return (struct dkim_judgement){ DKIM_RECORD_BAD, S("has an empty p=: the key is revoked"), true };
	if (!base64_decode(a, ours, &spki))
		return bad(S("cannot be compared"));
	bare = bare_text(a, spki);
	if (is_cut(published, ours) || is_cut(published, bare))
		return bad(cut_words(a, text));
	if (!base64_decode(a, published, &der))
		return bad(S("has a p= that is no base64: it was damaged on the way"));
	if (!str_eq(published, ours) && !(bare.n > 0 && str_eq(published, bare)))
		return bad(S("has the public key of another private key"));
	if (published.n < p->value.n)
		return (struct dkim_judgement){ DKIM_RECORD_POOR, S("has blanks inside p=, which some verifiers stumble over"),
						false };
	return (struct dkim_judgement){ .words = S("") };
}

/* ---- the other tags ---- */

static struct dkim_judgement judge_version(struct arena *a, const struct tags *tags)
{
	const struct tag *v = tag_find(tags, "v");

	if (v && v != tags->at)
		return bad(S("has v= behind another tag; it has to be the first"));
	if (v && !str_eq(v->value, S("DKIM1")))
		return bad(arena_printf(a, "has v=%.*s, not v=DKIM1", STR_ARG(v->value)));
	return (struct dkim_judgement){ .words = S("") };
}

static struct str type_of(const struct tags *tags)
{
	struct str k = tag_value(tags, "k");

	return k.n > 0 ? k : S("rsa");
}

static struct dkim_judgement judge_tags(struct arena *a, const struct tags *tags, const struct tags *ours, bool subdomain)
{
	struct dkim_judgement version = judge_version(a, tags);
	struct str h = tag_value(tags, "h"), s = tag_value(tags, "s"), t = tag_value(tags, "t");

	if (version.grade != DKIM_RECORD_GOOD)
		return version;
	if (!str_eq(type_of(tags), type_of(ours)))
		return bad(arena_printf(a, "says k=%.*s, but the key is %.*s", STR_ARG(type_of(tags)), STR_ARG(type_of(ours))));
	if (h.n > 0 && !tag_list_has(h, "sha256"))
		return bad(arena_printf(a, "allows only the hash h=%.*s, and we sign with sha256", STR_ARG(h)));
	if (s.n > 0 && !tag_list_has(s, "email") && !tag_list_has(s, "*"))
		return bad(arena_printf(a, "is not for mail: s=%.*s", STR_ARG(s)));
	if (subdomain && tag_list_has(t, "s"))
		return bad(S("has t=s, which forbids that subdomains sign with it"));
	return (struct dkim_judgement){ .words = S("") };
}

/* What a zone file needs around and in a text, in the text itself. */
static struct dkim_judgement judge_litter(struct str text)
{
	if (str_find(text, '"') < text.n)
		return bad(S("has quotes inside: they belong to the zone file, not into the text"));
	if (str_find(text, '\\') < text.n)
		return bad(S("has a backslash inside: \"\\;\" is for zone files of some programs only"));
	return (struct dkim_judgement){ .words = S("") };
}

struct dkim_judgement dkim_record_judge(struct arena *a, struct str published, struct str ours, bool subdomain)
{
	struct tags tags = tags_read(a, published), own = tags_read(a, ours);
	const struct tag *p = tag_find(&tags, "p");
	struct dkim_judgement j = judge_litter(published), key;

	if (j.grade == DKIM_RECORD_GOOD && !p && is_cut(published, ours))
		j = bad(cut_words(a, published));
	if (j.grade == DKIM_RECORD_GOOD)
		j = judge_tags(a, &tags, &own, subdomain);
	if (j.grade == DKIM_RECORD_GOOD && !p)
		j = bad(S("has no p=, so no key"));
	if (j.grade != DKIM_RECORD_GOOD)
		return j;
	key = judge_key(a, published, p, tag_value(&own, "p"));
	if (key.grade == DKIM_RECORD_BAD)
		return key;
	if (tags.fault.n > 0)
		return bad(arena_printf(a, "has an error: %.*s", STR_ARG(tags.fault)));
	if (tag_list_has(tag_value(&tags, "t"), "y"))
		return (struct dkim_judgement){ DKIM_RECORD_TEST, S("says t=y, test mode: many ignore the signature"), false };
	return key;
}

bool dkim_record_likely(struct str text)
{
	struct arena a = { 0 };
	struct tags tags = tags_read(&a, without_blanks(&a, text));
	bool likely = tag_find(&tags, "p") || str_eq(tag_value(&tags, "v"), S("DKIM1")) ||
		      str_search(text, S("DKIM1")) < text.n || tag_find(&tags, "k");

	arena_fini(&a);
	return likely;
}
