/* fuzz_scram.c - "server-first\nserver-final" of an upstream: answered or refused, never believed. The salting, which only costs time, is
 * left out, so no server can have the right signature. */
#include "scram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void run(enum scram_hash hash, const uint8_t *data, size_t n)
{
	struct str input = str_make(data, n), challenge = str_head(input, str_find(input, '\n')),
		   last = str_from(input, challenge.n + 1);
	struct scram s = { .hash = hash };
	struct scram_work w = { 0 };
	struct secret first = { 0 }, proof = { 0 };

	if (scram_first(&s, S("user=a,b"), S("nonce"), &first).class != OK ||
	    !str_eq(secret_view(&first), S("n,,n=user=3Da=2Cb,r=nonce")))
		abort();
	if (scram_challenge(&s, challenge, S("pencil"), &w).class == OK) {
		if (w.iterations < SCRAM_ITERATIONS_MIN || w.iterations > SCRAM_ITERATIONS_MAX || w.salt.n == 0)
			abort();
		if (scram_proof(&s, &w, &proof).class != OK || !str_starts(secret_view(&proof), S("c=biws,r=nonce")))
			abort();
		if (scram_verify(&s, last).class == OK)
			abort();
	}
	secret_fini(&first);
	secret_fini(&proof);
	scram_work_fini(&w);
	scram_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	run(SCRAM_SHA256, data, n);
	run(SCRAM_SHA1, data, n);
	return 0;
}
