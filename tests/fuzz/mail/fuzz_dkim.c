/* fuzz_dkim.c - the same digest in whatever pieces the body comes, and the body hash that the plain reading of the RFC gives. */
#include "../../unit/mail/relaxed_reference.h"
#include "posthouse/base64.h"
#include "posthouse/mail.h"

#include <openssl/evp.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dkim_key key = { S("example.org"), S("s"), DKIM_RSA_SHA256, true };

/* The field without signature and the digest; pieces have 1 to `most` bytes, by a simple sequence. */
static struct str hash(struct arena *a, const struct header *h, struct str body, size_t most, struct str *digest_out)
{
	struct dkim *d = dkim_new();
	size_t step = most;

	for (size_t at = 0; at < body.n; at += step, step = 1 + (step * 31 + 7) % most)
		dkim_body(d, str_head(str_from(body, at), step));
	dkim_finish(d, h, &key, 1, 0, digest_out);
	*digest_out = arena_str(a, *digest_out);
	struct str field = dkim_field(a, d, 0, S(""));
	dkim_free(d);
	return field;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct header h;
	struct str rest, once, pieces;
	struct header_collector c;
	unsigned char digest[DKIM_DIGEST_SIZE];

	header_collector_init(&c);
	if (size > 0 && header_collector_feed(&c, str_make(data, size), &rest).class == OK && c.complete) {
		if (c.begun.n > 0) /* the body begins where the section ends */
			rest = str_make(data + size - rest.n - c.begun.n, rest.n + c.begun.n);
		if (header_parse(&a, buf_view(&c.section), &h).class != OK)
			h = (struct header){ 0 };
		struct str body = arena_printf(&a, "%s\r\n", "");
		if (rest.n > 0) {
			char *p = arena_alloc(&a, rest.n + 2);
			memcpy(p, rest.p, rest.n);
			memcpy(p + rest.n, "\r\n", 2);
			body = str_make(p, rest.n + 2);
		}
		struct str field = hash(&a, &h, body, body.n, &once);
		if (!str_eq(hash(&a, &h, body, 1 + (size_t)data[size - 1] % 100, &pieces), field) || !str_eq(once, pieces))
			abort();
		struct str canonical = slow_canonical(&a, body);
		EVP_Digest(canonical.p, canonical.n, digest, NULL, EVP_sha256(), NULL);
		if (str_search(field, base64_encode(&a, str_make(digest, sizeof digest))) == field.n)
			abort();
		if (header_parse(&a, field, &h).class != OK || h.n != 1)
			abort();
	}
	header_collector_fini(&c);
	arena_fini(&a);
	return 0;
}
