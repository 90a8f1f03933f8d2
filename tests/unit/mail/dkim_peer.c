/* dkim_peer.c - sign every DIR/NAME.eml as a submission would (collector, fix-up, hashes, vault's keyring, fields before the text) into DIR/NAME.signed, and write the keys' DNS records to DIR/records; dkim_peer.py has others verify them. */
#include "keyring.h"
#include "posthouse/base64.h"
#include "posthouse/verify.h"

#include <assert.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static EVP_PKEY *rsa, *ed25519;
static struct keyring *ring;
static const struct dkim_key keys[2] = {
	{ S("example.org"), S("p1r"), DKIM_RSA_SHA256, true },
	{ S("example.org"), S("p1e"), DKIM_ED25519_SHA256, true },
};

static FILE *open_in(const char *directory, const char *name, const char *ending, const char *mode)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s%s", directory, name, ending);
	FILE *f = fopen(path, mode);
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

/* RFC 6376 3.6.1: an RSA key as SubjectPublicKeyInfo; RFC 8463 4: an Ed25519 key as it is. */
static void write_records(const char *directory)
{
	struct arena a = { 0 };
	unsigned char *der = NULL, raw[32];
	size_t raw_n = sizeof raw;
	FILE *f = open_in(directory, "records", "", "w");
	int n = i2d_PUBKEY(rsa, &der);

	assert(n > 0 && EVP_PKEY_get_raw_public_key(ed25519, raw, &raw_n) == 1);
	fprintf(f, "p1r._domainkey.example.org. v=DKIM1; k=rsa; p=%.*s\n", STR_ARG(base64_encode(&a, str_make(der, (size_t)n))));
	fprintf(f, "p1e._domainkey.example.org. v=DKIM1; k=ed25519; p=%.*s\n", STR_ARG(base64_encode(&a, str_make(raw, raw_n))));
	OPENSSL_free(der);
	arena_fini(&a);
	fclose(f);
}

/* As vault does. */
static struct str sign(struct arena *a, size_t key, struct str digest)
{
	struct rec_digest what = { .selector = keys[key].selector, .algorithm = keys[key].algorithm, .digest = digest };
	struct str signature = { 0 };
	struct verdict v = keyring_sign(ring, a, keys[key].domain, &what, &signature);

	assert(v.class == OK);
	return signature;
}

static struct str pem_of(struct arena *a, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;

	assert(bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	long n = BIO_get_mem_data(bio, &pem);
	struct str copy = arena_str(a, str_make(pem, (size_t)n));
	BIO_free(bio);
	return copy;
}

static struct keyring *make_keyring(void)
{
	struct arena a = { 0 };
	struct cfg_sign sign[2] = { { .domain = keys[0].domain, .selector = keys[0].selector, .key_pem = pem_of(&a, rsa) },
				    { .domain = keys[1].domain, .selector = keys[1].selector, .key_pem = pem_of(&a, ed25519) } };
	struct config c = { .sign = sign, .sign_n = 2 };
	struct verdict v;
	struct keyring *made = keyring_new(&a, &c, &v);

	assert(made);
	arena_fini(&a);
	return made;
}

static void put(FILE *f, struct str s)
{
	assert(fwrite(s.p, 1, s.n, f) == s.n);
}

/* The fields of both signatures, and then the text. */
static void write_signed(FILE *f, struct dkim *d, const struct fixup_result *fixed, uint64_t now_ms)
{
	struct received_input received = { .hostname = S("relay.example.org"),
					   .with = S("ESMTPSA"),
					   .id = 1,
					   .now_ms = now_ms,
					   .for_recipient = S("bob@example.net") };
	struct arena a = { 0 };
	struct str digests[2];

	dkim_finish(d, &fixed->header, keys, 2, now_ms, digests);
	put(f, mail_received(&a, &received));
	for (size_t i = 0; i < 2; i++)
		put(f, dkim_field(&a, d, i, sign(&a, i, digests[i])));
	put(f, fixed->section);
	put(f, S("\r\n"));
	arena_fini(&a);
}

/* As a rule of the configuration would: old.example is example.org now. */
static struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	size_t at = str_rfind(address, '@');

	(void)ctx, (void)is_sender;
	return str_eq(str_from(address, at), S("@old.example")) ? arena_printf(a, "%.*s@example.org", (int)at, address.p)
								: address;
}

/* One message, in pieces of `size` bytes. */
static void sign_message(FILE *in, FILE *out, size_t size)
{
	struct fixup_input fix = { .hostname = S("relay.example.org"),
				   .id = 1,
				   .now_ms = (uint64_t)time(NULL) * 1000,
				   .domain = S("example.org"),
				   .rewrite = rewrite };
	struct header_collector collector;
	struct fixup_result fixed;
	struct arena a = { 0 };
	struct dkim *d = dkim_new();
	struct buf body;
	char *piece = xmalloc(size);

	header_collector_init(&collector);
	buf_init(&body, 64 << 20);
	for (size_t n; (n = fread(piece, 1, size, in)) > 0;) {
		struct str rest;
		struct verdict v = header_collector_feed(&collector, str_make(piece, n), &rest);
		assert(v.class == OK);
		dkim_body(d, collector.begun);
		dkim_body(d, rest);
		assert(buf_add(&body, collector.begun) && buf_add(&body, rest));
	}
	fix.section = buf_view(&collector.section);
	fix.envelope_sender = S("alice@example.org");
	struct verdict v = mail_fixup(&a, &fix, &fixed);
	if (v.class != OK) {
		fprintf(stderr, "%.*s\n", STR_ARG(v.text));
		exit(1);
	}
	write_signed(out, d, &fixed, fix.now_ms);
	put(out, buf_view(&body));
	free(piece);
	buf_fini(&body);
	header_collector_fini(&collector);
	dkim_free(d);
	arena_fini(&a);
}

static struct str read_whole(struct arena *a, FILE *f)
{
	struct buf b;
	char piece[4096];

	buf_init(&b, 64 << 20);
	for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
		assert(buf_add(&b, str_make(piece, n)));
	struct str whole = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return whole;
}

/* The number of signatures with one of our selectors, and all of them good by our own verifier. */
static size_t verify(const char *directory, const char *name, EVP_PKEY *rsa_key)
{
	FILE *f = open_in(directory, name, "", "r");
	struct dkim_signature signatures[DKIM_SIGNATURES_MAX];
	struct arena a = { 0 };
	struct str text = read_whole(&a, f);
	size_t end = str_search(text, S("\r\n\r\n")), good = 0;
	struct header h;

	fclose(f);
	assert(header_parse(&a, str_head(text, end + 2), &h).class == OK);
	size_t n = dkim_signatures(&a, &h, signatures);
	for (size_t i = 0; i < n; i++) {
		const struct dkim_signature *s = &signatures[i];
		EVP_PKEY *key = str_eq(s->selector, S("p1e")) ? ed25519 : rsa_key;

		if (!str_starts(s->selector, S("p1")))
			continue;
		enum dkim_result r = dkim_verify(s, &h, str_from(text, end + 4), key, (uint64_t)time(NULL) * 1000);
		if (r != DKIM_GOOD)
			fprintf(stderr, "%s: signature %zu: %d %.*s\n", name, i, (int)r, STR_ARG(s->fault));
		assert(r == DKIM_GOOD);
		good++;
	}
	arena_fini(&a);
	return good;
}

/* What others have signed, with the key in DIR/foreign.pem. */
static size_t verify_foreign(const char *path)
{
	FILE *f = open_in(path, "foreign.pem", "", "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	DIR *directory = opendir(path);
	size_t n = 0;

	fclose(f);
	assert(key && directory);
	for (struct dirent *e; (e = readdir(directory)) != NULL;)
		if (str_ends(str_of(e->d_name), S(".foreign")))
			n += verify(path, e->d_name, key);
	closedir(directory);
	EVP_PKEY_free(key);
	return n;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 4096, 1, 17, 65536 };
	struct arena names = { 0 };
	unsigned n = 0;
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;

	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 64;
	}
	rsa = EVP_RSA_gen(2048);
	ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert(rsa && ed25519);
	ring = make_keyring();
	write_records(argv[1]);
	for (struct dirent *e; (e = readdir(directory)) != NULL;) {
		if (!str_ends(str_of(e->d_name), S(".eml")))
			continue;
		FILE *in = open_in(argv[1], e->d_name, "", "r"), *out = open_in(argv[1], e->d_name, ".signed", "w");
		sign_message(in, out, sizes[n++ % 4]);
		fclose(in);
		if (fclose(out) != 0)
			return 1;
		const char *name = arena_cstr(&names, arena_printf(&names, "%s.signed", e->d_name));
		if (verify(argv[1], name, rsa) != 2)
			return 1;
	}
	closedir(directory);
	printf("%zu signatures of others are good\n", verify_foreign(argv[1]));
	arena_fini(&names);
	keyring_free(ring);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed25519);
	return 0;
}
