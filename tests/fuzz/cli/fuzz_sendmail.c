/* fuzz_sendmail.c - the command line of sendmail(8), which programs fill with what people have written: a word a line. What is
 * read of it can be written into a command of SMTP. */
#include "fuzz.h"
#include "send.h"

#include <stdlib.h>

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), line;
	struct arena a = { 0 };
	struct outgoing m = { .text_fd = -1 };
	char *words[WORDS_MAX + 1];
	enum sendmail_mode mode;
	const char *error;
	int n = 0;

	if (size > 2048 || str_find(rest, '\0') < size)
		return 0;
	while (n < WORDS_MAX && str_split(&rest, '\n', &line))
		words[n++] = str_dup(line);
	words[n] = NULL;
	error = sendmail_options_read(&a, n, words, &m, &mode);
	assert(error == NULL || strlen(error) > 0);
	if (!error && mode == SENDMAIL_SEND) {
		assert(m.named.n > 0 || m.from_fields);
		for (size_t i = 0; i < m.envid.n; i++)
			assert(m.envid.p[i] > ' ' && m.envid.p[i] < 0x7f);
		assert(m.notify <= 15);
		for (size_t i = 0; i < m.named.n; i++)
			send_addresses(&a, m.named.at[i], &m.recipients);
		for (size_t i = 0; i < m.recipients.n; i++)
			for (size_t k = 0; k < m.recipients.at[i].n; k++)
				assert((unsigned char)m.recipients.at[i].p[k] >= ' ' && m.recipients.at[i].p[k] != 0x7f);
	}
	while (n > 0)
		free(words[--n]);
	arena_fini(&a);
	return 0;
}
