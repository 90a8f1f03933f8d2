/* password.c - generated passwords. */
#include "internal.h"

#include <openssl/rand.h>

/* Twenty characters of base 32, in groups, without letters that look like others: 100 bits. */
struct verdict account_generate_password(struct secret *password_out)
{
	static const char alphabet[32] = "abcdefghjkmnpqrstvwxyz0123456789";
	unsigned char random[20];
	char text[23];
	size_t n = 0;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return temp(451, S("4.3.0"), S("no random numbers"));
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i && i % 5 == 0)
			text[n++] = '-';
		text[n++] = alphabet[random[i] % sizeof(alphabet)];
	}
	secret_set(password_out, str_make(text, n));
	wipe(random, sizeof(random));
	wipe(text, sizeof(text));
	return ok();
}
