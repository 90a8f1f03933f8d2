/* tlspolicy.c - the role tlspolicy: what domains say about TLS at their mail servers (MTA-STS, RFC 8461), kept for as long as
 * they say; and reports to them about it (RFC 8460). It asks the role resolver for names and the role fetch for texts, so it has
 * no connection to anybody itself. */
#include "reporting.h"
#include "sts.h"

#include "posthouse/directory.h"
#include "posthouse/resolving.h"

static struct tlspolicy {
	struct arena arena;
	struct store store;
	struct resolving resolving;
	struct sts sts;
	struct reporting reporting;
} tlspolicy;

static void handle_sts_find(void *ctx, struct channel *ch, const struct msg_sts_find *m, int fd)
{
	sts_ask(&tlspolicy.sts, ch, m);
}

static void handle_names_changed(void *ctx, struct channel *ch, const struct msg_names_changed *m, int fd)
{
	discoveries_ask_again(&tlspolicy.sts.discoveries);
}

static void peer_up(struct role *r, struct channel *ch)
{
	resolving_peer_up(&tlspolicy.resolving, ch);
	if (channel_peer(ch) == ROLE_FETCH)
		discoveries_fetch_up(&tlspolicy.sts.discoveries);
}

static void peer_down(struct role *r, struct channel *ch)
{
	sts_drop(&tlspolicy.sts, ch);
}

static void handle_tls_session(void *ctx, struct channel *ch, const struct msg_tls_session *m, int fd)
{
	reporting_count(&tlspolicy.reporting, m);
}

static void handle_tls_report_show(void *ctx, struct channel *ch, const struct msg_tls_report_show *m, int fd)
{
	reporting_show(&tlspolicy.reporting, ch, m);
}

static void handle_tls_report_list(void *ctx, struct channel *ch, const struct msg_tls_report_list *m, int fd)
{
	reporting_list(&tlspolicy.reporting, ch, m);
}

static void handle_node_is(void *ctx, struct channel *ch, const struct msg_node_is *m, int fd)
{
	if (m->number > ID_CLUSTER_NODES_MAX)
		channel_close(ch, "a node that cannot be");
	else if (m->number != 0) /* else queue does not know it, so far or again: what it was still holds */
		id_source_join(&tlspolicy.reporting.ids, (unsigned)m->number, m->id_floor_ms);
}

static void apply(struct role *r)
{
	reporting_apply(&tlspolicy.reporting);
}

static struct verdict start(struct role *r)
{
	struct arena *a = &tlspolicy.arena;
	struct str directory = directory_of(a, role_config(r)->state_dir, "tlspolicy");
	struct dns *dns = resolving_start(&tlspolicy.resolving, r);

	store_open(&tlspolicy.store, arena_cstr(a, arena_printf(a, "%.*s/tlspolicy.db", STR_ARG(directory))));
	sts_init(&tlspolicy.sts, r, dns, &tlspolicy.store);
	reporting_init(&tlspolicy.reporting, r, dns, &tlspolicy.store);
	role_set_data(r, &tlspolicy);
	return ok();
}

static void stop(struct role *r, uint64_t grace_ms)
{
	reporting_close(&tlspolicy.reporting);
}

static void idle(struct role *r)
{
	sts_fini(&tlspolicy.sts);
	store_close(&tlspolicy.store);
	role_stopped(r);
}

static void stats(struct role *r)
{
	const struct sts *s = &tlspolicy.sts;

	role_stat(r, METRIC_TLSPOLICY_POLICIES, s->kept.n);
	role_stat(r, METRIC_TLSPOLICY_FETCHES, s->discoveries.fetches);
	role_stat(r, METRIC_TLSPOLICY_FETCH_FAILURES, s->discoveries.failures);
	role_stat(r, METRIC_TLSPOLICY_WAITING, s->asked);
	role_stat(r, METRIC_TLSPOLICY_STORE_FAILURES, tlspolicy.store.failures);
	role_stat(r, METRIC_TLSPOLICY_SESSIONS, tlspolicy.reporting.results.counted);
	role_stat(r, METRIC_TLSPOLICY_NOT_COUNTED, tlspolicy.reporting.results.not_counted);
	role_stat(r, METRIC_TLSPOLICY_REPORTS_SENT, tlspolicy.reporting.sent);
	role_stat(r, METRIC_TLSPOLICY_REPORTS_ABANDONED, tlspolicy.reporting.abandoned);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .sts_find = handle_sts_find,
						      .names_changed = handle_names_changed,
						      .node_is = handle_node_is,
						      .tls_session = handle_tls_session,
						      .tls_report_show = handle_tls_report_show,
						      .tls_report_list = handle_tls_report_list };
	static const struct role_ops ops = { .id = ROLE_TLSPOLICY,
					     .start = start,
					     .apply = apply,
					     .peer_up = peer_up,
					     .peer_down = peer_down,
					     .stop = stop,
					     .idle = idle,
					     .stats = stats,
					     .handlers = &handlers };

	return role_main(argc, argv, &ops);
}
