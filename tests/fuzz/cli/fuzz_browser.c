/* fuzz_browser.c - a request to the listener of `posthouse upstream login`: the first line is the state, the rest the request. */
#include "browser.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_make((const char *)data, size), state = str_head(all, str_find(all, '\n'));
	struct str request = str_from(all, state.n + 1);
	struct arena a = { 0 };
	struct browser_answer answer;
	enum browser_request found = browser_read(&a, request, state, &answer);

	assert(found != BROWSER_SIGNED_IN || (state.n > 0 && answer.code.n + answer.error.n > 0));
	assert(found != BROWSER_MORE || request.n < BROWSER_REQUEST_MAX);
	for (size_t i = 0; i < answer.code.n; i++)
		assert(answer.code.p[i] >= ' ' && answer.code.p[i] <= '~');
	arena_fini(&a);
	return 0;
}
