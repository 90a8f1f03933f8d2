/* fuzz_network.c - "network\naddress\nnetwork": what contains an address overlaps with it, and an address has one key, itself of that network.
 * Addresses come from PROXY headers too. */
#include "schema.h"

#include "posthouse/policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str input = str_make(data, n), network = str_head(input, str_find(input, '\n')),
		   rest = str_from(input, network.n + 1), address = str_head(rest, str_find(rest, '\n')),
		   other = str_from(rest, address.n + 1);
	bool in = network_contains(network, address), single = str_find(address, '%') == address.n;
	struct cfg_device device = { .networks = { &network, 1 } };
	struct config c = { .devices = &device, .devices_n = 1 };
	struct arena a = { 0 };
	struct str key = network_of(&a, address);

	if (in && single && !networks_overlap(network, address))
		abort();
	if (in && single && !network_contains(key, address))
		abort();
	if (networks_overlap(network, other) != networks_overlap(other, network))
		abort();
	if ((device_at(&c, address) != NULL) != in)
		abort();
	arena_fini(&a);
	return 0;
}
