/* fuzz_verify.c - a message as received: its signatures, verified with a key, and its Authentication-Results. */
#include "posthouse/base64.h"
#include "posthouse/verify.h"

#include <openssl/evp.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct str part, struct str whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char raw[32] = { 0xd7, 0x5a, 0x98, 0x01 };
	struct dkim_signature signatures[DKIM_SIGNATURES_MAX];
	struct str text = str_make(data, size), section = text, body = S("");
	EVP_PKEY *key = dkim_public_key(str_make(raw, sizeof raw), true), *other = dkim_public_key(str_head(text, 100), false);
	struct auth_results results;
	struct arena a = { 0 };
	struct header h;
	size_t end = str_search(text, S("\r\n\r\n"));

	if (end < text.n) {
		section = str_head(text, end + 2);
		body = str_from(text, end + 4);
	}
	if (size > 0 && key && header_parse(&a, section, &h).class == OK) {
		size_t n = dkim_signatures(&a, &h, signatures);
		for (size_t i = 0; i < n; i++) {
			if (!is_within(signatures[i].value_text, signatures[i].field->value))
				abort();
			(void)dkim_verify(&signatures[i], &h, body, key, 1);
		}
		for (size_t i = 0; i < h.n; i++)
			if (auth_results_parse(&a, h.fields[i].value, &results) && results.server.n == 0 && results.n > 0)
				(void)auth_property_find(&results.results[0], S("header.d"));
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	arena_fini(&a);
	return 0;
}
