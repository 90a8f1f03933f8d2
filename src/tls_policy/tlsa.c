/* tlsa.c - TLSA records: which of them mail can use (RFC 7672 3.1, RFC 6698 2.1). */
#include "posthouse/tls_policy.h"

/* Can it be DER of a certificate or a key: one SEQUENCE of exactly this length (X.690 8.1.3, definite form)? */
static bool is_sequence(struct str data)
{
	const unsigned char *p = (const unsigned char *)data.p;
	size_t octets, length = 0;

	if (data.n < 2 || p[0] != 0x30)
		return false;
	if (p[1] < 0x80)
		return data.n == 2u + p[1];
	octets = p[1] & 0x7fu;
	if (octets == 0 || octets > 3 || data.n < 2 + octets)
		return false;
	for (size_t i = 0; i < octets; i++)
		length = length << 8 | p[2 + i];
	return data.n == 2 + octets + length;
}

/* A digest has its one length; anything else is malformed, and so unusable (RFC 6698 4.1). */
static bool data_fit(const struct tlsa *t)
{
	switch (t->matching_type) {
	case TLSA_WHOLE: return is_sequence(t->data);
	case TLSA_SHA2_256: return t->data.n == 32;
	case TLSA_SHA2_512: return t->data.n == 64;
	default: return false;
	}
}

/* `out` has views of the data. False: mail cannot use the record: another usage, selector or matching type, or data that no
 * certificate can have. RFC 7672 3.1.3: PKIX-TA(0) and PKIX-EE(1) are not for mail, where no list of CAs is common to all. */
static bool read_record(struct str rdata, struct tlsa *out)
{
	if (rdata.n < 3 || rdata.n > TLSA_DATA_MAX)
		return false;
	*out = (struct tlsa){ .usage = (uint8_t)rdata.p[0],
			      .selector = (uint8_t)rdata.p[1],
			      .matching_type = (uint8_t)rdata.p[2],
			      .data = str_from(rdata, 3) };
	return (out->usage == TLSA_DANE_TA || out->usage == TLSA_DANE_EE) && out->selector <= TLSA_PUBLIC_KEY && data_fit(out);
}

enum tlsa_state tlsa_read_set(struct arena *a, const struct str *rdata, size_t n, const struct tlsa **out, size_t *n_out)
{
	size_t most = n < TLSA_RECORDS_MAX ? n : TLSA_RECORDS_MAX;
	struct tlsa *set = ARENA_ARRAY(a, struct tlsa, most + 1);

	*out = set;
	*n_out = 0;
	if (n == 0)
		return TLSA_NONE;
	for (size_t i = 0; i < most; i++)
		*n_out += read_record(rdata[i], &set[*n_out]);
	return *n_out > 0 ? TLSA_USABLE : TLSA_UNUSABLE;
}
