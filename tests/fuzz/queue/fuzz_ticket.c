/* fuzz_ticket.c - a ticket that a submission process shows to a new queue: two bytes say what is changed, then come login and device.
 * It is good as it was written, and for nothing else: no byte of it, no number and no text can be another one. */
#include "accounting/ticket.h"
#include "fuzz.h"

static const struct str secret = S("0123456789abcdef0123456789abcdef");

static bool is_good(struct str ticket, struct ticket t)
{
	uint64_t rights = t.rights, stamp = t.stamp;
	bool good = ticket_fits(secret, ticket, &t);

	assert(!good || (t.rights == rights && t.stamp == stamp));
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), written;
	unsigned at = fuzz_byte(&rest), by = fuzz_byte(&rest);
	struct ticket t = { .worker = at, .incarnation = by, .session = size, .rights = at & 3, .stamp = 77 }, other;
	char room[TICKET_SIZE], changed[TICKET_SIZE];
	struct arena a = { 0 };

	if (size > 1024)
		return 0;
	other = t;
	(void)ticket_fits(secret, rest, &other); /* any bytes */
	t.login = str_head(rest, str_find(rest, '/'));
	t.device = str_from(rest, t.login.n + 1);
	written = ticket_make(secret, &t, room);
	assert(written.n == TICKET_SIZE && is_good(written, t));
	memcpy(changed, room, sizeof changed);
	changed[at % TICKET_SIZE] ^= (char)(by | 1);
	other = t;
	assert(!ticket_fits(secret, str_make(changed, sizeof changed), &other));
	other = t;
	if (by & 1)
		other.session ^= 1ull << at % 64;
	else if (t.login.n > 0)
		other.login = arena_lower(&a, t.login), ((char *)(uintptr_t)other.login.p)[at % t.login.n] ^= 0x11;
	else
		other.incarnation++;
	if (!str_eq(other.login, t.login) || other.session != t.session || other.incarnation != t.incarnation)
		assert(!ticket_fits(secret, written, &other));
	arena_fini(&a);
	return 0;
}
