/* fixture.c */
#include "fixture.h"

#include "internal.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT       2525
#define OPT_OCTETS 11

static struct {
	pid_t pid;
	unsigned port;
	char directory[64];
} nsd;

/* A loopback port that nobody has, for UDP and TCP. */
static unsigned free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);
	unsigned port = 0;

	while (port == 0) {
		int udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);

		address.sin_port = 0;
		assert_int_equal(bind(udp, (struct sockaddr *)&address, n), 0);
		assert_int_equal(getsockname(udp, (struct sockaddr *)&address, &n), 0);
		if (bind(tcp, (struct sockaddr *)&address, n) == 0)
			port = ntohs(address.sin_port);
		close(udp);
		close(tcp);
	}
	return port;
}

bool nsd_has_root;

static void write_configuration(const char *path, const char *zones)
{
	static const char *const names[] = { "test", "signed", "bogus" };
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f,
		"server:\n ip-address: 127.0.0.1@%u\n server-count: 1\n username: \"\"\n chroot: \"\"\n database: \"\"\n"
		" zonesdir: \"%s\"\n pidfile: \"\"\n xfrdfile: \"%s/xfrd\"\n zonelistfile: \"%s/list\"\n xfrdir: \"%s\"\n"
		" logfile: \"%s/log\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n",
		nsd.port, zones, nsd.directory, nsd.directory, nsd.directory, nsd.directory);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fprintf(f, "zone:\n name: \"%s%s\"\n zonefile: \"%s.zone\"\n", names[i], i ? ".test" : "", names[i]);
	if (nsd_has_root)
		fprintf(f, "zone:\n name: \".\"\n zonefile: \"root.zone\"\n");
	assert_int_equal(fclose(f), 0);
}

/* Ask until there is an answer: nsd reads its zones first. */
static void wait_for_nsd(void)
{
	static const char question[] = "\0\1\1\0\0\1\0\0\0\0\0\0\4test\0\0\6\0\1"; /* SOA of test. */
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)nsd.port) };
	struct timeval patience = { .tv_usec = 50000 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char answer[512];

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	for (unsigned i = 0; i < 400; i++) {
		if (send(fd, question, sizeof(question) - 1, 0) > 0 && recv(fd, answer, sizeof(answer), 0) > 12 &&
		    (answer[3] & 15) == 0) {
			close(fd);
			return;
		}
		assert_int_equal(waitpid(nsd.pid, NULL, WNOHANG), 0);
		usleep(25000);
	}
	fail_msg("nsd does not answer");
}

void nsd_start(const char *program, const char *zones)
{
	char path[96];

	snprintf(nsd.directory, sizeof(nsd.directory), "/tmp/posthouse-dns-XXXXXX");
	assert_non_null(mkdtemp(nsd.directory));
	snprintf(path, sizeof(path), "%s/nsd.conf", nsd.directory);
	nsd.port = free_port();
	write_configuration(path, zones);
	nsd.pid = fork();
	assert_true(nsd.pid >= 0);
	if (nsd.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execl(program, program, "-d", "-c", path, (char *)NULL);
		_exit(127);
	}
	wait_for_nsd();
}

void nsd_stop(void)
{
	static const char *const files[] = { "nsd.conf", "xfrd", "list", "log" };
	char path[96];

	kill(nsd.pid, SIGTERM);
	assert_int_equal(waitpid(nsd.pid, NULL, 0), nsd.pid);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", nsd.directory, files[i]);
		unlink(path);
	}
	rmdir(nsd.directory);
}

unsigned nsd_port(void)
{
	return nsd.port;
}

/* ---- the false server ---- */
static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	*buf = uv_buf_init(xmalloc(n), (unsigned)n);
}

/* The question's type: behind its name. */
static unsigned type_asked(const unsigned char *p, size_t n)
{
	size_t at = 12;

	while (at < n && p[at] != 0)
		at += 1 + p[at];
	return at + 3 <= n ? p[at + 2] : 0;
}

/* The question's name, A, IN, a minute, 192.0.2.7 */
static const unsigned char address_record[] = { 0xc0, 12, 0, DNS_A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7 };

static void on_question(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct false_server *s = udp->data;
	unsigned char *p = (unsigned char *)buf->base;
	uv_buf_t answer = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);

	if (n > 12 + OPT_OCTETS) {
		bool edns = p[11] != 0;
		bool silent = s->manner == SILENCE || (s->manner == PLAIN_ONLY && edns) ||
			      (s->manner >= GOOD && memcmp(p + 13, "dead", 4) == 0);

		s->asked++;
		p[2] |= 0x80; /* an answer… */
		p[3] = s->manner == SERVFAIL ? 0x82 : s->manner == REFUSED ? 0x85 : 0x80;
		p[11] = 0; /* …without the question's OPT record */
		answer.len -= edns ? OPT_OCTETS : 0;
		if (s->manner == TRUNCATED)
			p[2] |= 0x02; /* ask again by TCP, where nobody listens */
		if (s->manner == GARBAGE) {
			p[7] = 9; /* answers that are not there */
			memset(p + 12, 0xc0, answer.len - 12);
		}
		if (s->manner >= GOOD && type_asked(p, answer.len) == DNS_A) {
			p[7] = 1;
			memcpy(p + answer.len, address_record, sizeof address_record);
			answer.len += sizeof address_record;
		}
		if (!silent && !(s->silent_aaaa && type_asked(p, answer.len) == DNS_AAAA))
			uv_udp_try_send(udp, &answer, 1, from);
	}
	free(buf->base);
}

static void false_server_start(struct fixture *f)
{
	struct false_server *s = &f->false_server;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int n = sizeof(address);

	assert_int_equal(uv_udp_init(&f->loop, &s->udp), 0);
	s->udp.data = s;
	assert_int_equal(uv_udp_bind(&s->udp, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_udp_getsockname(&s->udp, (struct sockaddr *)&address, &n), 0);
	s->port = ntohs(address.sin_port);
	assert_int_equal(uv_udp_recv_start(&s->udp, on_alloc, on_question), 0);
	uv_unref((uv_handle_t *)&s->udp);
}

/* ---- the resolver ---- */
int fixture_setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->own.at = ARENA_ARRAY(&f->arena, struct str, 4);
	false_server_start(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	dns_close(f->dns);
	uv_close((uv_handle_t *)&f->false_server.udp, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

void open_dns(struct fixture *f, unsigned port, const char *anchors, bool ipv4, bool ipv6)
{
	struct dns_options options = { .resolver = arena_printf(&f->arena, "127.0.0.1@%u", port),
				       .trust_anchor = str_of(anchors),
				       .unsigned_zones = f->unsigned_zones,
				       .ipv4 = ipv4,
				       .ipv6 = ipv6 };
	struct verdict why;

	dns_close(f->dns);
	f->dns = dns_open(&f->loop, &options, &f->arena, &why);
	if (!f->dns)
		fail_msg("%.*s", STR_ARG(why.text));
}

void on_hosts(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n)
{
	struct fixture *f = ctx;

	f->calls++;
	f->verdict = verdict_keep(&f->arena, v);
	f->n = n;
	f->hosts = ARENA_ARRAY(&f->arena, struct dns_host, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage *addresses = ARENA_ARRAY(&f->arena, struct sockaddr_storage, hosts[i].addresses_n + 1);

		f->hosts[i] = hosts[i];
		f->hosts[i].name = arena_str(&f->arena, hosts[i].name);
		f->hosts[i].end = arena_str(&f->arena, hosts[i].end);
		f->hosts[i].domain_end = arena_str(&f->arena, hosts[i].domain_end);
		f->hosts[i].failure = verdict_keep(&f->arena, hosts[i].failure);
		if (hosts[i].addresses_n > 0)
			memcpy(addresses, hosts[i].addresses, hosts[i].addresses_n * sizeof(*addresses));
		f->hosts[i].addresses = addresses;
	}
}

bool run_until(struct fixture *f, unsigned calls, unsigned ms)
{
	struct patience *p = patience_begin(&f->loop, ms);

	while (f->calls < calls && patience_wait(p))
		;
	patience_end(p);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	return f->calls >= calls;
}

void look_up(struct fixture *f, const char *domain)
{
	unsigned before = f->calls;

	assert_non_null(dns_mx(f->dns, str_of(domain), PORT, &f->own, on_hosts, f));
	assert_int_equal(f->calls, before); /* never before the return */
	if (!run_until(f, before + 1, 20000))
		fail_msg("%s: no answer", domain);
}

const char *host_list(struct fixture *f)
{
	struct str list = S("");

	for (size_t i = 0; i < f->n; i++)
		list = arena_printf(&f->arena, "%.*s%s%.*s:%u", STR_ARG(list), i ? " " : "", STR_ARG(f->hosts[i].name),
				    f->hosts[i].preference);
	return arena_cstr(&f->arena, list);
}

const char *address_list(struct fixture *f, size_t host)
{
	struct str list = S("");
	char text[INET6_ADDRSTRLEN];

	assert_true(host < f->n);
	for (size_t i = 0; i < f->hosts[host].addresses_n; i++) {
		const struct sockaddr_storage *a = &f->hosts[host].addresses[i];
		const struct sockaddr_in *v4 = (const void *)a;
		const struct sockaddr_in6 *v6 = (const void *)a;

		assert_int_equal(ntohs(a->ss_family == AF_INET ? v4->sin_port : v6->sin6_port), PORT);
		inet_ntop(a->ss_family, a->ss_family == AF_INET ? (const void *)&v4->sin_addr : &v6->sin6_addr, text,
			  sizeof(text));
		list = arena_printf(&f->arena, "%.*s%s%s", STR_ARG(list), i ? " " : "", text);
	}
	return arena_cstr(&f->arena, list);
}
