/* fuzz_client_text.c - what relay says that a TLS client signs. Nothing that fits can be read in another way: as text, as DER, or as
 * what a server signs. */
#include "fuzz.h"
#include "client_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);

	if (!client_text_fits(text))
		return 0;
	assert(size > 64 && (data[0] == 1 || data[0] == ' '));
	assert(data[0] == 1 || str_starts(str_from(text, 64), S("TLS 1.3, client CertificateVerify")));
	assert(!client_text_fits(str_from(text, 1)));
	return 0;
}
