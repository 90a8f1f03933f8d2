/* exchange.c - the states of a login that is under way: one exchange for each session in its AUTH dialogue. A worker thread makes
 * each step; meanwhile the exchange is WORKING. When its client leaves then, it is ORPHANED until the worker has finished. */
#include "exchange.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <assert.h>
#include <stdlib.h>

static const char *const state_names[] = { "new", "working", "waiting", "judged", "orphaned", "closing" };

void exchange_enter(struct exchange *e, enum exchange_state state)
{
	static const bool legal[EXCHANGE_STATES][EXCHANGE_STATES] = {
		[EXCHANGE_NEW] = { [EXCHANGE_WORKING] = true,
				   [EXCHANGE_WAITING] = true,
				   [EXCHANGE_JUDGED] = true,
				   [EXCHANGE_CLOSING] = true },
		[EXCHANGE_WORKING] = { [EXCHANGE_WAITING] = true,
				       [EXCHANGE_JUDGED] = true,
				       [EXCHANGE_ORPHANED] = true,
				       [EXCHANGE_CLOSING] = true },
		[EXCHANGE_WAITING] = { [EXCHANGE_WORKING] = true,
				       [EXCHANGE_WAITING] = true,
				       [EXCHANGE_JUDGED] = true,
				       [EXCHANGE_CLOSING] = true },
		[EXCHANGE_JUDGED] = { [EXCHANGE_CLOSING] = true },
		[EXCHANGE_ORPHANED] = { [EXCHANGE_CLOSING] = true },
	};

	assert(legal[e->state][state]);
	log_debug(&(struct log){ .session = e->session }, "exchange.entered", kv("state", state_names[state]));
	e->state = state;
}

struct exchange *exchange_find(struct login *l, const struct channel *ch, uint64_t session)
{
	LIST_EACH_OF (struct exchange, e, &l->exchanges, link) {
		if (e->ch == ch && e->session == session)
			return e;
	}
	return NULL;
}

void answer_verdict(struct channel *ch, uint64_t call, struct verdict v)
{
	ipc_send_login_reply(ch, &(struct msg_login_reply){ .call = call, .verdict = v }, -1);
}

void count_login(struct login *l, struct verdict v)
{
	l->accepted += v.class == OK && v.code == 235;
	l->refused += v.class == PERM;
	l->failed += v.class == TEMP;
}

/* ---- the end ---- */
static void on_timer_closed(uv_handle_t *handle)
{
	struct exchange *e = handle->data;
	struct login *l = e->login;

	free(e);
	l->open_exchanges--;
	role_busy(l->role, -1);
}

void exchange_close(struct exchange *e)
{
	exchange_enter(e, EXCHANGE_CLOSING);
	list_remove(&e->link);
	vouch_drop(&e->vouch);
	conversation_free(e->conversation);
	secret_fini(&e->user);
	secret_fini(&e->response);
	arena_fini(&e->arena);
	uv_close((uv_handle_t *)&e->timer, on_timer_closed);
}

void exchange_leave(struct exchange *e)
{
	if (e->state != EXCHANGE_WORKING) {
		exchange_close(e);
		return;
	}
	exchange_enter(e, EXCHANGE_ORPHANED);
	list_remove(&e->link);
	e->ch = NULL;
	uv_timer_stop(&e->timer);
	if (workers_withdraw(&e->job))
		exchange_close(e);
}

void exchange_end(struct login *l, struct channel *ch, const struct msg_login_end *m)
{
	struct exchange *e = exchange_find(l, ch, m->session);

	if (e)
		exchange_leave(e);
}

void exchanges_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH_OF (struct exchange, e, &l->exchanges, link) {
		if (!ch || e->ch == ch)
			exchange_leave(e);
	}
}
