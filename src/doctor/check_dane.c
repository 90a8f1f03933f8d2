/* check_dane.c - TLSA records of the mail servers that take our replies (RFC 7672): do they fit the certificates there? */
#include "txt.h"

#include "posthouse/tls_policy.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define SERVERS 2 /* of strangers that are connected to */

/* The part of a certificate that a TLSA record is about (RFC 6698 2.1.2). */
static struct str selected(struct arena *a, X509 *x, unsigned selector)
{
	unsigned char *der = NULL;
	int n = selector == 0 ? i2d_X509(x, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	struct str copy = n > 0 ? arena_str(a, str_make(der, (size_t)n)) : S("");

	OPENSSL_free(der);
	return copy;
}

static bool matches(struct arena *a, X509 *x, struct str tlsa)
{
	unsigned selector = (unsigned char)tlsa.p[1], matching = (unsigned char)tlsa.p[2], n = 0;
	struct str data = selected(a, x, selector), wanted = str_from(tlsa, 3);
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (selector > 1 || matching > 2)
		return false;
	if (matching == 0)
		return str_eq(data, wanted);
	if (EVP_Digest(data.p, data.n, digest, &n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) != 1)
		return false;
	return str_eq(str_make(digest, n), wanted);
}

/* Usage 3 is the server's own certificate, 2 one above it; 0 and 1 are not for mail (RFC 7672 3.1.3). */
static bool chain_fits(struct arena *a, struct str pem, struct str tlsa)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	unsigned usage = (unsigned char)tlsa.p[0];
	bool fits = false;
	X509 *x;

	for (size_t i = 0; bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; i++) {
		if ((usage == 3 && i == 0) || (usage == 2 && i > 0))
			fits = fits || matches(a, x, tlsa);
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	return fits;
}

/* A record for the certificate that is there: "3 1 1" and the hash of its key. */
static struct str proposal(struct doctor *d, struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	struct str key = x ? selected(doctor_arena(d), x, 1) : S(""), text = S("3 1 1 ");
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (key.n > 0 && EVP_Digest(key.p, key.n, digest, &n, EVP_sha256(), NULL) == 1)
		for (unsigned i = 0; i < n; i++)
			text = SAY("%.*s%02x", STR_ARG(text), digest[i]);
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return text;
}

static void judge_chain(struct doctor *d, struct str domain, struct str host, const struct fact_dns *tlsa, struct str pem)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .domain = domain, .subject = host };

	for (size_t i = 0; i < tlsa->n; i++)
		if (tlsa->records[i].data.n > 3 && chain_fits(doctor_arena(d), pem, tlsa->records[i].data)) {
			finding_ok(d, domain, host, S("has a certificate that fits its TLSA record"));
			return;
		}
	f.text = S("has a certificate that fits none of its TLSA records");
	f.remedy.text = S("Its owner has to publish, before each change of the key:");
	f.remedy.records = entry_of(d, "TLSA", SAY("_25._tcp.%.*s", STR_ARG(host)), proposal(d, pem), S(""));
	f.remedy.records_n = 1;
	finding_add(d, &f);
}

/* A server that has TLSA records in a signed zone. */
static void judge_server(struct doctor *d, struct str domain, struct str host, const struct fact_dns *tlsa)
{
	const struct fact_dns *v4 = facts_dns(d, VIEW_WORLD, host, DNS_A);
	const struct fact_dns *at = v4->n > 0 ? v4 : facts_dns(d, VIEW_WORLD, host, DNS_AAAA);
	const struct fact_probe *answer;
	struct probe p = { .port = (unsigned)doctor_config(d)->delivery.port, .tls = PROBE_STARTTLS, .tls_name = host };

	if (at->n == 0)
		return;
	p.host = at->records[0].text;
	answer = facts_probe(d, &p);
	if (answer->state == FACT_THERE && answer->tls && answer->chain_pem.n > 0)
		judge_chain(d, domain, host, tlsa, answer->chain_pem);
	else if (answer->state != FACT_PENDING)
		finding_unknown(d, domain, host, S("does not show its certificate"));
}

/* RFC 7672 3.1.3: of usages other than 2 and 3 mail uses none. Senders take the server for one with TLS of any kind. */
static bool is_for_mail(const struct fact_dns *tlsa)
{
	for (size_t i = 0; i < tlsa->n; i++)
		if (tlsa->records[i].data.n > 0 &&
		    (tlsa->records[i].data.p[0] == TLSA_DANE_TA || tlsa->records[i].data.p[0] == TLSA_DANE_EE))
			return true;
	return false;
}

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str host, struct str text)
{
	finding_add(d, &(struct doctor_finding){ .result = result, .domain = domain, .subject = host, .text = text });
}

void check_dane_mx(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	size_t calls = 0;

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name;
		const struct fact_dns *mx = facts_dns(d, VIEW_WORLD, domain, DNS_MX), *tlsa;

		for (size_t j = 0; j < mx->n && !s->domains[i].foreign; j++) {
			struct str host = mx->records[j].text;

			if (host.n == 0)
				continue;
			tlsa = facts_dns(d, VIEW_WORLD, SAY("_25._tcp.%.*s", STR_ARG(host)), DNS_TLSA);
			if (tlsa->n > 0 && !tlsa->secure)
				say(d, DOCTOR_ADVICE, domain, host,
				    S("has TLSA records in a zone that is not signed: nobody uses them"));
			else if (tlsa->n > 0 && !is_for_mail(tlsa))
				say(d, DOCTOR_WARNING, domain, host,
				    S("has TLSA records of which mail can use none: usages 2 and 3 are for mail"));
			else if (tlsa->n > 0 && calls++ < SERVERS)
				judge_server(d, domain, host, tlsa);
		}
	}
}
