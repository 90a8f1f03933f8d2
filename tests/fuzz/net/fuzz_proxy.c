/* fuzz_proxy.c - a PROXY header from anybody: whatever comes is told in full from what stands in it, and no sooner. */
#include "posthouse/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage client = { .ss_family = AF_UNSPEC }, other;
	size_t n, m;
	enum proxy_result result = proxy_parse(str_make(data, size), &n, &client);

	if (result == PROXY_ADDRESS && client.ss_family != AF_INET && client.ss_family != AF_INET6)
		__builtin_trap();
	if (result == PROXY_MORE && size >= PROXY_HEADER_MAX)
		__builtin_trap();
	if ((result == PROXY_MORE || result == PROXY_BAD) && n != 0)
		__builtin_trap();
	if (result == PROXY_MORE || result == PROXY_BAD)
		return 0;
	if (n == 0 || n > size || n > PROXY_HEADER_MAX)
		__builtin_trap();
	/* nothing behind the header matters, and nothing less is enough */
	if (proxy_parse(str_make(data, n), &m, &other) != result || m != n)
		__builtin_trap();
	for (size_t i = 0; i < n; i++)
		if (proxy_parse(str_make(data, i), &m, &other) != PROXY_MORE)
			__builtin_trap();
	return 0;
}
