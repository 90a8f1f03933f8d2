/* load.c - load generator: sends numbered messages over many connections and says how long the 250 took.
 *
 * load --port N [--host ADDRESS] [--tls none|starttls|implicit] [--connections N] [--count N] [--size BYTES] [--per-connection] ... */
#include "load.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define NO_PROGRESS_MS 30000

static const char usage[] = "usage: load --port N [options]\n"
			    "  --host ADDRESS        127.0.0.1\n"
			    "  --tls MODE            none, starttls (default), implicit\n"
			    "  --ca FILE             verify the certificate, which must bear the host's address, against these\n"
			    "  --insecure            do not verify (default without --ca)\n"
			    "  --connections N       64\n"
			    "  --count N             messages: 1000\n"
			    "  --size BYTES          of each message's body: 4096\n"
			    "  --per-connection      a new connection for each message\n"
			    "  --lock-step           no pipelining\n"
			    "  --hold SECONDS        no messages: log in, stay idle, leave; says \"holding=N\" when all are in\n"
			    "  --sources N           connect from N addresses, 127.66.0.1 and on, in turn\n"
			    "  --user NAME --password TEXT   AUTH PLAIN; without, no login\n"
			    "  --from ADDRESS --to ADDRESS   sender@example.org, recipient@example.net\n"
			    "  --domains N           of recipients: N domains below that of --to, in turn\n"
			    "  --acknowledged FILE   write the numbers that got a 250\n";

/* ---- what sessions report ---- */

void load_accepted(struct load *l, uint64_t number, uint64_t took_us)
{
	l->accepted++;
	l->ended_us = bench_now_us();
	samples_add(&l->to_250, took_us);
	if (l->acknowledged)
		fprintf(l->acknowledged, "%" PRIu64 "\n", number);
}

void load_refused(struct load *l, struct str reply)
{
	l->refused++;
	if (l->first_refusal.n == 0)
		buf_add(&l->first_refusal, str_head(reply, 500));
}

/* Whoever waits for all to be in is told when the last one is, or has failed. */
static void check_holding(struct load *l)
{
	if (l->hold_ms == 0 || l->said_holding || l->held + l->failed < l->connections)
		return;
	l->said_holding = true;
	printf("holding=%" PRIu64 "\n", l->held);
	fflush(stdout);
}

void load_held(struct load *l)
{
	l->held++;
	check_holding(l);
}

void load_failed(struct load *l, struct str why)
{
	l->failed++;
	if (l->first_refusal.n == 0)
		buf_add(&l->first_refusal, str_head(why, 500));
	check_holding(l);
}

void load_session_ended(struct load *l)
{
	if (--l->sessions == 0)
		uv_close((uv_handle_t *)&l->watch, NULL);
}

/* A load that does not move is over. */
static void on_watch(uv_timer_t *timer)
{
	struct load *l = timer->data;
	uint64_t progress = l->accepted + l->refused + l->next;

	if (l->hold_ms == 0 && progress == l->seen_progress)
		die(75, "no progress for 30 s: %" PRIu64 " accepted, %" PRIu64 " refused, %" PRIu64 " connections failed: %.*s",
		    l->accepted, l->refused, l->failed, STR_ARG(buf_view(&l->first_refusal)));
	l->seen_progress = progress;
}

/* ---- start ---- */

/* Lines of text that no two neighbours share, `size` bytes in all. */
static struct str make_body(size_t size)
{
	char *p = xmalloc(size + 3);
	size_t at = 0;

	while (at < size) {
		size_t line = size - at < 78 ? size - at : 78;

		for (size_t i = 0; i < line; i++)
			p[at + i] = (char)('a' + (at / 78 + i) % 26);
		if (line >= 2)
			memcpy(p + at + line - 2, "\r\n", 2);
		at += line;
	}
	if (size < 2 || p[size - 1] != '\n') {
		memcpy(p + size, "\r\n", 2);
		size += 2;
	}
	return str_make(p, size);
}

static enum load_tls parse_tls(const char *text)
{
	if (strcmp(text, "none") == 0)
		return LOAD_CLEAR;
	if (strcmp(text, "starttls") == 0)
		return LOAD_STARTTLS;
	if (strcmp(text, "implicit") == 0)
		return LOAD_IMPLICIT;
	die(64, "--tls: none, starttls or implicit, not \"%s\"", text);
}

/* Where to, and under which certificates. */
static void prepare(struct load *l, uint64_t port, const char *ca)
{
	struct arena a = { 0 };
	struct verdict why;
	time_t now = time(NULL);
	struct tm utc;

	if (port == 0)
		die(64, "%s", usage);
	if (uv_ip4_addr(l->host, (int)port, (struct sockaddr_in *)&l->address) < 0 &&
	    uv_ip6_addr(l->host, (int)port, (struct sockaddr_in6 *)&l->address) < 0)
		die(64, "--host: an IPv4 or IPv6 address, not \"%s\"", l->host);
	l->verify = ca != NULL;
	l->context = tls_client_context(ca ? bench_file(&a, ca) : S(""), &a, &why);
	if (!l->context)
		die(66, "%s: %.*s", ca, STR_ARG(why.text));
	strftime(l->date, sizeof(l->date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
	l->run = (uint64_t)now;
	arena_fini(&a);
}

static void parse_options(struct load *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "host", 1, NULL, 'h' },
		{ "port", 1, NULL, 'p' },
		{ "tls", 1, NULL, 't' },
		{ "connections", 1, NULL, 'c' },
		{ "count", 1, NULL, 'n' },
		{ "size", 1, NULL, 's' },
		{ "per-connection", 0, NULL, 'P' },
		{ "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'w' },
		{ "from", 1, NULL, 'f' },
		{ "to", 1, NULL, 'r' },
		{ "ca", 1, NULL, 'C' },
		{ "insecure", 0, NULL, 'k' },
		{ "lock-step", 0, NULL, 'L' },
		{ "acknowledged", 1, NULL, 'a' },
		{ "hold", 1, NULL, 'H' },
		{ "sources", 1, NULL, 'S' },
		{ "domains", 1, NULL, 'D' },
		{ 0 },
	};
	const char *ca = NULL;
	uint64_t port = 0, size = 4096;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'h': l->host = optarg; break;
		case 'p': port = bench_number("port", optarg, 65535); break;
		case 't': l->tls = parse_tls(optarg); break;
		case 'c': l->connections = bench_number("connections", optarg, 100000); break;
		case 'n': l->count = bench_number("count", optarg, BENCH_NUMBERS_MAX); break;
		case 's': size = bench_number("size", optarg, 50 << 20); break;
		case 'P': l->per_connection = true; break;
		case 'u': l->user = optarg; break;
		case 'w': l->password = optarg; break;
		case 'f': l->from = optarg; break;
		case 'r': l->to = optarg; break;
		case 'C': ca = optarg; break;
		case 'k': ca = NULL; break;
		case 'L': l->lock_step = true; break;
		case 'S': l->sources = bench_number("sources", optarg, 60000); break;
		case 'D': l->domains = bench_number("domains", optarg, 1000000); break;
		case 'H': l->hold_ms = 1000 * bench_number("hold", optarg, 3600); break;
		case 'a':
			l->acknowledged = fopen(optarg, "w");
			if (!l->acknowledged)
				die(73, "%s cannot be written", optarg);
			break;
		default: die(64, "%s", usage);
		}
	}
	if (optind < argc || (l->user && !l->password))
		die(64, "%s", usage);
	l->body = make_body(size);
	prepare(l, port, ca);
}

/* One figure a line, for people and for scripts. */
static void report(struct load *l)
{
	double seconds = l->ended_us > l->begun_us ? (double)(l->ended_us - l->begun_us) / 1000000 : 0;

	printf("messages=%" PRIu64 "\naccepted=%" PRIu64 "\nrefused=%" PRIu64 "\nconnections_failed=%" PRIu64 "\n", l->next,
	       l->accepted, l->refused, l->failed);
	if (l->hold_ms)
		printf("held=%" PRIu64 "\n", l->held);
	printf("seconds=%.3f\nper_second=%.1f\n", seconds, seconds > 0 ? (double)l->accepted / seconds : 0);
	printf("to_250_median_ms=%.3f\nto_250_p99_ms=%.3f\n", samples_ms(&l->to_250, 50), samples_ms(&l->to_250, 99));
	if (l->first_refusal.n)
		printf("first_refusal=%.*s\n", STR_ARG(buf_view(&l->first_refusal)));
}

int main(int argc, char **argv)
{
	struct load l = { .host = "127.0.0.1",
			  .from = "sender@example.org",
			  .to = "recipient@example.net",
			  .tls = LOAD_STARTTLS,
			  .connections = 64,
			  .count = 1000 };
	bool good;

	log_setup("load", -1);
	buf_init(&l.first_refusal, 512);
	parse_options(&l, argc, argv);
	raise_descriptor_limit();
	uv_loop_init(&l.loop);
	uv_timer_init(&l.loop, &l.watch);
	l.watch.data = &l;
	uv_timer_start(&l.watch, on_watch, NO_PROGRESS_MS, NO_PROGRESS_MS);
	if (!l.hold_ms && l.connections > l.count)
		l.connections = l.count;
	if (l.hold_ms)
		l.count = 0;
	if (l.connections == 0)
		die(64, "nothing to do");
	l.sessions = l.connections;
	l.begun_us = bench_now_us();
	for (uint64_t i = 0; i < l.connections; i++)
		session_begin(&l, i);
	uv_run(&l.loop, UV_RUN_DEFAULT);
	report(&l);
	if (l.acknowledged && fclose(l.acknowledged) != 0)
		die(74, "the acknowledged numbers could not be written");
	good = l.hold_ms ? l.held == l.connections : l.accepted == l.count;
	tls_context_unref(l.context);
	uv_loop_close(&l.loop);
	samples_fini(&l.to_250);
	buf_fini(&l.first_refusal);
	free((char *)l.body.p);
	return good ? 0 : 1;
}
