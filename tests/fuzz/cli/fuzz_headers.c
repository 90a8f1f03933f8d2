/* fuzz_headers.c - `doctor --headers`: a message that somebody has received. What is said of it is one line of text each, which
 * moves no cursor. The first byte says what the DNS has. */
#include "fuzz.h"
#include "headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	struct headers_input in = { .config = &config, .now = 1795301717000 };
	struct headers_line lines[HEADERS_LINES_MAX];
	struct str text = str_make(data, size);
	unsigned dns = fuzz_byte(&text);
	struct arena a = { 0 };
	size_t n;

	if (size > 65536)
		return 0;
	config.hostname = S("relay.example.org");
	if (headers_read(&a, text, &in)) {
		assert(in.signatures_n <= DKIM_SIGNATURES_MAX);
		for (size_t i = 0; i < in.signatures_n; i++)
			in.keys[i] = (struct headers_key){ .name = S("s._domainkey.example.org"),
							   .state = (dns + i) % 3,
							   .record = S("v=DKIM1; k=ed25519; "
								       "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
							   .why = S("no answer") };
		n = headers_judge(&a, &in, lines);
		assert(n <= HEADERS_LINES_MAX);
		for (size_t i = 0; i < n; i++)
			assert(lines[i].id && lines[i].text.n > 0 && lines[i].text.n < 20000);
	}
	arena_fini(&a);
	return 0;
}
