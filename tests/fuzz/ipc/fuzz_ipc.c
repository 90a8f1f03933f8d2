/* fuzz_ipc.c - datagrams of a peer that has gone mad: the first two bytes say who it claims to be. */
#include "posthouse/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *m;

	if (size < 3)
		return 0;
	if (ipc_decode(&a, str_make(data + 3, size - 3), (enum role_id)(data[0] % ROLE_COUNT),
		       (enum role_id)(data[1] % ROLE_COUNT), data[2] & 1, &type, &m)) {
		struct buf b;

		/* what was read is written again byte by byte */
		buf_init(&b, size);
		if (!ipc_encode(&b, type, m->call, m) || !str_eq(buf_view(&b), str_make(data + 3, size - 3)))
			__builtin_trap();
		buf_fini(&b);
	}
	arena_fini(&a);
	return 0;
}
