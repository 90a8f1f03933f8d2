/* dsn_rules.c - who is told of what. */
#include "report/dsn_rules.h"

#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#define COPIES_PER_HOUR 60

/* RFC 3461 4.1: without NOTIFY failures are reported, and delays can be. */
#define NOTIFY_DEFAULT (NOTIFY_FAILURE | NOTIFY_DELAY)

bool report_wanted(enum message_kind about, unsigned notify)
{
	unsigned bits = notify == 0 ? NOTIFY_DEFAULT : notify;

	if ((bits & NOTIFY_NEVER) != 0)
		return false;
	if (about == KIND_DELAY)
		return (bits & NOTIFY_DELAY) != 0;
	return (bits & (about == KIND_SUCCESS ? NOTIFY_SUCCESS : NOTIFY_FAILURE)) != 0;
}

size_t report_sort(struct arena *a, enum message_kind about, struct unreported *parent)
{
	struct failed_recipient *sorted = ARENA_ARRAY(a, struct failed_recipient, parent->failed_n);
	size_t n = 0, wanted;

	for (size_t i = 0; i < parent->failed_n; i++)
		if (report_wanted(about, parent->failed[i].notify))
			sorted[n++] = parent->failed[i];
	wanted = n;
	for (size_t i = 0; i < parent->failed_n; i++)
		if (!report_wanted(about, parent->failed[i].notify))
			sorted[n++] = parent->failed[i];
	parent->failed = sorted;
	return wanted;
}

/* An hour begins with its first copy; a clock that goes back starts a new hour. */
bool postmaster_copy_allowed(struct postmaster_copies *copies, uint64_t now)
{
	if (now < copies->since || now - copies->since >= HOUR_MS)
		*copies = (struct postmaster_copies){ .since = now, .skipped = copies->skipped };
	return copies->n < COPIES_PER_HOUR;
}
