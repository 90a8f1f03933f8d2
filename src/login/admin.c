/* admin.c - lists and changes accounts for the console. A worker thread makes one change after the other, with its own copy of
 * the account file. The role then reads the changed file again, as it does when the command line has changed it. Where several
 * nodes share the accounts, shared.c makes the change. */
#include "login.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <assert.h>
#include <stdlib.h>

#define CHANGES_MAX  64
#define REASON_MAX   500
#define ROW_OVERHEAD 64 /* of a row in a page, beyond its texts */

static void change_made(struct change *c);

static void on_changed(uv_work_t *work, int status);
static void on_sessions_ended(void *ctx);

static void work_change(uv_work_t *work)
{
	struct change *c = work->data;
	struct verdict v;
	struct accounts *accounts = accounts_open(c->state_dir, &v);

	if (accounts && c->wanted.operation > ACCOUNT_REMOVE)
		v = accounts_lock(accounts, (enum account_operation)c->wanted.operation, c->wanted.name, c->wanted.device,
				  c->wanted.reason);
	else if (accounts)
		v = accounts_change(accounts, (enum account_operation)c->wanted.operation, c->wanted.name, c->wanted.device,
				    c->wanted.verifier, c->wanted.expires_at);
	c->verdict = verdict_keep(&c->arena, v);
	accounts_close(accounts);
}

/* Make the first of those that wait. */
static void begin_change(struct login *l)
{
	struct list *first = list_first(&l->changes);
	struct change *c;
	int status;

	if (!first)
		return;
	c = CONTAINER_OF(first, struct change, link);
	if (l->config->store.engine == ENGINE_POSTGRESQL) {
		shared_change(c);
		return;
	}
	c->work.data = c;
	status = uv_queue_work(l->loop, &c->work, work_change, on_changed);
	assert(status == 0); /* it can fail only without a callback */
}

static void on_changed(uv_work_t *work, int status)
{
	change_made(work->data);
}

static void change_made(struct change *c)
{
	static const char *const names[] = { [ACCOUNT_ADD] = "add",
					     [ACCOUNT_PASSWD] = "passwd",
					     [ACCOUNT_REMOVE] = "remove",
					     [ACCOUNT_LOCK] = "lock",
					     [ACCOUNT_UNLOCK] = "unlock" };

	if (c->verdict.class != OK) {
		on_sessions_ended(c);
		return;
	}
	log_info(NULL, "account.changed", kv("operation", names[c->wanted.operation]), kv("login", c->wanted.name),
		 kv("device", c->wanted.device), kv("reason", c->wanted.reason));
	watch_end_sessions(c->login, on_sessions_ended, c);
}

/* Who changes a password can rely on it: no session of the old one is left when the answer comes. */
static void on_sessions_ended(void *ctx)
{
	struct change *c = ctx;
	struct login *l = c->login;

	if (c->ch)
		ipc_send_account_changed(c->ch, &(struct msg_account_changed){ .call = c->wanted.call, .verdict = c->verdict },
					 -1);
	list_remove(&c->link);
	arena_fini(&c->arena);
	free(c);
	begin_change(l);
	role_busy(l->role, -1);
}

void change_accounts(struct login *l, struct channel *ch, const struct msg_account_change *m)
{
	struct change *c;
	size_t waiting = 0;
	bool idle = list_empty(&l->changes);

	LIST_EACH (i, &l->changes)
		waiting++;
	if (waiting >= CHANGES_MAX || m->operation < ACCOUNT_ADD || m->operation > ACCOUNT_UNLOCK) {
		struct verdict v = waiting >= CHANGES_MAX ? temp(451, S("4.3.0"), S("too many changes of accounts at once"))
							  : perm(550, S("5.5.2"), S("unknown operation"));

		ipc_send_account_changed(ch, &(struct msg_account_changed){ .call = m->call, .verdict = v }, -1);
		return;
	}
	c = NEW(struct change);
	c->login = l;
	c->ch = ch;
	c->made = change_made;
	c->state_dir = arena_cstr(&c->arena, l->config->state_dir);
	c->wanted = *m;
	c->wanted.name = arena_str(&c->arena, m->name);
	c->wanted.device = arena_str(&c->arena, m->device);
	c->wanted.verifier = arena_str(&c->arena, m->verifier);
	c->wanted.reason = arena_str(&c->arena, str_head(m->reason, REASON_MAX));
	list_append(&l->changes, &c->link);
	role_busy(l->role, +1);
	if (idle)
		begin_change(l);
}

void changes_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH_OF (struct change, c, &l->changes, link) {
		if (c->ch == ch)
			c->ch = NULL;
	}
}

/* A page of rows, from number `cursor` on. When the file changes between two pages, a row can be listed twice or not at all. */
void list_accounts(struct login *l, struct channel *ch, const struct msg_account_page *m)
{
	struct msg_accounts page = { .call = m->call, .uses_since = account_uses_since(l->uses) };
	const struct accounts *accounts;
	struct arena a = { 0 };
	size_t bytes = 0, i;

	page.verdict = login_refresh(l);
	accounts = directory_accounts(l->directory);
	if (page.verdict.class == OK && accounts) {
		size_t n = accounts_count(accounts);
		size_t rows_max = m->cursor < n ? n - m->cursor : 0;

		if (rows_max > IPC_PAGE_MAX / ROW_OVERHEAD)
			rows_max = IPC_PAGE_MAX / ROW_OVERHEAD;
		page.rows.at = ARENA_ARRAY(&a, struct rec_account, rows_max + 1);
		for (i = m->cursor; page.rows.n < rows_max && bytes < IPC_PAGE_MAX; i++) {
			const struct account *row = accounts_at(accounts, i);
			struct account_use use = account_uses_find(l->uses, row->name, row->device);

			page.rows.at[page.rows.n++] = (struct rec_account){ .name = row->name,
									    .device = row->device,
									    .created_at = row->created_at,
									    .expires_at = row->expires_at,
									    .locked_at = row->locked_at,
									    .reason = str_head(row->reason, REASON_MAX),
									    .used_at = use.used_at,
									    .tried_at = use.tried_at };
			bytes += row->name.n + row->device.n + page.rows.at[page.rows.n - 1].reason.n + ROW_OVERHEAD;
		}
		page.cursor = rows_max && i < n ? i : 0;
	}
	ipc_send_accounts(ch, &page, -1);
	arena_fini(&a);
}
