/* names.c */
#include "names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PACKET_MAX = 512, HEADER = 12 };

/* A packet that grows. */
struct packet {
	unsigned char bytes[PACKET_MAX];
	size_t n;
};

static void put16(struct packet *p, unsigned v)
{
	p->bytes[p->n++] = (unsigned char)(v >> 8);
	p->bytes[p->n++] = (unsigned char)v;
}

static void put_name(struct packet *p, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");

		p->bytes[p->n++] = (unsigned char)n;
		memcpy(p->bytes + p->n, name, n);
		p->n += n;
		name += n + (name[n] == '.');
	}
	p->bytes[p->n++] = 0;
}

static void put_record(struct names *s, struct packet *p, unsigned i)
{
	size_t length_at;

	put_name(p, s->records[i].owner);
	put16(p, s->records[i].type);
	put16(p, 1);
	put16(p, 0);
	put16(p, 60);
	length_at = p->n;
	put16(p, 0);
	if (s->records[i].type == NAMES_MX) {
		put16(p, s->records[i].preference);
		put_name(p, s->records[i].data);
	} else {
		int family = s->records[i].type == NAMES_A ? AF_INET : AF_INET6;

		if (inet_pton(family, s->records[i].data, p->bytes + p->n) != 1)
			abort();
		p->n += family == AF_INET ? 4 : 16;
	}
	p->bytes[length_at + 1] = (unsigned char)(p->n - length_at - 2);
}

/* The question's name as text; its end in the packet. */
static size_t read_name(const unsigned char *q, size_t size, char *to, size_t room)
{
	size_t at = HEADER, n = 0;

	while (at < size && q[at] != 0 && at + q[at] + 1 < size && n + q[at] + 2 < room) {
		memcpy(to + n, q + at + 1, q[at]);
		n += q[at];
		to[n++] = '.';
		at += q[at] + 1u;
	}
	to[n ? n - 1 : 0] = '\0';
	return at + 1;
}

static void answer(struct names *s, const unsigned char *q, size_t size, struct packet *p)
{
	char name[300];
	size_t end = read_name(q, size, name, sizeof name);
	unsigned type = (unsigned)q[end] << 8 | q[end + 1], known = 0, answers = 0;

	memcpy(p->bytes, q, end + 4);
	p->n = end + 4;
	for (unsigned i = 0; i < s->n; i++) {
		if (strcasecmp(s->records[i].owner, name) != 0)
			continue;
		known++;
		if (s->records[i].type != type || s->broken)
			continue;
		put_record(s, p, i);
		answers++;
	}
	p->bytes[2] = 0x84 | (q[2] & 1);
	p->bytes[3] = (unsigned char)(0x80 | (s->broken ? 2 : known ? 0 : 3));
	memset(p->bytes + 4, 0, 8);
	p->bytes[5] = 1;
	p->bytes[7] = (unsigned char)answers;
}

static void on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
	static char bytes[PACKET_MAX];

	*buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_question(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct names *s = udp->data;
	struct packet p = { .n = 0 };
	uv_buf_t out;

	if (n < HEADER + 5 || !from)
		return;
	s->asked++;
	if (s->silent)
		return;
	answer(s, (const unsigned char *)buf->base, (size_t)n, &p);
	out = uv_buf_init((char *)p.bytes, (unsigned)p.n);
	uv_udp_try_send(udp, &out, 1, from);
}

void names_open(struct names *s, uv_loop_t *loop)
{
	struct sockaddr_in a;
	int n = sizeof a;

	uv_ip4_addr("127.0.0.1", 0, &a);
	uv_udp_init(loop, &s->udp);
	s->udp.data = s;
	if (uv_udp_bind(&s->udp, (struct sockaddr *)&a, 0) != 0 || uv_udp_getsockname(&s->udp, (struct sockaddr *)&a, &n) != 0 ||
	    uv_udp_recv_start(&s->udp, on_alloc, on_question) != 0)
		abort();
	s->port = ntohs(a.sin_port);
	s->open = true;
}

static void add(struct names *s, const char *owner, unsigned type, unsigned preference, const char *data)
{
	if (s->n == NAMES_RECORDS_MAX)
		abort();
	s->records[s->n].owner = owner;
	s->records[s->n].type = type;
	s->records[s->n].preference = preference;
	s->records[s->n++].data = data;
}

void names_add_mx(struct names *s, const char *owner, unsigned preference, const char *host)
{
	add(s, owner, NAMES_MX, preference, host);
}

void names_add_address(struct names *s, const char *owner, const char *address)
{
	add(s, owner, strchr(address, ':') ? NAMES_AAAA : NAMES_A, 0, address);
}

void names_close(struct names *s)
{
	uv_close((uv_handle_t *)&s->udp, NULL);
	s->open = false;
}
