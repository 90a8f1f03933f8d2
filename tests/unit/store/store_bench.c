/* store_bench.c - how fast is the store? store_bench [MESSAGES [IN_FLIGHT [TEXT_BYTES [DOMAINS [remember]]]]] in a directory of its own
 * below the current one: accepts all messages, then leases and settles them all. With "remember" each message has a recipient to whom
 * its login has never written, which is kept too, and charges two buckets. Not a test. */
#include "posthouse/arena.h"
#include "posthouse/log.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"
#include "../../support/remove_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW   1700000000000ULL
#define LEASE 32

struct bench {
	uv_loop_t loop;
	struct store *st;
	char dir[64];
	uint64_t messages, in_flight, bytes, domains;
	bool remember;
	char *text;
	uint64_t started, done, wal_max, cpu_us, began_ns, first_tenth_ns;
	bool leasing, opened, closed;
	uint64_t lease_us_max, lanes_us_max, asked_us, settles;
};

struct slot {
	struct bench *b;
	struct accepted m;
	struct new_recipient r;
	struct bucket_row charges[2];
	char address[64];
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
	uint64_t id = ++b->started;

	(void)snprintf(s->address, sizeof(s->address), "user%llu@domain%llu.example", (unsigned long long)id,
		       (unsigned long long)(id % b->domains));
	s->r = (struct new_recipient){ .address = str_of(s->address), .orcpt = S("") };
	s->m.id = id;
	s->m.token = id;
	s->charges[0].tat_us = s->charges[1].tat_us = NOW * 1000 + id;
	store_accept(b->st, &s->m, on_accepted, s);
}

static void sample_wal(struct bench *b)
{
	char path[96];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/queue.db-wal", b->dir);
	if (stat(path, &st) == 0 && (uint64_t)st.st_size > b->wal_max)
		b->wal_max = (uint64_t)st.st_size;
}

static void on_accepted(void *ctx, struct verdict v)
{
	struct slot *s = ctx;
	struct bench *b = s->b;

	if (v.class != OK)
		die(70, "accept: %.*s", STR_ARG(v.text));
	if (++b->done % 1000 == 0)
		sample_wal(b);
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
	if (r->b->done % 1000 == 0)
		sample_wal(r->b);
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
							 .state = RCPT_DELIVERED,
							 .at = NOW,
							 .event = S("recipient.delivered"),
							 .event_fields = S("remote=mx.example.net") };
	b->settles++;
	store_settle(b->st, r->o, r->n, on_settled, r);
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
	if (n)
		store_lease(b->st, lanes[0].lane, NOW, LEASE, true, on_due, b);
}

static void ask_lanes(struct bench *b)
{
	b->asked_us = uv_hrtime() / 1000;
	b->leasing = true;
	store_lanes(b->st, NOW, 1, on_lanes, b);
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

static void report(struct bench *b, const char *what, uint64_t ns)
{
	struct rusage r;

	(void)getrusage(RUSAGE_SELF, &r);
	printf("%-7s %9.0f /s   processor %.0f us each   log at most %.1f MiB   resident at most %.1f MiB\n", what,
	       (double)b->messages * 1e9 / (double)ns, ((double)cpu_us(&r) - (double)b->cpu_us) / (double)b->messages,
	       (double)b->wal_max / 1048576, (double)r.ru_maxrss / 1024);
	b->cpu_us = cpu_us(&r);
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
	struct store_options options = {
		.engine = &store_engine_sqlite, .state_dir = b->dir, .min_free = 1, .max_messages = UINT64_MAX
	};
	uint64_t from = uv_hrtime();

	b->opened = false;
	b->st = store_open(&b->loop, &options, on_opened, b);
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

int main(int argc, char **argv)
{
	struct bench b = { .dir = "store-bench.XXXXXX", .messages = 200000, .in_flight = 128, .bytes = 4096, .domains = 100 };
	uint64_t *arguments[] = { &b.messages, &b.in_flight, &b.bytes, &b.domains }, from;
	struct slot *slots;

	for (int i = 1; i < argc && i <= 4; i++)
		if (!str_to_u64(str_of(argv[i]), arguments[i - 1]) || *arguments[i - 1] == 0)
			die(64, "%s: not a positive number", argv[i]);
	b.remember = argc > 5 && str_eq(str_of(argv[5]), S("remember"));
	if (!mkdtemp(b.dir) || uv_loop_init(&b.loop) != 0)
		die(70, "no directory here");
	b.text = xmalloc(b.bytes);
	memset(b.text, 'x', b.bytes);
	slots = xcalloc(b.in_flight, sizeof(*slots));
	open_store(&b);
	from = b.began_ns = uv_hrtime();
	for (uint64_t i = 0; i < b.in_flight && b.started < b.messages; i++) {
		slots[i].b = &b;
		slots[i].charges[0] = (struct bucket_row){ .key = S("user:alice"), .rule = S("messages 200/1h") };
		slots[i].charges[1] = (struct bucket_row){ .key = S("user:alice"), .rule = S("recipients 500/1h") };
		slots[i].m =
			(struct accepted){ .received_at = NOW,
					   .expires_at = NOW,
					   .envelope.login = S("alice"),
					   .envelope.sender = S("a@example.org"),
					   .prefix = S("Received: by relay.example.org with ESMTPSA id 0123456789abc; today\r\n"),
					   .place = PLACE_ROW,
					   .text = str_make(b.text, b.bytes),
					   .size = b.bytes,
					   .recipients = &slots[i].r,
					   .recipients_n = 1,
					   .envelope.priority = PRIORITY_NORMAL,
					   .remember = b.remember,
					   .charges = slots[i].charges,
					   .charges_n = b.remember ? 2 : 0,
					   .event = S("sender=a@example.org") };
		start_accept(&slots[i]);
	}
	while (b.done < b.messages)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	report(&b, "accept", uv_hrtime() - from);
	printf("        the last tenth took %.2f times as long as the first\n",
	       (double)(uv_hrtime() - b.began_ns) / (double)(b.first_tenth_ns + 1));
	close_store(&b);
	open_store(&b);
	b.done = 0;
	from = uv_hrtime();
	ask_lanes(&b);
	while (b.leasing || b.settles)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	report(&b, "settle", uv_hrtime() - from);
	printf("lanes at most %llu us, lease at most %llu us (with the wait for a commit); %llu settled\n",
	       (unsigned long long)b.lanes_us_max, (unsigned long long)b.lease_us_max, (unsigned long long)b.done);
	close_store(&b);
	(void)uv_loop_close(&b.loop);
	(void)remove_tree(b.dir);
	free(slots);
	free(b.text);
	return b.done == b.messages ? 0 : 1;
}
