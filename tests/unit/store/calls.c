/* calls.c - each operation of the store as a call that waits, and what keeps its answer. */
#include "fixture.h"

static unsigned answers;

/* ---- answers ---- */

void answer_wait(struct fixture *f, struct answer *a)
{
	while (!a->done)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

static struct answer *take(void *ctx, struct verdict v)
{
	struct answer *a = ctx;

	assert_false(a->done); /* once */
	a->done = true;
	a->order = ++answers;
	a->v = verdict_keep(&a->f->arena, v);
	return a;
}

static void *copy(struct answer *a, const void *rows, size_t n, size_t size)
{
	void *to = arena_calloc(&a->f->arena, n + 1, size);

	if (n)
		memcpy(to, rows, n * size);
	a->rows = to;
	a->n = n;
	return to;
}

#define KEEP(a, field) ((field) = arena_str(&(a)->f->arena, (field)))

void on_done(void *ctx, struct verdict v)
{
	(void)take(ctx, v);
}

struct leased {
	struct leased *next;
	uint64_t id, n, take_no;
};

static void note_lease(struct fixture *f, uint64_t id, const struct due_recipient *r)
{
	struct leased *l = ARENA_NEW(&f->arena, struct leased);

	*l = (struct leased){ f->leased, id, r->n, r->take_no };
	f->leased = l;
}

void on_due(void *ctx, struct verdict v, const struct due_message *messages, size_t n)
{
	struct answer *a = take(ctx, v);
	struct due_message *m = copy(a, messages, n, sizeof(*m));

	for (size_t i = 0; i < n; i++) {
		size_t bytes = m[i].recipients_n * sizeof(*m[i].recipients);

		envelope_keep(&a->f->arena, &m[i].envelope);
		KEEP(a, m[i].prefix);
		KEEP(a, m[i].text);
		m[i].recipients = memcpy(arena_alloc(&a->f->arena, bytes + 1), m[i].recipients, bytes);
		for (size_t j = 0; j < m[i].recipients_n; j++) {
			KEEP(a, m[i].recipients[j].address);
			KEEP(a, m[i].recipients[j].orcpt);
			KEEP(a, m[i].recipients[j].via);
			note_lease(a->f, m[i].id, &m[i].recipients[j]);
		}
	}
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct answer *a = take(ctx, v);
	struct due_lane *l = copy(a, lanes, n, sizeof(*l));

	a->next = next_at;
	for (size_t i = 0; i < n; i++) {
		KEEP(a, l[i].domain);
		KEEP(a, l[i].login);
		KEEP(a, l[i].via);
	}
}

static struct message_row keep_message(struct answer *a, struct message_row m)
{
	KEEP(a, m.envelope.login);
	KEEP(a, m.envelope.sender);
	KEEP(a, m.held);
	KEEP(a, m.recipient);
	KEEP(a, m.reply);
	KEEP(a, m.prefix);
	return m;
}

static void on_rows(void *ctx, struct verdict v, const struct message_row *rows, size_t n, uint64_t next)
{
	struct answer *a = take(ctx, v);
	struct message_row *m = copy(a, rows, n, sizeof(*m));

	a->next = next;
	for (size_t i = 0; i < n; i++)
		m[i] = keep_message(a, m[i]);
}

void on_show(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n, uint64_t next)
{
	struct answer *a = take(ctx, v);
	struct recipient_row *r = copy(a, rows, n, sizeof(*r));
	struct message_row *row = ARENA_NEW(&a->f->arena, struct message_row);

	a->next = next;
	if (m)
		*row = keep_message(a, *m);
	a->message = m ? row : NULL;
	for (size_t i = 0; i < n; i++) {
		KEEP(a, r[i].address);
		KEEP(a, r[i].remote);
		KEEP(a, r[i].route);
		KEEP(a, r[i].orcpt);
		KEEP(a, r[i].via);
		r[i].verdict = verdict_keep(&a->f->arena, r[i].verdict);
	}
}

static void on_trace(void *ctx, struct verdict v, const struct event_row *rows, size_t n, struct str transcript, uint64_t next)
{
	struct answer *a = take(ctx, v);
	struct event_row *e = copy(a, rows, n, sizeof(*e));

	a->next = next;
	a->text = arena_str(&a->f->arena, transcript);
	for (size_t i = 0; i < n; i++) {
		KEEP(a, e[i].name);
		KEEP(a, e[i].fields);
	}
}

static void on_found(void *ctx, struct verdict v, const struct found_recipient *rows, size_t n, const struct find_place *next)
{
	struct answer *a = take(ctx, v);
	struct found_recipient *r = copy(a, rows, n, sizeof(*r));

	a->place = *next;
	for (size_t i = 0; i < n; i++) {
		KEEP(a, r[i].login);
		KEEP(a, r[i].device);
		KEEP(a, r[i].sender);
		KEEP(a, r[i].subject);
		KEEP(a, r[i].message_id);
		KEEP(a, r[i].held);
		KEEP(a, r[i].tls);
		KEEP(a, r[i].recipient.address);
		KEEP(a, r[i].recipient.remote);
		KEEP(a, r[i].recipient.route);
		r[i].recipient.verdict = verdict_keep(&a->f->arena, r[i].recipient.verdict);
	}
}

void on_alter_done(void *ctx, struct verdict v, const struct altered *altered)
{
	struct answer *a = take(ctx, v);

	copy(a, altered->leased, altered->leased_n, sizeof *altered->leased);
	a->count = altered->count;
	a->in_flight = altered->in_flight;
	a->next = altered->next_cursor;
}

static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n)
{
	struct answer *a = take(ctx, v);
	struct unreported *u = copy(a, messages, n, sizeof(*u));

	for (size_t i = 0; i < n; i++) {
		size_t bytes = u[i].failed_n * sizeof(*u[i].failed);

		KEEP(a, u[i].envelope.sender);
		KEEP(a, u[i].envelope.envid);
		u[i].failed = memcpy(arena_alloc(&a->f->arena, bytes + 1), u[i].failed, bytes);
		for (size_t j = 0; j < u[i].failed_n; j++) {
			KEEP(a, u[i].failed[j].address);
			KEEP(a, u[i].failed[j].orcpt);
			KEEP(a, u[i].failed[j].remote);
			u[i].failed[j].verdict = verdict_keep(&a->f->arena, u[i].failed[j].verdict);
		}
	}
}

static void on_fd(void *ctx, struct verdict v, int fd)
{
	take(ctx, v)->fd = fd;
}

void on_text(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct answer *a = take(ctx, v);

	a->fd = fd;
	a->text = arena_str(&a->f->arena, bytes);
}

/* ---- operations ---- */

struct accepted *message(struct fixture *f, uint64_t id, const char *to)
{
	struct accepted *m = ARENA_NEW(&f->arena, struct accepted);
	struct new_recipient *r = ARENA_ARRAY(&f->arena, struct new_recipient, strlen(to) + 1);
	struct str rest = arena_str(&f->arena, str_of(to)), part;

	*m = (struct accepted){ .id = id,
				.token = id * 7 + 1,
				.received_at = NOW,
				.expires_at = NOW + 1000,
				.envelope.login = S("alice"),
				.envelope.sender = S("a@example.org"),
				.envelope.envid = S(""),
				.envelope.sign_domain = S("example.org"),
				.device = S(""),
				.origin = S("client"),
				.prefix = S("Received: x\r\n"),
				.place = PLACE_ROW,
				.envelope.priority = PRIORITY_NORMAL,
				.text = S("Subject: x\r\n\r\nhello\r\n"),
				.event = S("size=22") };
	m->size = m->text.n;
	m->header_size = 12;
	while (str_split(&rest, ' ', &part))
		r[m->recipients_n++] = (struct new_recipient){ .address = part, .orcpt = S("") };
	m->recipients = r;
	return m;
}

struct verdict accept_now(struct fixture *f, const struct accepted *m)
{
	struct answer a = { .f = f };

	store_accept(f->st, m, on_done, &a);
	answer_wait(f, &a);
	return a.v;
}

struct verdict accept_to(struct fixture *f, uint64_t id, const char *to)
{
	return accept_now(f, message(f, id, to));
}

void accept_all(struct fixture *f, struct accepted *const *messages, size_t n)
{
	struct answer *accepts = ARENA_ARRAY(&f->arena, struct answer, n + 1);

	for (size_t i = 0; i < n; i++) {
		accepts[i] = (struct answer){ .f = f };
		store_accept(f->st, messages[i], on_done, &accepts[i]);
	}
	for (size_t i = 0; i < n; i++) {
		answer_wait(f, &accepts[i]);
		assert_int_equal(accepts[i].v.class, OK);
	}
}

/* The body of a call: issue, wait, give back the answer. */
#define CALL(f, issue)                                                                                                           \
	struct answer a = { .f = (f) };                                                                                          \
	issue;                                                                                                                   \
	answer_wait((f), &a);                                                                                                    \
	return a

struct answer lanes_now(struct fixture *f, uint64_t now, size_t max)
{
	CALL(f, store_lanes(f->st, now, max, on_lanes, &a));
}

struct answer lease_now(struct fixture *f, uint64_t lane, uint64_t now, size_t max)
{
	CALL(f, store_lease(f->st, lane, now, max, true, on_due, &a));
}

struct answer siblings_now(struct fixture *f, uint64_t id, uint64_t now, size_t max)
{
	CALL(f, store_lease_siblings(f->st, id, now, max, on_due, &a));
}

void settle_begin(struct fixture *f, struct outcome *o, size_t n, struct answer *a)
{
	for (size_t i = 0; i < n; i++)
		for (const struct leased *l = f->leased; l && o[i].take_no == 0; l = l->next)
			if (l->id == o[i].id && l->n == o[i].n)
				o[i].take_no = l->take_no;
	store_settle(f->st, o, n, on_done, a);
}

struct verdict settle_now(struct fixture *f, uint64_t id, uint64_t n, enum recipient_state state, uint64_t due_at)
{
	struct outcome o = { .id = id,
			     .n = n,
			     .state = state,
			     .due_at = due_at,
			     .attempted = true,
			     .at = NOW + 5,
			     .remote = S("mx.example.net"),
			     .route = S("isp"),
			     .event = S("recipient.settled"),
			     .event_fields = S("k=v") };
	struct answer a = { .f = f };

	if (state == RCPT_FAILED)
		o.verdict = perm(550, S("5.1.1"), S("no such user"));
	if (state == RCPT_WAITING)
		o.verdict = temp(451, S("4.7.1"), S("greylisted"));
	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	return a.v;
}

struct answer show_now(struct fixture *f, uint64_t id, uint64_t cursor, size_t max)
{
	CALL(f, store_show(f->st, id, cursor, max, on_show, &a));
}

struct answer text_now(struct fixture *f, uint64_t id)
{
	CALL(f, store_text(f->st, id, on_text, &a));
}

struct answer trace_now(struct fixture *f, uint64_t id, uint64_t cursor, size_t max)
{
	CALL(f, store_trace(f->st, id, cursor, max, on_trace, &a));
}

struct answer select_now(struct fixture *f, struct selector s, uint64_t cursor, size_t max)
{
	CALL(f, store_select(f->st, &s, cursor, max, on_rows, &a));
}

struct answer found_now(struct fixture *f, struct find find, struct find_place from, size_t max)
{
	CALL(f, store_find(f->st, &find, &from, max, on_found, &a));
}

struct answer alter_now(struct fixture *f, struct selector s, enum alter operation)
{
	CALL(f, store_alter(f->st, &s, operation, S("by \"root\""), 0, on_alter_done, &a));
}

struct answer reroute_now(struct fixture *f, struct selector s, const char *via)
{
	CALL(f, store_reroute(f->st, &s, str_of(via), S("isp is down"), 0, on_alter_done, &a));
}

static void on_summary(void *ctx, struct verdict v, const struct summary_row *rows, size_t n, uint64_t next)
{
	struct answer *a = take(ctx, v);
	struct summary_row *to = copy(a, rows, n, sizeof(*to));

	for (size_t i = 0; i < n; i++) {
		KEEP(a, to[i].destination);
		KEEP(a, to[i].reply);
	}
	a->next = next;
}

struct answer summary_now(struct fixture *f, uint64_t cursor, size_t max)
{
	CALL(f, store_summary(f->st, cursor, max, on_summary, &a));
}

struct answer unreported_now(struct fixture *f, enum message_kind kind, uint64_t now, size_t max)
{
	CALL(f, store_unreported(f->st, kind, now, max, on_unreported, &a));
}

struct verdict report_now(struct fixture *f, enum message_kind kind, const struct accepted *report, uint64_t parent,
			  const uint64_t *n_list, size_t n)
{
	struct answer a = { .f = f };

	store_report(f->st, kind, report, parent, n_list, n, S("to=a@example.org"), on_done, &a);
	answer_wait(f, &a);
	return a.v;
}

struct answer create_now(struct fixture *f, uint64_t id, uint64_t size)
{
	CALL(f, store_spool_create(f->st, id, size, on_fd, &a));
}

static void on_count(void *ctx, struct verdict v, uint64_t count)
{
	take(ctx, v)->count = count;
}

uint64_t prune_now(struct fixture *f, uint64_t before, size_t max)
{
	struct answer a = { .f = f };

	store_prune(f->st, before, max, on_count, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	return a.count;
}

static void on_gates(void *ctx, struct verdict v, const struct gate_state *gates_, size_t n)
{
	struct answer *a = take(ctx, v);

	a->text = S("");
	for (size_t i = 0; i < n; i++)
		a->text = arena_printf(&a->f->arena, "%.*s%s%.*s %llu %llu %.*s", STR_ARG(a->text), i ? "; " : "",
				       STR_ARG(gates_[i].name), (unsigned long long)gates_[i].failures,
				       (unsigned long long)gates_[i].down_until, STR_ARG(gates_[i].reason));
}

struct str gates(struct fixture *f)
{
	struct answer a = { .f = f };

	store_gates(f->st, on_gates, &a);
	answer_wait(f, &a);
	return a.text;
}

struct verdict put_bucket(struct fixture *f, const char *key, const char *rule, uint64_t tat_us)
{
	struct bucket_row row = { .key = str_of(key), .rule = str_of(rule), .tat_us = tat_us };
	struct answer a = { .f = f };

	store_bucket_put(f->st, &row, 1, on_done, &a);
	answer_wait(f, &a);
	return a.v;
}

static void on_buckets(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct answer *a = take(ctx, v);

	a->text = S("");
	for (size_t i = 0; i < n; i++) {
		a->text = arena_printf(&a->f->arena, "%.*s%s%.*s %.*s %llu", STR_ARG(a->text), i ? "; " : "",
				       STR_ARG(rows[i].key), STR_ARG(rows[i].rule), (unsigned long long)rows[i].tat_us);
		if (rows[i].warned_at)
			a->text =
				arena_printf(&a->f->arena, "%.*s %llu", STR_ARG(a->text), (unsigned long long)rows[i].warned_at);
	}
}

struct str buckets(struct fixture *f)
{
	struct answer a = { .f = f };

	store_buckets(f->st, S(""), S(""), 1000, on_buckets, &a);
	answer_wait(f, &a);
	return a.text;
}

static void on_known(void *ctx, struct verdict v, const bool *yes, size_t n)
{
	struct answer *a = take(ctx, v);

	a->text = S("");
	for (size_t i = 0; i < n; i++)
		a->text = arena_printf(&a->f->arena, "%.*s%s%s", STR_ARG(a->text), i ? " " : "", yes[i] ? "yes" : "no");
}

struct str known(struct fixture *f, const char *login, const char *addresses)
{
	struct str list[16], rest = str_of(addresses);
	struct answer a = { .f = f };
	size_t n = 0;

	while (n < 16 && str_split(&rest, ' ', &list[n]))
		n++;
	store_known(f->st, str_of(login), list, n, on_known, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	return a.text;
}

struct verdict put_ban(struct fixture *f, const char *key, uint64_t level, uint64_t until, const char *reason)
{
	struct ban_row row = { .key = str_of(key), .level = level, .until = until, .reason = str_of(reason) };
	struct answer a = { .f = f };

	store_ban_put(f->st, &row, 1, on_done, &a);
	answer_wait(f, &a);
	return a.v;
}

static void on_bans(void *ctx, struct verdict v, const struct ban_row *rows, size_t n)
{
	struct answer *a = take(ctx, v);

	a->text = S("");
	for (size_t i = 0; i < n; i++)
		a->text = arena_printf(&a->f->arena, "%.*s%s%.*s %llu %llu %.*s", STR_ARG(a->text), i ? "; " : "",
				       STR_ARG(rows[i].key), (unsigned long long)rows[i].level, (unsigned long long)rows[i].until,
				       STR_ARG(rows[i].reason));
}

struct str bans(struct fixture *f)
{
	struct answer a = { .f = f };

	store_bans(f->st, on_bans, &a);
	answer_wait(f, &a);
	return a.text;
}

struct str domains(struct fixture *f, struct answer a)
{
	const struct due_lane *l = a.rows;
	struct str all = S("");

	for (size_t i = 0; i < a.n; i++)
		all = arena_printf(&f->arena, "%.*s%s%.*s", STR_ARG(all), i ? " " : "", STR_ARG(l[i].domain));
	return all;
}

struct store_stats stats_now(struct fixture *f)
{
	struct store_stats stats;

	(void)text_now(f, 1); /* whatever: the counters come with any answer */
	store_stats(f->st, &stats);
	return stats;
}

struct str find_now(struct fixture *f, struct find find, size_t page)
{
	struct find_place place = { 0 };
	struct str all = S("");

	do {
		struct answer a = found_now(f, find, place, page);
		const struct found_recipient *r = a.rows;

		assert_int_equal(a.v.class, OK);
		assert_true(a.n <= page);
		for (size_t i = 0; i < a.n; i++)
			all = arena_printf(&f->arena, "%.*s%s%llu/%llu", STR_ARG(all), all.n ? " " : "",
					   (unsigned long long)r[i].id, (unsigned long long)r[i].recipient.n);
		place = a.place;
	} while (place.phase);
	return all;
}

struct str event_fields(const struct answer *a, size_t row)
{
	struct str fields = ((const struct event_row *)a->rows)[row].fields;
	struct str node = S(" node=1");

	return str_ends(fields, node) ? str_head(fields, fields.n - node.n) : fields;
}

struct str events(struct fixture *f, uint64_t id)
{
	struct answer a = trace_now(f, id, 0, 100);
	const struct event_row *e = a.rows;
	struct str all = S("");

	for (size_t i = 0; i < a.n; i++)
		all = arena_printf(&f->arena, "%.*s%s%.*s", STR_ARG(all), i ? " " : "", STR_ARG(e[i].name));
	return all;
}
