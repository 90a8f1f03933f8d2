/* report.c - the room's start, end, and what is done to all its parts. */
#include "report/report.h"

#include "report/test_mail.h"

/* Message ids of the queue's own messages; those of submission's workers are of node 0. */
#define IDS_NODE   15
#define IDS_WORKER 63

void reports_init(struct reports *rs, struct role *r, struct timers *timers, const struct report_observer *o)
{
	rs->role = r;
	rs->timers = timers;
	rs->observer = o;
	rs->ids = (struct id_source){ .node = IDS_NODE, .worker = IDS_WORKER };
	rs->vault = role_peer(r, ROLE_VAULT, 0);
	dsns_init(rs);
	notifications_init(rs);
}

void reports_fini(struct reports *rs)
{
	notifications_fini(rs);
}

void reports_open(struct reports *rs, struct store *s)
{
	rs->store = s;
	dsns_wake(rs);
}

void reports_close(struct reports *rs)
{
	dsns_cancel(rs);
	notifications_cancel(rs);
	test_mail_cancel(rs);
	rs->store = NULL;
	rs->closing = true;
}

bool reports_are_busy(const struct reports *rs)
{
	return dsns_are_busy(rs) || notifications_are_busy(rs) || test_mail_is_busy(rs);
}

void reports_retry(struct reports *rs)
{
	dsns_retry(rs);
	notifications_wake(rs);
}

void reports_peer_up(struct reports *rs, struct channel *ch)
{
	if (channel_peer(ch) != ROLE_VAULT)
		return;
	rs->vault = ch;
	reports_retry(rs);
}

void reports_peer_gone(struct reports *rs, const struct channel *ch)
{
	if (ch == rs->vault)
		rs->vault = NULL;
}
