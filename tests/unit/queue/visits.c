/* visits.c - sessions of submission, as tests play them. */
#include "visits.h"

uint64_t visit_reserving, visit_delay_ms, visit_counted, visit_banned;
bool visit_unknown;
struct str visit_ticket;
static bool answered;

static struct verdict wait_answer(struct harness *h)
{
	UNTIL(h, answered);
	return h->answer;
}

static void take(struct harness *h, struct verdict v)
{
	h->answer = verdict_keep(&h->arena, v);
	answered = true;
}

static void on_admitted(void *ctx, struct verdict v, const struct msg_admitted *m, int fd)
{
	visit_banned = m ? m->banned : 0;
	take(ctx, m ? m->verdict : v);
}

void visits_begin(struct harness *h)
{
	h->login = S(ALICE);
	h->config.postmaster = S("postmaster@example.org");
	queue_ops.apply(harness_role());
	connect_submission(h);
	connect_login(h);
	connect_console(h);
	UNTIL(h, accounting_is_ready(&h->q->accounting));
}

struct harness *visits_restart(void **state, void (*configure)(struct harness *h))
{
	struct harness *h = *state;

	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, START_MS);
	configure(h);
	visits_begin(h);
	return h;
}

struct verdict admit(struct harness *h, uint64_t session, const char *client)
{
	struct msg_admit m = { .session = session, .client = str_of(client) };

	answered = false;
	ipc_call_admit(h->submission, &m, -1, on_admitted, h);
	return wait_answer(h);
}

static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd)
{
	visit_reserving = m ? m->reserving : 0;
	visit_delay_ms = m ? m->delay_ms : 0;
	visit_counted = m ? m->counted : 0;
	visit_unknown = m && m->unknown;
	visit_ticket = m ? arena_str(&((struct harness *)ctx)->arena, m->ticket) : S("");
	take(ctx, m ? m->verdict : v);
}

struct verdict log_in(struct harness *h, uint64_t session, const char *login, const char *device, bool success)
{
	return log_in_by(h, session, login, device, success, 0);
}

struct verdict log_in_by(struct harness *h, uint64_t session, const char *login, const char *device, bool success,
			 uint64_t repeated)
{
	struct msg_authenticated m = { .incarnation = SUBMISSION_INCARNATION,
				       .session = session,
				       .login = str_of(login),
				       .device = str_of(device),
				       .success = success,
				       .repeated = repeated,
				       .stamp = VISIT_STAMP };

	if (device[0] == '@') {
		m.rights = RIGHT_LISTED;
		m.stamp = 0;
	}
	if (!h->login_role)
		connect_login(h);
	answered = false;
	ipc_call_authenticated(h->login_role, &m, -1, on_authorized, h);
	return wait_answer(h);
}

static void on_reserved(void *ctx, struct verdict v, const struct msg_reserved *m, int fd)
{
	take(ctx, m ? m->verdict : v);
}

static struct verdict ask(struct harness *h, const struct msg_reserve *m)
{
	answered = false;
	ipc_call_reserve(h->submission, m, -1, on_reserved, h);
	return wait_answer(h);
}

struct verdict reserve_message(struct harness *h, uint64_t session, uint64_t transaction, uint64_t bytes)
{
	return ask(h, &(struct msg_reserve){ .session = session, .transaction = transaction, .bytes = bytes });
}

struct verdict reserve_recipient(struct harness *h, uint64_t session, uint64_t transaction, const char *recipient)
{
	return ask(h, &(struct msg_reserve){ .session = session, .transaction = transaction, .recipient = str_of(recipient) });
}

void leave(struct harness *h, uint64_t session)
{
	ipc_send_leave(h->submission, &(struct msg_leave){ .session = session }, -1);
}

struct verdict submit_one(struct harness *h, uint64_t id, const char *recipients)
{
	size_t before = h->answers_n;

	submit(h, id, 1, "a@example.org", recipients, "Subject: hello\r\nFrom: alice@example.org\r\n\r\nbody\r\n");
	UNTIL(h, h->answers_n > before);
	return h->answer;
}

bool holds(struct str text, const char *part)
{
	return str_search(text, str_of(part)) < text.n;
}

/* ---- the administrator ---- */

static struct limit_rows rows;
static uint64_t cursor, count;

static void on_rows(void *ctx, struct verdict v, const struct msg_limits_rows *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	for (size_t i = 0; i < m->rows.n; i++) {
		struct rec_limit_row *to = &rows.at[rows.n++];

		assert_true(rows.n <= VISIT_ROWS_MAX);
		*to = m->rows.at[i];
		to->key = arena_str(&h->arena, to->key);
		to->rule = arena_str(&h->arena, to->rule);
		to->text = arena_str(&h->arena, to->text);
	}
	cursor = m->cursor;
	take(h, m->verdict);
}

const struct limit_rows *limits_show(struct harness *h, const char *who)
{
	rows.n = 0;
	cursor = 0;
	do {
		struct msg_limits_page m = { .user = str_of(who), .cursor = cursor };

		answered = false;
		ipc_call_limits_page(h->console, &m, -1, on_rows, h);
		assert_int_equal(wait_answer(h).class, OK);
	} while (cursor > 0);
	return &rows;
}

const struct rec_limit_row *limit_row(const struct limit_rows *all, const char *key, const char *rule)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->at[i].key, str_of(key)) && str_eq(all->at[i].rule, str_of(rule)))
			return &all->at[i];
	return NULL;
}

static void on_reset(void *ctx, struct verdict v, const struct msg_limits_were_reset *m, int fd)
{
	assert_non_null(m);
	count = m->count;
	take(ctx, m->verdict);
}

uint64_t limits_reset(struct harness *h, const char *who)
{
	struct msg_limits_reset m = { .user = str_of(who) };

	answered = false;
	ipc_call_limits_reset(h->console, &m, -1, on_reset, h);
	assert_int_equal(wait_answer(h).class, OK);
	return count;
}
