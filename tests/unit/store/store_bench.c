/* store_bench.c - how fast is the store? In a directory of its own below the current one it accepts all messages, then leases and
 * settles them all. A program for each engine: store_bench, store_bench_postgresql. Not a test.
 * Arguments, all of which can be left out: messages=200000 in_flight=128 bytes=4096 domains=100 logins=1
 * lanes=32: from so many lanes it leases at once, at most 32 recipients of each. first=1: the first message's number, so that
 * several of them can fill one database at the same time.
 * remember=1: each message has a recipient to whom its login has never written, which is kept too, and charges two buckets.
 * connection=WORDS: an empty database, which is filled; without it store_bench_postgresql starts a server. */
#include "store_bench.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"
#include "posthouse/smtp_server.h"
#include "../../support/remove_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define NOW   1700000000000ULL
#define LEASE 32

struct bench {
	uv_loop_t loop;
	struct store *st;
	char dir[64];
	struct store_options options;
	uint64_t messages, in_flight, bytes, domains, logins, remember, lanes, first;
	const char *connection;
	struct slot *slots;
	char *text;
	uint64_t started, done, cpu_us, server_us, size, log, began_ns, first_tenth_ns;
	bool leasing, opened, closed;
	uint64_t lease_us_max, lanes_us_max, asked_us, leases, settles;
};

struct slot {
	struct bench *b;
	struct accepted m;
	struct new_recipient r;
	struct bucket_row charges[2];
	char address[64], login[32];
};

/* Outcomes of one lease. */
struct results {
	struct bench *b;
	struct outcome o[LEASE];
	size_t n;
};

static void on_accepted(void *ctx, struct verdict v);
static void ask_lanes(struct bench *b);

static void start_accept(struct slot *s)
{
	struct bench *b = s->b;
	uint64_t id = b->first + b->started++;

	(void)snprintf(s->address, sizeof(s->address), "user%llu@domain%llu.example", (unsigned long long)id,
		       (unsigned long long)(id % b->domains));
	(void)snprintf(s->login, sizeof(s->login), "user%llu", (unsigned long long)(id / b->domains % b->logins));
	s->r = (struct new_recipient){ .address = str_of(s->address), .orcpt = S("") };
	s->m.id = id;
	s->m.token = id;
	s->m.envelope.login = str_of(s->login);
	s->charges[0].key = s->charges[1].key = str_of(s->login);
	s->charges[0].tat_us = s->charges[1].tat_us = NOW * 1000 + id;
	store_accept(b->st, &s->m, on_accepted, s);
}

static void on_accepted(void *ctx, struct verdict v)
{
	struct slot *s = ctx;
	struct bench *b = s->b;

	if (v.class != OK)
		die(70, "accept: %.*s", STR_ARG(v.text));
	b->done++;
	if (b->done == b->messages / 10)
		b->first_tenth_ns = uv_hrtime() - b->began_ns;
	if (b->done == b->messages - b->messages / 10)
		b->began_ns = uv_hrtime(); /* of the last tenth */
	if (b->started < b->messages)
		start_accept(s);
}

static void on_settled(void *ctx, struct verdict v)
{
	struct results *r = ctx;

	if (v.class != OK)
		die(70, "settle: %.*s", STR_ARG(v.text));
	r->b->done += r->n;
	r->b->settles--;
	free(r);
}

static void on_due(void *ctx, struct verdict v, const struct due_message *m, size_t n)
{
	struct bench *b = ctx;
	struct results *r = NEW(struct results);
	uint64_t us = uv_hrtime() / 1000 - b->asked_us;

	if (v.class != OK)
		die(70, "lease: %.*s", STR_ARG(v.text));
	if (us > b->lease_us_max)
		b->lease_us_max = us;
	r->b = b;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m[i].recipients_n; j++)
			r->o[r->n++] = (struct outcome){ .id = m[i].id,
							 .n = m[i].recipients[j].n,
							 .take_no = m[i].recipients[j].take_no,
							 .state = RCPT_DELIVERED,
							 .at = NOW,
							 .event = S("recipient.delivered"),
							 .event_fields = S("remote=mx.example.net") };
	b->settles++;
	store_settle(b->st, r->o, r->n, on_settled, r);
	if (--b->leases == 0)
		ask_lanes(b);
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct bench *b = ctx;
	uint64_t us = uv_hrtime() / 1000 - b->asked_us;

	(void)next_at;
	if (v.class != OK)
		die(70, "lanes: %.*s", STR_ARG(v.text));
	if (us > b->lanes_us_max)
		b->lanes_us_max = us;
	b->asked_us = uv_hrtime() / 1000;
	b->leasing = n > 0;
	for (b->leases = 0; b->leases < n; b->leases++)
		store_lease(b->st, lanes[b->leases].lane, NOW, LEASE, true, on_due, b);
}

static void ask_lanes(struct bench *b)
{
	b->asked_us = uv_hrtime() / 1000;
	b->leasing = true;
	store_lanes(b->st, NOW, b->lanes, on_lanes, b);
}

static void on_closed(void *ctx, struct verdict v)
{
	(void)v;
	((struct bench *)ctx)->closed = true;
}

static uint64_t cpu_us(const struct rusage *r)
{
	return (uint64_t)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

/* What this process, the server and the disk have had to do since the last call; what: NULL: nothing is printed. */
static void report(struct bench *b, const char *what, uint64_t ns)
{
	struct rusage r;
	uint64_t server = bench_server_us(), size = bench_size(b->dir), log = bench_log_size(b->dir);
	double n = (double)b->messages;

	(void)getrusage(RUSAGE_SELF, &r);
	if (what)
		printf("%-7s %8.0f /s   each: processor %.1f us here, %.1f us in the server; %.0f bytes more, %.0f of log;"
		       "   resident at most %.1f MiB\n",
		       what, n * 1e9 / (double)ns, ((double)cpu_us(&r) - (double)b->cpu_us) / n,
		       ((double)server - (double)b->server_us) / n, ((double)size - (double)b->size) / n,
		       ((double)log - (double)b->log) / n, (double)r.ru_maxrss / 1024);
	(void)getrusage(RUSAGE_SELF, &r);
	b->cpu_us = cpu_us(&r);
	b->server_us = bench_server_us();
	b->size = size;
	b->log = log;
}

static void on_opened(void *ctx, struct verdict v)
{
	if (v.class != OK)
		die(70, "%.*s", STR_ARG(v.text));
	((struct bench *)ctx)->opened = true;
}

/* Reopening tells how long a start takes with a full queue. */
static void open_store(struct bench *b)
{
	uint64_t from = uv_hrtime();

	b->opened = false;
	b->st = store_open(&b->loop, &b->options, on_opened, b);
	while (!b->opened)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	printf("open    %9.1f ms\n", (double)(uv_hrtime() - from) / 1e6);
}

static void close_store(struct bench *b)
{
	b->closed = false;
	store_close(b->st, on_closed, b);
	while (!b->closed)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
}

/* One argument, name=value; false: there is no such. */
static bool read_argument(struct bench *b, const char *argument)
{
	const struct {
		const char *name;
		uint64_t *value;
	} numbers[] = { { "messages=", &b->messages }, { "in_flight=", &b->in_flight }, { "bytes=", &b->bytes },
			{ "domains=", &b->domains },   { "logins=", &b->logins },       { "remember=", &b->remember },
			{ "lanes=", &b->lanes },       { "first=", &b->first } };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t n = strlen(numbers[i].name);

		if (strncmp(argument, numbers[i].name, n) == 0)
			return str_to_u64(str_of(argument + n), numbers[i].value) && *numbers[i].value > 0;
	}
	if (strncmp(argument, "connection=", 11) != 0)
		return false;
	b->connection = argument + 11;
	return true;
}

static void init_slot(struct bench *b, struct slot *s)
{
	s->b = b;
	s->charges[0] = (struct bucket_row){ .rule = S("messages 200/1h") };
	s->charges[1] = (struct bucket_row){ .rule = S("recipients 500/1h") };
	s->m = (struct accepted){ .received_at = NOW,
				  .expires_at = NOW,
				  .envelope.sender = S("a@example.org"),
				  .prefix = S("Received: by relay.example.org with ESMTPSA id 0123456789abc; today\r\n"),
				  .place = PLACE_ROW,
				  .text = str_make(b->text, b->bytes),
				  .size = b->bytes,
				  .recipients = &s->r,
				  .recipients_n = 1,
				  .envelope.priority = PRIORITY_NORMAL,
				  .remember = b->remember > 0,
				  .charges = s->charges,
				  .charges_n = b->remember ? 2 : 0,
				  .event = S("sender=a@example.org") };
}

static void run_accepts(struct bench *b)
{
	uint64_t from;

	report(b, NULL, 0);
	from = b->began_ns = uv_hrtime();
	for (uint64_t i = 0; i < b->in_flight && b->started < b->messages; i++) {
		init_slot(b, &b->slots[i]);
		start_accept(&b->slots[i]);
	}
	while (b->done < b->messages)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	b->began_ns = uv_hrtime() - b->began_ns;
	report(b, "accept", uv_hrtime() - from);
	printf("        the last tenth took %.2f times as long as the first\n",
	       (double)b->began_ns / (double)(b->first_tenth_ns + 1));
}

static void run_deliveries(struct bench *b)
{
	uint64_t from;

	report(b, NULL, 0);
	b->done = 0;
	from = uv_hrtime();
	ask_lanes(b);
	while (b->leasing || b->settles)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	report(b, "settle", uv_hrtime() - from);
	printf("lanes at most %" PRIu64 " us, lease at most %" PRIu64 " us (with the wait for a commit); %" PRIu64 " settled\n",
	       b->lanes_us_max, b->lease_us_max, b->done);
}

int main(int argc, char **argv)
{
	struct bench b = { .dir = "store-bench.XXXXXX",
			   .messages = 200000,
			   .in_flight = 128,
			   .bytes = 4096,
			   .domains = 100,
			   .logins = 1,
			   .lanes = 32,
			   .first = 1 };

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		if (!read_argument(&b, argv[i]))
			die(64, "%s: not an argument, see store_bench.c", argv[i]);
	if (!mkdtemp(b.dir) || uv_loop_init(&b.loop) != 0)
		die(70, "no directory here");
	b.options = (struct store_options){ .state_dir = b.dir, .min_free = 1, .max_messages = UINT64_MAX };
	bench_engine(&b.options, b.connection);
	b.text = xmalloc(b.bytes);
	memset(b.text, 'x', b.bytes);
	b.slots = xcalloc(b.in_flight, sizeof(*b.slots));
	open_store(&b);
	run_accepts(&b);
	close_store(&b);
	open_store(&b);
	run_deliveries(&b);
	close_store(&b);
	(void)uv_loop_close(&b.loop);
	(void)remove_tree(b.dir);
	free(b.slots);
	free(b.text);
	return b.done == b.messages ? 0 : 1;
}
