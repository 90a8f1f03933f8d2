/* fuzz_submit.c - who answers at the local socket says anything: sending ends, and each recipient has a verdict. All its lines are
 * there from the beginning, so no wait is long. */
#include "fuzz.h"

#include "posthouse/local.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct local_recipient recipients[] = { { .address = S("bob@b.example") },
						{ .address = S("carol@c.example"), .parameters = S("NOTIFY=NEVER") } };
	struct local_message m = {
		.has_sender = true, .sender = S("alice@example.org"), .recipients = recipients, .recipients_n = 2
	};
	struct arena a = { 0 };
	struct verdict v;
	int ends[2];

	if (size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return 0;
	if (size > 0 && send(ends[1], data, size, MSG_DONTWAIT) < 0)
		abort();
	shutdown(ends[1], SHUT_WR);
	v = local_submit(ends[0], &m, -1, 0, 1000, &a);
	assert(v.class <= PERM);
	for (size_t i = 0; i < 2; i++)
		if (v.class == OK)
			assert(recipients[i].verdict.class <= PERM);
	close(ends[1]);
	arena_fini(&a);
	return 0;
}
