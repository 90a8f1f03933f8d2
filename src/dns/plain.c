/* plain.c - a question without EDNS to the configured name servers, for servers that do not answer the library: some drop
 * packets with an OPT record (RFC 6891 7 leaves it to the client to ask without), and some answer after the library has closed
 * its socket. One socket serves the whole question, so that a late answer to its first packet counts. This is not done with
 * DNSSEC, because nothing is validated here. Without EDNS an answer has at most 512 bytes. */
#include "library.h"

#include "posthouse/id.h"

#include <stdlib.h>

#define PLAIN_MAX   256 /* at once: each has a descriptor until its look-up ends at the latest */
#define HEAD_BYTES  12  /* RFC 1035 4.1.1 */
#define QUERY_BYTES 300
#define CLASS_IN    1

struct plain {
	struct dns_library *library;
	struct question *question; /* NULL: answered or cancelled */
	void (*answered)(struct question *u, struct str packet);
	uv_udp_t udp;
	uv_timer_t timer;
	unsigned parts, tries;
	unsigned char bytes[QUERY_BYTES];
	size_t n;
};

static void on_retry(uv_timer_t *timer);

/* RFC 1035 4.1.2. The name has at most 253 bytes, its labels 63. */
static void build(struct plain *p, struct str name, unsigned type)
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
	*to++ = (unsigned char)(type >> 8);
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
	p->library->plain_n--;
	uv_close((uv_handle_t *)&p->udp, on_part_closed);
	uv_close((uv_handle_t *)&p->timer, on_part_closed);
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *room)
{
	static char bytes[65536];

	*room = uv_buf_init(bytes, sizeof bytes);
}

static bool same_server(const struct dns_library *d, const struct sockaddr *from)
{
	for (size_t i = 0; i < d->servers_n; i++) {
		const struct sockaddr_in *a = (const void *)&d->servers[i], *b = (const void *)from;

		/* the port has the same place in an IPv6 address */
		if (same_address(&d->servers[i], (const void *)from) && a->sin_port == b->sin_port)
			return true;
	}
	return false;
}

/* RFC 5452 9.1: an answer has the number and the text of the question, and comes from a server that was asked. */
static bool answers(const struct plain *p, struct str packet, const struct sockaddr *from)
{
	struct str question = str_make((const char *)p->bytes + HEAD_BYTES, p->n - HEAD_BYTES);

	return packet.n >= p->n && memcmp(packet.p, p->bytes, 2) == 0 && (packet.p[2] & 0x80) != 0 &&
	       str_ieq(str_make(packet.p + HEAD_BYTES, p->n - HEAD_BYTES), question) && same_server(p->library, from);
}

static void answer(struct plain *p, struct str packet)
{
	struct question *u = p->question;

	p->question = NULL;
	u->plain = NULL;
	end(p);
	p->answered(u, packet);
}

static void on_packet(uv_udp_t *udp, ssize_t n, const uv_buf_t *room, const struct sockaddr *from, unsigned flags)
{
	struct plain *p = udp->data;
	struct str packet = str_make(room->base, n > 0 ? (size_t)n : 0);

	if (p->question && from && answers(p, packet, from))
		answer(p, packet);
}

/* Send the question to the next server: 1 s after the last one in the first round, then every 3 s. */
static void on_retry(uv_timer_t *timer)
{
	struct plain *p = timer->data;
	const struct sockaddr_storage *server = &p->library->servers[p->tries % p->library->servers_n];
	uv_buf_t bytes = uv_buf_init((char *)p->bytes, (unsigned)p->n);

	if (uv_now(p->library->base.loop) >= p->question->deadline) {
		answer(p, S(""));
		return;
	}
	(void)uv_udp_try_send(&p->udp, &bytes, 1, (const struct sockaddr *)server); /* a packet that is lost is sent again */
	p->tries++;
	uv_timer_start(timer, on_retry, p->tries < p->library->servers_n ? 1000 : 3000, 0);
}

bool plain_ask(struct question *u, void (*answered)(struct question *u, struct str packet))
{
	struct dns_library *d = u->library;
	struct plain *p;

	if (d->validates || d->servers_n == 0 || d->plain_n >= PLAIN_MAX || uv_now(d->base.loop) >= u->deadline)
		return false;
	p = NEW(struct plain);
	p->library = d;
	p->question = u;
	p->answered = answered;
	u->plain = p;
	build(p, u->name, u->type);
	uv_udp_init(d->base.loop, &p->udp);
	uv_timer_init(d->base.loop, &p->timer);
	p->udp.data = p->timer.data = p;
	p->parts = 2;
	d->plain_n++;
	on_retry(&p->timer); /* sending also binds the socket, to a port of the system's choice */
	uv_udp_recv_start(&p->udp, on_room, on_packet);
	return true;
}

void plain_cancel(struct question *u)
{
	struct plain *p = u->plain;

	u->plain = NULL;
	p->question = NULL;
	end(p);
}
