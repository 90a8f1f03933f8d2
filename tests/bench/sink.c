/* sink.c - a next hop that takes everything, counts each numbered message, and reports when told to end or when all have arrived. */
#include "sink.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char usage[] = "usage: sink [options]; prints port=N when it listens, and its report at SIGTERM or at the end\n"
			    "  --address ADDRESS     127.0.0.1\n"
			    "  --port N              0 = any free one\n"
			    "  --expect N            end when N different messages have arrived\n"
			    "  --settle MS           and so much later, for duplicates: 500\n"
			    "  --delay MS            before each answer to a message\n"
			    "  --tempfail N          answer the first N tries of each message with 451\n"
			    "  --drop N              and hang up without an answer at the next N\n"
			    "  --chain FILE --key FILE   offer STARTTLS\n"
			    "  --implicit            TLS from the first byte instead\n"
			    "  --numbers FILE        write the numbers of the messages as they arrive\n";

/* ---- counting ---- */

/* Room in both tables for this number. */
static void grow(struct sink *k, uint64_t number)
{
	size_t more = k->numbers ? k->numbers : 4096;

	if (number < k->numbers)
		return;
	while (more <= number)
		more *= 2;
	k->times = xrealloc(k->times, more);
	k->tries = xrealloc(k->tries, more);
	memset(k->times + k->numbers, 0, more - k->numbers);
	memset(k->tries + k->numbers, 0, more - k->numbers);
	k->numbers = more;
}

/* Find "X-Bench: RUN-NUMBER TIME" in the header section. */
static bool read_header(struct str message, uint64_t *run_out, uint64_t *number_out, uint64_t *sent_us_out)
{
	struct str header = str_head(message, str_search(message, S("\r\n\r\n")) + 2);
	size_t at = str_search(header, S("\r\n" BENCH_HEADER));
	struct str line, run, number;

	if (at == header.n)
		return false;
	line = str_from(header, at + 2 + sizeof(BENCH_HEADER) - 1);
	line = str_head(line, str_find(line, '\r'));
	return str_split(&line, '-', &run) && str_split(&line, ' ', &number) && str_to_u64(run, run_out) &&
	       str_to_u64(number, number_out) && str_to_u64(line, sent_us_out) && *number_out < BENCH_NUMBERS_MAX;
}

/* The number of the header has arrived, now. */
static void count(struct sink *k, uint64_t number, uint64_t sent_us)
{
	uint64_t now = bench_now_us();

	if (k->list)
		fprintf(k->list, "%" PRIu64 "\n", number);
	if (k->times[number] < 255)
		k->times[number]++;
	if (k->times[number] > 1) {
		k->duplicates++;
		return;
	}
	k->unique++;
	k->last_arrived_us = now;
	if (k->first_sent_us == 0 || sent_us < k->first_sent_us)
		k->first_sent_us = sent_us;
	samples_add(&k->to_arrival, now > sent_us ? now - sent_us : 0);
}

static void on_settled(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

enum sink_answer sink_judge(struct sink *k, struct str message)
{
	uint64_t run, number, sent_us;

	if (!read_header(message, &run, &number, &sent_us)) {
		k->arrived++;
		k->unnumbered++;
		return SINK_TAKE;
	}
	if (k->run == 0)
		k->run = run;
	if (run != k->run) {
		k->foreign++;
		return SINK_TAKE;
	}
	grow(k, number);
	if (k->tries[number] < 255)
		k->tries[number]++;
	if (k->tries[number] <= k->tempfail) {
		k->tempfailed++;
		return SINK_TEMPFAIL;
	}
	if (k->tries[number] <= k->tempfail + k->drop) {
		k->dropped++;
		return SINK_DROP;
	}
	k->arrived++;
	count(k, number, sent_us);
	if (k->expect && k->unique >= k->expect && !k->enough) {
		k->enough = true;
		uv_timer_start(&k->settle, on_settled, k->settle_ms, 0);
	}
	return SINK_TAKE;
}

/* ---- start and end ---- */

static void on_signal(uv_signal_t *signal, int number)
{
	uv_stop(signal->loop);
}

static void on_connection(void *ctx, int fd)
{
	sink_session_begin(ctx, fd);
}

/* Listen, and say where. */
static void sink_listen(struct sink *k, const char *address, uint64_t port)
{
	struct arena a = { 0 };
	struct sockaddr_in6 name = { 0 };
	socklen_t length = sizeof(name);
	struct verdict v;
	int fds[2];

	v = listener_open(str_of(address), (unsigned)port, false, &a, fds, &k->listeners_n);
	if (v.class != OK)
		die(69, "%.*s", STR_ARG(v.text));
	if (getsockname(fds[0], (struct sockaddr *)&name, &length) == 0)
		printf("port=%u\n", ntohs(name.sin6_port));
	fflush(stdout);
	for (size_t i = 0; i < k->listeners_n; i++)
		k->listeners[i] = listener_serve(&k->loop, fds[i], on_connection, k);
	arena_fini(&a);
}

/* Close and free everything. */
static void sink_end(struct sink *k)
{
	sink_sessions_close(k);
	for (size_t i = 0; i < k->listeners_n; i++)
		listener_close(k->listeners[i]);
	uv_close((uv_handle_t *)&k->settle, NULL);
	uv_close((uv_handle_t *)&k->term, NULL);
	uv_close((uv_handle_t *)&k->interrupt, NULL);
	uv_run(&k->loop, UV_RUN_DEFAULT);
	uv_loop_close(&k->loop);
	tls_context_unref(k->context);
	samples_fini(&k->to_arrival);
	free(k->times);
	free(k->tries);
}

static void report(struct sink *k)
{
	double seconds = k->unique ? (double)(k->last_arrived_us - k->first_sent_us) / 1000000 : 0;

	printf("arrived=%" PRIu64 "\nunique=%" PRIu64 "\nduplicates=%" PRIu64 "\nunnumbered=%" PRIu64 "\nforeign=%" PRIu64 "\n",
	       k->arrived, k->unique, k->duplicates, k->unnumbered, k->foreign);
	printf("tempfailed=%" PRIu64 "\ndropped=%" PRIu64 "\nconnections=%" PRIu64 "\ncommands_wrong=%" PRIu64 "\n",
	       k->tempfailed, k->dropped, k->connections, k->commands_wrong);
	printf("seconds=%.3f\nper_second=%.1f\n", seconds, seconds > 0 ? (double)k->unique / seconds : 0);
	printf("to_arrival_median_ms=%.3f\nto_arrival_p99_ms=%.3f\n", samples_ms(&k->to_arrival, 50),
	       samples_ms(&k->to_arrival, 99));
	fflush(stdout);
}

static void offer_tls(struct sink *k, const char *chain, const char *key)
{
	struct arena a = { 0 };
	struct tls_certificate certificate = { bench_file(&a, chain), bench_file(&a, key) };
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = TLS_1_2 };
	struct verdict why;

	k->context = tls_server_context(&options, &a, &why);
	if (!k->context)
		die(66, "%.*s", STR_ARG(why.text));
	arena_fini(&a);
}

static void parse_options(struct sink *k, int argc, char **argv, const char **address_out, uint64_t *port_out)
{
	static const struct option options[] = {
		{ "address", 1, NULL, 'a' }, { "port", 1, NULL, 'p' },     { "expect", 1, NULL, 'e' },
		{ "settle", 1, NULL, 's' },  { "delay", 1, NULL, 'd' },    { "tempfail", 1, NULL, 't' },
		{ "drop", 1, NULL, 'D' },    { "chain", 1, NULL, 'c' },    { "key", 1, NULL, 'k' },
		{ "numbers", 1, NULL, 'n' }, { "implicit", 0, NULL, 'i' }, { 0 },
	};
	const char *chain = NULL, *key = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'a': *address_out = optarg; break;
		case 'p': *port_out = bench_number("port", optarg, 65535); break;
		case 'e': k->expect = bench_number("expect", optarg, BENCH_NUMBERS_MAX); break;
		case 's': k->settle_ms = bench_number("settle", optarg, 600000); break;
		case 'd': k->delay_ms = bench_number("delay", optarg, 600000); break;
		case 't': k->tempfail = bench_number("tempfail", optarg, 100); break;
		case 'D': k->drop = bench_number("drop", optarg, 100); break;
		case 'c': chain = optarg; break;
		case 'k': key = optarg; break;
		case 'i': k->implicit = true; break;
		case 'n':
			k->list = fopen(optarg, "w");
			if (!k->list)
				die(73, "%s cannot be written", optarg);
			setvbuf(k->list, NULL, _IOLBF, 0); /* whoever reads along sees what has arrived */
			break;
		default: die(64, "%s", usage);
		}
	}
	if (optind < argc || !chain != !key || (k->implicit && !chain))
		die(64, "%s", usage);
	if (chain)
		offer_tls(k, chain, key);
}

int main(int argc, char **argv)
{
	struct sink k = { .settle_ms = 500 };
	const char *address = "127.0.0.1";
	uint64_t port = 0;

	log_setup("sink", -1);
	parse_options(&k, argc, argv, &address, &port);
	raise_descriptor_limit();
	list_init(&k.sessions);
	uv_loop_init(&k.loop);
	uv_timer_init(&k.loop, &k.settle);
	uv_signal_init(&k.loop, &k.term);
	uv_signal_init(&k.loop, &k.interrupt);
	uv_signal_start(&k.term, on_signal, SIGTERM);
	uv_signal_start(&k.interrupt, on_signal, SIGINT);
	sink_listen(&k, address, port);
	uv_run(&k.loop, UV_RUN_DEFAULT);
	report(&k);
	if (k.list && fclose(k.list) != 0)
		die(74, "the numbers could not be written");
	sink_end(&k);
	return 0;
}
