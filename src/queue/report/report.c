/* report.c - the room's start, end, and what is done to all its parts. */
#include "report/report.h"

#include "report/asked_mail.h"

void reports_init(struct reports *rs, struct role *r, struct timers *timers, const struct report_observer *o)
{
	rs->role = r;
	rs->timers = timers;
	rs->observer = o;
	rs->ids = (struct id_source){ .node = ID_NODE_OTHERS, .worker = ID_WORKER_QUEUE };
	rs->vault = role_peer(r, ROLE_VAULT, 0);
	list_init(&rs->asked);
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
	asked_mails_cancel(rs);
	rs->store = NULL;
	rs->closing = true;
}

bool reports_are_busy(const struct reports *rs)
{
	return dsns_are_busy(rs) || notifications_are_busy(rs) || asked_mails_are_busy(rs);
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
