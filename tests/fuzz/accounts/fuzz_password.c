/* fuzz_password.c - the preparation of a password and the check against a verifier: up to the first line end the verifier, then the
 * password. Verifiers of many iterations are left out: they cost time, not thought. */
#include "posthouse/accounts.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make(data, size), verifier = str_head(input, str_find(input, '\n'));
	struct str password = str_from(input, verifier.n + 1), made;
	struct arena a = { 0 };

	if (!str_starts(verifier, S("SCRAM-SHA-256$4096:")))
		verifier = S(
			"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	if (account_verifier(&a, verifier, password, &made).class == OK)
		assert(account_check(made, password));
	else
		(void)account_check(verifier, password); /* a verifier of the bytes as they are fits */
	arena_fini(&a);
	return 0;
}
