/* tls_result.c - see tls_result.h. */
#include "posthouse/tls_result.h"

const char *tls_result_word(enum tls_result r)
{
	static const char *const words[] = {
#define X(id, word) word,
		TLS_RESULTS(X)
#undef X
	};

	return words[r];
}

struct str tls_result_shown(enum tls_result r)
{
	return tls_result_failed(r) ? str_of(tls_result_word(r)) : S("");
}

bool tls_result_failed(enum tls_result r)
{
	return r > TLS_RESULT_SUCCESSFUL;
}
