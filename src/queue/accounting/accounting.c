/* accounting.c - the room's start, end, and what is done to all its parts. */
#include "accounting/accounting.h"

static const struct bucket_user *const bucket_users[] = { &quota_notified_rule, &breaker_networks_rule, &failed_logins_rule,
							  &seen_networks_rule,  &warmup_since_rule,     NULL };

void accounting_init(struct accounting *acc, struct role *r, struct timers *timers, const struct accounting_observer *o)
{
	acc->role = r;
	acc->timers = timers;
	acc->observer = o;
	acc->generation = 1;
	list_init(&acc->resets);
	list_init(&acc->shows);
	timers_add(timers, &acc->write_retry, acc);
	buckets_init(acc, bucket_users);
	bans_init(acc);
	breakers_init(acc);
	failed_logins_init(acc);
	admission_init(acc);
}

void accounting_fini(struct accounting *acc)
{
	admission_fini(acc);
	seen_recipients_fini(&acc->seen_recipients);
	accounts_fini(acc);
	breakers_fini(acc);
	bans_fini(acc);
	home_networks_fini(acc);
	lockouts_fini(acc);
	buckets_fini(acc);
}

void accounting_open(struct accounting *acc, struct store *s)
{
	acc->store = s;
	buckets_load(acc);
	bans_load(acc);
}

void accounting_close(struct accounting *acc)
{
	acc->store = NULL;
	acc->closing = true;
}

void accounting_apply(struct accounting *acc)
{
	acc->generation++; /* each account looks its rates up again when it is used next */
	failed_logins_apply(acc);
}

void accounting_mend(struct accounting *acc, uint64_t now)
{
	buckets_mend(acc, now);
	bans_mend(acc, now);
	home_networks_mend(acc, now);
	accounts_mend(acc, now);
}

void accounting_collect(struct accounting *acc, uint64_t now)
{
	seen_networks_collect(acc, now);
	accounts_collect(acc, now);
	buckets_collect(acc, now);
	bans_collect(acc, now);
	home_networks_collect(acc, now);
}

void accounting_stats(struct accounting *acc)
{
	admission_stats(acc);
	role_tally(acc->role, METRIC_QUEUE_LIMITED, &acc->limited);
	bans_stats(acc);
}

void accounting_peer_gone(struct accounting *acc, const struct channel *ch)
{
	admission_peer_gone(acc, ch);
	resets_peer_gone(acc, ch);
}
