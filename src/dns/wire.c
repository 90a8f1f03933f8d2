/* wire.c - the parser of DNS answers (RFC 1035 4.1): strict, bounded, for packets that can come from an attacker. */
#include "posthouse/dns.h"

#define RECORDS_MAX    512 /* of one answer; a packet with more is treated as malformed */
#define NAME_OCTETS    255 /* RFC 1035 3.1, with length octets and root */
#define LABEL_OCTETS   63
#define NAME_TEXT      (4 * NAME_OCTETS) /* every octet as \DDD */
#define POINTER_OCTETS 2

/* Reading past the end sets `bad` for good and gives zeros. */
struct reader {
	struct str packet;
	size_t at;
	bool bad;
};

static unsigned read_u8(struct reader *r)
{
	if (r->at >= r->packet.n) {
		r->bad = true;
		return 0;
	}
	return (unsigned char)r->packet.p[r->at++];
}

static unsigned read_u16(struct reader *r)
{
	unsigned high = read_u8(r);

	return high << 8 | read_u8(r);
}

static uint32_t read_u32(struct reader *r)
{
	uint32_t high = read_u16(r);

	return high << 16 | read_u16(r);
}

static struct str read_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->packet.n - r->at) {
		r->bad = true;
		return str_make("", 0);
	}
	r->at += n;
	return str_make(r->packet.p + r->at - n, n);
}

/* One octet of a label as text. Octets that no host name has are escaped (RFC 1035 5.1), so each dot in the text separates
 * labels. */
static size_t put_octet(char *to, unsigned octet)
{
	char c = ascii_lower((char)octet);

	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
		to[0] = c;
		return 1;
	}
	to[0] = '\\';
	to[1] = (char)('0' + octet / 100);
	to[2] = (char)('0' + octet / 10 % 10);
	to[3] = (char)('0' + octet % 10);
	return 4;
}

/* Follow a pointer (RFC 1035 4.1.4). It must point to before the labels that led to it, so that the jumps end. */
static void follow(struct reader *r, unsigned high, size_t *segment)
{
	size_t target = (high & 0x3f) << 8 | read_u8(r);

	if (target >= *segment)
		r->bad = true;
	r->at = *segment = target;
}

/* A domain name (a NULL: it is only passed by). The reader is then at the byte after the name, wherever its pointers led. */
static struct str read_name(struct arena *a, struct reader *r)
{
	char text[NAME_TEXT];
	size_t n = 0, octets = 1, segment = r->at, after = 0;
	unsigned length;

	while (!r->bad && (length = read_u8(r)) != 0) {
		if (length >= 0xc0) {
			if (after == 0)
				after = r->at + POINTER_OCTETS - 1;
			follow(r, length, &segment);
			continue;
		}
		octets += 1 + length;
		if (length > LABEL_OCTETS || octets > NAME_OCTETS) {
			r->bad = true;
			break;
		}
		if (n > 0)
			text[n++] = '.';
		for (unsigned i = 0; i < length; i++)
			n += put_octet(text + n, read_u8(r));
	}
	if (after > 0)
		r->at = after;
	return r->bad || !a ? str_make("", 0) : arena_str(a, str_make(text, n));
}

/* RFC 1035 3.3.13. A malformed one says nothing; the answer around it still counts. */
static void read_soa(struct arena *a, struct str packet, size_t at, struct dns_record *record)
{
	struct reader r = { .packet = packet, .at = at };

	record->name = read_name(a, &r);
	read_name(NULL, &r); /* the mailbox of who is responsible */
	record->serial = read_u32(&r);
	read_u32(&r); /* refresh */
	read_u32(&r); /* retry */
	read_u32(&r); /* expire */
	record->minimum = read_u32(&r);
	if (!r.bad && r.at == packet.n)
		return;
	record->name = str_make("", 0);
	record->serial = record->minimum = 0;
}

/* The data of a record must have exactly the announced length. */
static void read_data(struct arena *a, struct reader *r, struct dns_record *record)
{
	size_t length = read_u16(r), end = r->at + length;

	record->name = record->data = str_make("", 0);
	switch (record->type) {
	case DNS_MX:
		record->preference = read_u16(r);
		record->name = read_name(a, r);
		break;
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR: record->name = read_name(a, r); break;
	case DNS_SRV:
		record->preference = read_u16(r);
		record->weight = read_u16(r);
		record->port = read_u16(r);
		record->name = read_name(a, r);
		break;
	case DNS_SOA:
		read_soa(a, str_head(r->packet, end), r->at, record);
		record->data = read_bytes(r, length);
		break;
	default: record->data = read_bytes(r, length); break;
	}
	if (r->at != end || (record->type == DNS_A && length != 4) || (record->type == DNS_AAAA && length != 16))
		r->bad = true;
}

static struct dns_record *read_section(struct arena *a, struct reader *r, size_t n)
{
	struct dns_record *records = ARENA_ARRAY(a, struct dns_record, n ? n : 1);

	for (size_t i = 0; i < n && !r->bad; i++) {
		records[i].owner = read_name(a, r);
		records[i].type = read_u16(r);
		records[i].class = read_u16(r);
		records[i].ttl = read_u32(r);
		read_data(a, r, &records[i]);
	}
	return records;
}

/* The authority section of a negative answer has the zone's SOA (RFC 2308 2.2), that of a referral only name servers. */
static bool is_referral(const struct dns_record *authority, size_t n)
{
	bool servers = false;

	for (size_t i = 0; i < n; i++) {
		if (authority[i].type == DNS_SOA)
			return false;
		servers = servers || authority[i].type == DNS_NS;
	}
	return servers;
}

/* How long it can be remembered that there is nothing (RFC 2308 5). */
static uint32_t negative_ttl(const struct dns_record *authority, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (authority[i].type == DNS_SOA)
			return authority[i].ttl < authority[i].minimum ? authority[i].ttl : authority[i].minimum;
	return 0;
}

bool dns_parse(struct arena *a, struct str packet, struct dns_answer *answer_out)
{
	struct reader r = { .packet = packet, .at = 2 }; /* after the id, which the caller checks */
	unsigned flags = read_u16(&r), questions = read_u16(&r), answers = read_u16(&r), authorities = read_u16(&r);
	struct dns_record *authority;

	read_u16(&r); /* the number of additional records, which are not read */
	*answer_out = (struct dns_answer){ .rcode = flags & 0x0f };
	/* an answer (QR) to a query (opcode 0), complete (no TC) */
	if (r.bad || (flags & 0xfa00) != 0x8000 || questions > 1 || answers > RECORDS_MAX || authorities > RECORDS_MAX)
		return false;
	if (questions == 1) {
		read_name(a, &r);
		read_u32(&r); /* type and class */
	}
	answer_out->records = read_section(a, &r, answers);
	authority = read_section(a, &r, authorities);
	answer_out->n = answers;
	answer_out->negative_ttl = negative_ttl(authority, r.bad ? 0 : authorities);
	answer_out->referral = answers == 0 && is_referral(authority, authorities);
	return !r.bad;
}
