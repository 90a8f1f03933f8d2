/* plain.c - a question without EDNS to the configured name servers, for servers that do not answer the library: some drop what
 * has an OPT record (RFC 6891 7 leaves it to us to ask without), and some take longer to answer than the library keeps a socket
 * open. One socket for the whole question, so that a late answer to its first packet counts. Only without DNSSEC: nothing is
 * validated here. Without EDNS an answer has at most 512 bytes; one that was cut off is used as far as it goes. */
#include "internal.h"

#include "posthouse/id.h"

#include <stdlib.h>

#define PLAIN_MAX   256 /* at once: each has a descriptor for as long as the look-up may take */
#define HEAD_BYTES  12  /* RFC 1035 4.1.1 */
#define QUERY_BYTES 300
#define CLASS_IN    1

struct plain {
	struct dns *dns;
	struct query *query; /* NULL: given up */
	uv_udp_t udp;
	uv_timer_t timer;
	unsigned parts, tries;
	unsigned char bytes[QUERY_BYTES];
	size_t n;
};

static void on_retry(uv_timer_t *timer);

/* RFC 1035 4.1.2: the name is a host's, of at most 253 bytes. */
static void build(struct plain *p, struct str name, enum dns_type type)
{
	uint16_t id = (uint16_t)random_u64();
	unsigned char *to = p->bytes;
	struct str rest = name, label;

	*to++ = (unsigned char)(id >> 8);
	*to++ = (unsigned char)id;
	*to++ = 1; /* recursion desired */
	*to++ = 0;
	memcpy(to, "\0\1\0\0\0\0\0\0", 8); /* one question */
	to += 8;
	while (str_split(&rest, '.', &label)) {
		*to++ = (unsigned char)label.n;
		memcpy(to, label.p, label.n);
		to += label.n;
	}
	*to++ = 0;
	*to++ = 0;
	*to++ = (unsigned char)type;
	*to++ = 0;
	*to++ = CLASS_IN;
	p->n = (size_t)(to - p->bytes);
}

static void on_part_closed(uv_handle_t *h)
{
	struct plain *p = h->data;

	if (--p->parts == 0)
		free(p);
}

static void end(struct plain *p)
{
	p->dns->plain_n--;
	uv_close((uv_handle_t *)&p->udp, on_part_closed);
	uv_close((uv_handle_t *)&p->timer, on_part_closed);
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *room)
{
	static char bytes[65536];

	*room = uv_buf_init(bytes, sizeof bytes);
}

static bool same_server(const struct dns *d, const struct sockaddr *from)
{
	for (size_t i = 0; i < d->servers_n; i++) {
		const struct sockaddr_in *a4 = (const void *)&d->servers[i], *b4 = (const void *)from;
		const struct sockaddr_in6 *a6 = (const void *)&d->servers[i], *b6 = (const void *)from;

		if (d->servers[i].ss_family != from->sa_family)
			continue;
		if (from->sa_family == AF_INET
			    ? a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr
			    : a6->sin6_port == b6->sin6_port && memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0)
			return true;
	}
	return false;
}

/* Is it the answer to this question? RFC 5452 9.1: number, question, and who sends it. */
static bool answers(const struct plain *p, struct str packet, const struct sockaddr *from)
{
	struct str question = str_make((const char *)p->bytes + HEAD_BYTES, p->n - HEAD_BYTES);

	return packet.n >= p->n && memcmp(packet.p, p->bytes, 2) == 0 && (packet.p[2] & 0x80) != 0 &&
	       str_ieq(str_make(packet.p + HEAD_BYTES, p->n - HEAD_BYTES), question) && same_server(p->dns, from);
}

static void on_packet(uv_udp_t *udp, ssize_t n, const uv_buf_t *room, const struct sockaddr *from, unsigned flags)
{
	struct plain *p = udp->data;
	struct query *q = p->query;
	struct str packet = str_make(room->base, n > 0 ? (size_t)n : 0);

	if (!q || !from || !answers(p, packet, from))
		return;
	p->query = NULL;
	q->plain = NULL;
	end(p);
	query_answered_plainly(q, packet);
}

/* To each server in turn; with growing pauses. */
static void on_retry(uv_timer_t *timer)
{
	struct plain *p = timer->data;
	const struct sockaddr_storage *server = &p->dns->servers[p->tries % p->dns->servers_n];
	uv_buf_t bytes = uv_buf_init((char *)p->bytes, (unsigned)p->n);

	(void)uv_udp_try_send(&p->udp, &bytes, 1, (const struct sockaddr *)server); /* what is lost is sent again */
	p->tries++;
	uv_timer_start(timer, on_retry, p->tries < p->dns->servers_n ? 1000 : 3000, 0);
}

bool plain_ask(struct query *q)
{
	struct dns *d = q->lookup->dns;
	struct plain *p;

	if (d->validates || d->servers_n == 0 || d->plain_n >= PLAIN_MAX || uv_now(d->base.loop) >= q->lookup->deadline)
		return false;
	p = NEW(struct plain);
	p->dns = d;
	p->query = q;
	q->plain = p;
	build(p, q->name, q->type);
	uv_udp_init(d->base.loop, &p->udp);
	uv_timer_init(d->base.loop, &p->timer);
	p->udp.data = p->timer.data = p;
	p->parts = 2;
	d->plain_n++;
	on_retry(&p->timer); /* binds it to a port of the system's choice */
	uv_udp_recv_start(&p->udp, on_room, on_packet);
	return true;
}

void plain_cancel(struct query *q)
{
	struct plain *p = q->plain;

	q->plain = NULL;
	p->query = NULL;
	end(p);
}
