/* million_store.c - the store with a queue of a million messages: makes it, measures it, drains it. `million` puts a relay around it.
 * million_store has the engine of one node, million_store_postgresql that of several: it needs --connection WORDS.
 *   million_store fill DIR [--messages N] [--domains N] [--size BYTES] [--due-in SECONDS]   accept so many more
 *   million_store list DIR [--most N]                                                       all pages of a listing, or N rows
 *   million_store drain DIR [--most N]                                                      lease and settle everything, or about N
 *   million_store index DIR                                                                 wait until all can be found by the index
 *   million_store find DIR                                                                  find by each selector, to the end or 100 rows
 * Figures are lines key=value. Domains are spread evenly, in no order; ids are those of an hour ago. */
#include "bench.h"

#include "posthouse/arena.h"
#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define IN_FLIGHT 128
#define LANES     128 /* leased from at a time */
#define LEASE     32  /* recipients of one lane */
#define PAGE      100
#define HOUR_MS   3600000
#define GOLDEN    2654435761u /* an odd number: i * GOLDEN visits the domains in no order */

struct million {
	uv_loop_t loop;
	struct store *st;
	struct store_options options;
	struct store_database database;
	uint64_t messages, domains, size, due_in, most;
	char *text;
	uint64_t base_ms, started, done;                 /* of messages, or rows, or recipients */
	uint64_t asked_us, cursor, last, found, pending; /* operations without an answer */
	struct samples waits;
	struct find_place place;
	bool finished, opened, closed;
};

static void check(const char *what, struct verdict v)
{
	if (v.class != OK)
		die(70, "%s: %.*s", what, STR_ARG(v.text));
}

/* ---- open and close ---- */

static void on_opened(void *ctx, struct verdict v)
{
	check("open", v);
	((struct million *)ctx)->opened = true;
}

static void open_store(struct million *m)
{
	uint64_t from = bench_now_us();

	m->opened = false;
	m->st = store_open(&m->loop, &m->options, on_opened, m);
	while (!m->opened)
		(void)uv_run(&m->loop, UV_RUN_ONCE);
	printf("open_ms=%.1f\n", (double)(bench_now_us() - from) / 1000);
}

static void on_closed(void *ctx, struct verdict v)
{
	(void)v;
	((struct million *)ctx)->closed = true;
}

static void close_store(struct million *m)
{
	store_close(m->st, on_closed, m);
	while (!m->closed)
		(void)uv_run(&m->loop, UV_RUN_ONCE);
}

/* ---- fill ---- */

struct slot {
	struct million *m;
	struct accepted message;
	struct new_recipient recipient;
	char address[64], subject[64], message_id[64];
	uint64_t began_us;
};

static void on_accepted(void *ctx, struct verdict v);

static void accept_next(struct slot *s)
{
	struct million *m = s->m;
	uint64_t i = m->started++, at = m->base_ms + i / 1000;

	(void)snprintf(s->address, sizeof(s->address), "user%" PRIu64 "@domain%" PRIu64 ".example", i, i * GOLDEN % m->domains);
	(void)snprintf(s->subject, sizeof(s->subject), "Invoice %" PRIu64 " of order %" PRIu64, i, i * GOLDEN % m->messages);
	(void)snprintf(s->message_id, sizeof(s->message_id), "<%" PRIx64 ".%" PRIu64 "@client.example>", i * GOLDEN, i);
	s->message.envelope.subject = str_of(s->subject);
	s->message.envelope.message_id = str_of(s->message_id);
	s->recipient.address = str_of(s->address);
	s->message.id = at << 21 | (uint64_t)15 << 17 | (i % 1000);
	s->message.token = i + 1;
	s->message.received_at = at + HOUR_MS + m->due_in * 1000;
	s->message.expires_at = s->message.received_at + 120 * (uint64_t)HOUR_MS;
	s->message.warn_at = s->message.received_at + 4 * (uint64_t)HOUR_MS;
	s->began_us = bench_now_us();
	store_accept(m->st, &s->message, on_accepted, s);
}

static void on_accepted(void *ctx, struct verdict v)
{
	struct slot *s = ctx;

	check("accept", v);
	samples_add(&s->m->waits, bench_now_us() - s->began_us);
	s->m->done++;
	if (s->m->started < s->m->messages)
		accept_next(s);
}

static void fill(struct million *m)
{
	struct slot *slots = xcalloc(IN_FLIGHT, sizeof(*slots));

	m->base_ms = clock_now_ms() - HOUR_MS;
	for (size_t i = 0; i < IN_FLIGHT && m->started < m->messages; i++) {
		slots[i].m = m;
		slots[i].recipient.orcpt = S("");
		slots[i].message = (struct accepted){
			.envelope.login = S("bench"),
			.envelope.sender = S("bench@bench.example.org"),
			.origin = S("client=127.0.0.1 tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 mechanism=PLAIN"),
			.envelope.sign_domain = S("bench.example.org"),
			.prefix = S(
				"Received: from client.example by relay.bench.example.org with ESMTPSA id 0123456789abc; 1 Jan\r\n"),
			.place = PLACE_ROW,
			.text = str_make(m->text, m->size),
			.size = m->size,
			.header_size = 60,
			.envelope.priority = PRIORITY_NORMAL,
			.recipients = &slots[i].recipient,
			.recipients_n = 1,
			.event = S("sender=bench@bench.example.org size_bytes=512 recipients=1"),
		};
		accept_next(&slots[i]);
	}
	while (m->done < m->messages)
		(void)uv_run(&m->loop, UV_RUN_ONCE);
	free(slots);
}

/* ---- list ---- */

static void ask_page(struct million *m);

static void on_page(void *ctx, struct verdict v, const struct message_row *rows, size_t n, uint64_t next)
{
	struct million *m = ctx;

	check("list", v);
	samples_add(&m->waits, bench_now_us() - m->asked_us);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].id <= m->last)
			die(70, "the listing is not in order");
		m->last = rows[i].id;
	}
	m->done += n;
	m->cursor = next;
	m->finished = next == 0 || m->done >= m->most;
	if (!m->finished)
		ask_page(m);
}

static void ask_page(struct million *m)
{
	static const struct selector all;

	m->asked_us = bench_now_us();
	store_select(m->st, &all, m->cursor, PAGE, on_page, m);
}

static void list(struct million *m)
{
	ask_page(m);
	while (!m->finished)
		(void)uv_run(&m->loop, UV_RUN_ONCE);
}

/* ---- drain ---- */

/* The outcomes of one lease. */
struct results {
	struct million *m;
	struct outcome o[LEASE];
	size_t n;
};

static void ask_lanes(struct million *m);

static void end_operation(struct million *m)
{
	if (--m->pending == 0 && !m->finished)
		ask_lanes(m);
}

static void on_settled(void *ctx, struct verdict v)
{
	struct results *r = ctx;
	struct million *m = r->m;

	check("settle", v);
	m->done += r->n;
	samples_add(&m->waits, bench_now_us() - m->asked_us);
	free(r);
	end_operation(m);
}

static void on_due(void *ctx, struct verdict v, const struct due_message *due, size_t n)
{
	struct million *m = ctx;
	struct results *r = NEW(struct results);

	check("lease", v);
	r->m = m;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < due[i].recipients_n; j++)
			r->o[r->n++] = (struct outcome){ .id = due[i].id,
							 .n = due[i].recipients[j].n,
							 .take_no = due[i].recipients[j].take_no,
							 .state = RCPT_DELIVERED,
							 .attempted = true,
							 .at = due[i].received_at,
							 .verdict = { .class = OK, .code = 250, .text = S("Ok: taken") },
							 .event = S("delivery.sent"),
							 .event_fields = S("remote=mx.example.net") };
	store_settle(m->st, r->o, r->n, on_settled, r);
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct million *m = ctx;

	check("lanes", v);
	m->finished = n == 0 || m->done >= m->most;
	for (size_t i = 0; i < n && !m->finished; i++) {
		m->pending++;
		store_lease(m->st, lanes[i].lane, UINT32_MAX * (uint64_t)1000, LEASE, true, on_due, m);
	}
	end_operation(m);
}

/* At a time when everything is due. */
static void ask_lanes(struct million *m)
{
	m->asked_us = bench_now_us();
	m->pending = 1;
	store_lanes(m->st, UINT32_MAX * (uint64_t)1000, LANES, on_lanes, m);
}

static void drain(struct million *m)
{
	ask_lanes(m);
	while (m->pending)
		(void)uv_run(&m->loop, UV_RUN_ONCE);
}

/* ---- find ---- */

static void on_found(void *ctx, struct verdict v, const struct found_recipient *rows, size_t n, const struct find_place *next)
{
	struct million *m = ctx;

	check("find", v);
	samples_add(&m->waits, bench_now_us() - m->asked_us);
	m->done += n;
	m->found += n;
	m->place = *next;
	m->finished = true;
}

/* All pages, up to `max` rows. */
static void find_one(struct million *m, const char *what, const struct find *find)
{
	uint64_t from = bench_now_us();

	m->found = 0;
	m->place = (struct find_place){ 0 };
	do {
		m->finished = false;
		m->asked_us = bench_now_us();
		store_find(m->st, find, &m->place, PAGE, on_found, m);
		while (!m->finished)
			(void)uv_run(&m->loop, UV_RUN_ONCE);
	} while (m->place.phase && m->found < PAGE);
	printf("find_%s_ms=%.1f\nfind_%s_rows=%" PRIu64 "\n", what, (double)(bench_now_us() - from) / 1000, what, m->found);
}

#define T(text)                                                                                                                  \
	{                                                                                                                        \
		(text), sizeof(text) - 1                                                                                         \
	}
static void find(struct million *m)
{
	static const struct {
		const char *what;
		struct find find;
	} cases[] = {
		{ "recipient", { .recipient = T("user4711@*") } },
		{ "recipient_whole", { .recipient = T("user123456@domain7.example") } },
		{ "recipient_none", { .recipient = T("nobody@nowhere.example") } },
		{ "recipient_similar", { .recipient = T("user12345678@domain1.example") } },
		{ "local_part", { .recipient = T("user999") } },
		{ "domain", { .recipient = T("@domain77.example") } },
		{ "domain_none", { .recipient = T("domainx.example") } },
		{ "pattern", { .recipient = T("*r99999*@*7.example") } },
		{ "sender", { .sender = T("bench") } },
		{ "sender_none", { .sender = T("bencher@bench.example.org") } },
		{ "user", { .user = T("bench") } },
		{ "user_none", { .user = T("nobody") } },
		{ "subject", { .subject = T("invoice 4711") } },
		{ "subject_part", { .subject = T("voice 77777") } },
		{ "subject_none", { .subject = T("parcel") } },
		{ "subject_two_letters", { .subject = T("qz") } },
		{ "message_id_none", { .message_id = T("<none@client.example>") } },
		{ "waiting", { .states = 1 << RCPT_WAITING } },
		{ "failed_of_user", { .states = 1 << RCPT_FAILED | 1 << RCPT_BOUNCED, .user = T("bench") } },
		{ "delivered_of_nobody", { .states = 1 << RCPT_DELIVERED, .recipient = T("nobody") } },
		{ "since_never", { .since = UINT32_MAX * 1000ull } },
		{ "until_never", { .until = 1 } },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		find_one(m, cases[i].what, &cases[i].find);
}

static void on_bans(void *ctx, struct verdict v, const struct ban_row *rows, size_t n)
{
	(void)rows;
	(void)n;
	check("bans", v);
	((struct million *)ctx)->finished = true;
}

/* The store indexes in idle time; its counters come with an answer. */
static void index_all(struct million *m)
{
	struct store_stats stats;

	do {
		uv_sleep(1000);
		m->finished = false;
		store_bans(m->st, on_bans, m);
		while (!m->finished)
			(void)uv_run(&m->loop, UV_RUN_ONCE);
		store_stats(m->st, &stats);
	} while (stats.indexing);
}

/* ---- main ---- */

static const struct {
	const char *name, *what;
	void (*run)(struct million *m);
} commands[] = { { "fill", "accepted", fill },
		 { "list", "listed", list },
		 { "drain", "drained", drain },
		 { "index", "indexed", index_all },
		 { "find", "found", find } };

static void parse(struct million *m, int argc, char **argv)
{
	static const struct option options[] = {
		{ "messages", required_argument, NULL, 'm' },
		{ "domains", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "due-in", required_argument, NULL, 'u' },
		{ "most", required_argument, NULL, 'n' },
		{ "connection", required_argument, NULL, 'c' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm': m->messages = bench_number("messages", optarg, 100000000); break;
		case 'd': m->domains = bench_number("domains", optarg, 100000000); break;
		case 's': m->size = bench_number("size", optarg, 65536); break;
		case 'u': m->due_in = bench_number("due-in", optarg, 1000000); break;
		case 'n': m->most = bench_number("most", optarg, 100000000); break;
		case 'c': m->database.connection = str_of(optarg); break;
		default: exit(64);
		}
	}
	if (argc - optind != 2 || m->domains == 0)
		die(64, "usage: million_store fill|list|drain|index|find DIR [OPTIONS], see million_store.c");
	m->options.state_dir = argv[optind + 1];
	m->options.database = m->database.connection.n ? &m->database : NULL;
}

static void report(struct million *m, const char *what, uint64_t us)
{
	struct store_stats stats;
	struct rusage r;

	store_stats(m->st, &stats);
	(void)getrusage(RUSAGE_SELF, &r);
	printf("%s=%" PRIu64 "\nper_second=%.0f\nwait_median_ms=%.2f\nwait_p99_ms=%.2f\nwait_max_ms=%.2f\n", what, m->done,
	       (double)m->done * 1e6 / (double)us, samples_ms(&m->waits, 50), samples_ms(&m->waits, 99),
	       samples_ms(&m->waits, 100));
	printf("processor_us=%.1f\nopen_messages=%" PRIu64 "\nlanes=%" PRIu64 "\n",
	       (double)((r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec) /
		       (double)(m->done ? m->done : 1),
	       stats.open_messages, stats.lanes);
}

int main(int argc, char **argv)
{
	struct million m = { .options = { .engine = &MILLION_ENGINE, .min_free = 1, .max_messages = UINT64_MAX },
			     .database = { .node_timeout_ms = 20000, .patience_ms = 30000 },
			     .messages = 1000000,
			     .domains = 100000,
			     .size = 512,
			     .most = UINT64_MAX };
	uint64_t from;
	size_t i;

	parse(&m, argc, argv);
	for (i = 0; i < sizeof commands / sizeof *commands && strcmp(commands[i].name, argv[optind]) != 0; i++)
		;
	if (i == sizeof commands / sizeof *commands)
		die(64, "%s: no such command", argv[optind]);
	m.text = xmalloc(m.size + 1);
	memset(m.text, 'x', m.size);
	if (uv_loop_init(&m.loop) != 0)
		die(70, "no event loop");
	open_store(&m);
	from = bench_now_us();
	commands[i].run(&m);
	report(&m, commands[i].what, bench_now_us() - from);
	close_store(&m);
	(void)uv_loop_close(&m.loop); /* nothing is left in it */
	samples_fini(&m.waits);
	free(m.text);
	return 0;
}
