/* dkim.c - the hashes of a DKIM signature (RFC 6376, Ed25519: RFC 8463) and its field; the signature itself is made elsewhere. */
#include "field.h"
#include "relaxed.h"

#include "posthouse/base64.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define EACH_MAX    8 /* instances of one field that are signed: bounds the h= list, whatever the message holds */
#define FOLD_COLUMN 76

static const char field_name[] = "DKIM-Signature";

struct signature {
	struct str field; /* up to and including "b=" */
	unsigned char digest[DKIM_DIGEST_SIZE];
};

struct dkim {
	struct relaxed_body body;
	EVP_MD_CTX *hash, *copy;
	struct arena arena;
	struct signature signatures[DKIM_KEYS_MAX];
	size_t n;
};

/* OpenSSL's answer to something that can only fail without memory. */
static void must(int done)
{
	assert(done == 1);
}

struct dkim *dkim_new(void)
{
	struct dkim *d = NEW(struct dkim);

	d->hash = EVP_MD_CTX_new();
	d->copy = EVP_MD_CTX_new();
	assert(d->hash && d->copy);
	must(EVP_DigestInit_ex(d->hash, EVP_sha256(), NULL));
	d->body.hash = d->hash;
	return d;
}

void dkim_free(struct dkim *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->hash);
	EVP_MD_CTX_free(d->copy);
	arena_fini(&d->arena);
	OPENSSL_cleanse(d, sizeof *d);
	free(d);
}

void dkim_body(struct dkim *d, struct str bytes)
{
	relaxed_body_feed(&d->body, bytes);
}

/* The base64 of the body hash; the hash context is then free for the header. */
static struct str finish_body(struct dkim *d)
{
	unsigned char digest[DKIM_DIGEST_SIZE];

	relaxed_body_finish(&d->body);
	must(EVP_DigestFinal_ex(d->hash, digest, NULL));
	return base64_encode(&d->arena, str_make(digest, sizeof digest));
}

/* Add a name to the h= list, folded before it when the line is full. The list's column is counted from its last line. */
static void list_name(struct buf *list, size_t *column, struct str name)
{
	bool fits = true;

	if (list->n > 0)
		fits = buf_add_char(list, ':');
	if (*column + name.n + 2 > FOLD_COLUMN) {
		fits = fits && buf_add(list, S("\r\n\t "));
		*column = 9;
	}
	fits = fits && buf_add(list, name);
	*column += name.n + 1;
	assert(fits);
}

/* Hash the signed fields into d->hash and write their names to `list`. RFC 6376 5.4.2: of several with one name, the lowest
 * first. A name is listed once more only when all its fields are signed: else the verifier would find another one for it. */
static void hash_fields(struct dkim *d, const struct header *h, bool asked, struct buf *list)
{
	struct buf text;
	size_t column = 10;

	buf_init(&text, SIZE_MAX / 2); /* as long as its longest field */
	for (const struct field *row = fields; row->sign != UNSIGNED; row++) {
		size_t seen = 0;
		for (size_t i = h->n; i-- > 0 && seen <= EACH_MAX;) {
			const struct header_field *f = &h->fields[i];
			if (!str_ieq(f->name, row->name) || ++seen > EACH_MAX)
				continue;
			list_name(list, &column, row->name);
			buf_clear(&text);
			relaxed_field(&text, f->name, f->value);
			must(EVP_DigestUpdate(d->hash, text.p, text.n));
			must(EVP_DigestUpdate(d->hash, "\r\n", 2));
		}
		if ((row->sign == OVER || (row->sign == ASKED && asked)) && seen <= EACH_MAX)
			list_name(list, &column, row->name);
	}
	buf_fini(&text);
}

/* The beginning of a key's field, up to "t=". */
static struct str begin_field(struct arena *a, const struct dkim_key *key)
{
	return arena_printf(a, "%s: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s; t=", field_name,
			    key->algorithm == DKIM_ED25519_SHA256 ? "ed25519-sha256" : "rsa-sha256", STR_ARG(key->domain),
			    STR_ARG(key->selector));
}

/* One key's field up to "b=", and its digest: the signed fields, then this field with the empty b= and without CRLF. */
static void finish_key(struct dkim *d, struct signature *s, const struct dkim_key *key, struct str list, struct str body_hash,
		       uint64_t now_ms)
{
	struct buf text;

	s->field = arena_printf(&d->arena, "%.*s%llu;\r\n\th=%.*s;\r\n\tbh=%.*s;\r\n\tb=", STR_ARG(begin_field(&d->arena, key)),
				(unsigned long long)(now_ms / 1000), STR_ARG(list), STR_ARG(body_hash));
	buf_init(&text, s->field.n);
	relaxed_field(&text, str_of(field_name), str_from(s->field, sizeof field_name));
	must(EVP_MD_CTX_copy_ex(d->copy, d->hash));
	must(EVP_DigestUpdate(d->copy, text.p, text.n));
	must(EVP_DigestFinal_ex(d->copy, s->digest, NULL));
	buf_fini(&text);
}

void dkim_finish(struct dkim *d, const struct header *header, const struct dkim_key *keys, size_t n, uint64_t now_ms,
		 struct str digests_out[])
{
	struct str body_hash = finish_body(d);
	struct buf list;
	bool asked = true;

	assert(n <= DKIM_KEYS_MAX);
	buf_init(&list, FIELDS * (EACH_MAX + 1) * 32);
	must(EVP_DigestInit_ex(d->hash, EVP_sha256(), NULL));
	for (size_t i = 0; i < n; i++)
		asked = asked && keys[i].oversign;
	hash_fields(d, header, asked, &list);
	for (size_t i = 0; i < n; i++) {
		finish_key(d, &d->signatures[i], &keys[i], buf_view(&list), body_hash, now_ms);
		digests_out[i] = str_make(d->signatures[i].digest, DKIM_DIGEST_SIZE);
	}
	d->n = n;
	buf_fini(&list);
}

struct str dkim_unsigned(const struct dkim *d, size_t i)
{
	assert(i < d->n);
	return d->signatures[i].field;
}

bool dkim_is_unsigned(struct str text, const struct dkim_key *key)
{
	struct arena a = { 0 };
	bool fits = str_starts(text, begin_field(&a, key)) && str_ends(text, S("b=")) && field_is_one(text, str_of(field_name));

	arena_fini(&a);
	return fits;
}

struct str dkim_signed(struct arena *a, struct str field, struct str signature)
{
	struct str text = base64_encode(a, signature);
	char *out = arena_alloc(a, field.n + text.n + 4 * (text.n / 64 + 1) + 2);
	size_t used = field.n;

	memcpy(out, field.p, field.n);
	for (size_t at = 0; at < text.n; at += 64) {
		struct str line = str_head(str_from(text, at), 64);
		if (at > 0) {
			memcpy(out + used, "\r\n\t ", 4);
			used += 4;
		}
		memcpy(out + used, line.p, line.n);
		used += line.n;
	}
	memcpy(out + used, "\r\n", 2);
	return str_make(out, used + 2);
}

struct str dkim_field(struct arena *a, const struct dkim *d, size_t i, struct str signature)
{
	return dkim_signed(a, dkim_unsigned(d, i), signature);
}
