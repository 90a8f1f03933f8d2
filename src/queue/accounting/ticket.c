/* ticket.c - see ticket.h. */
#include "accounting/ticket.h"

#include "posthouse/buf.h"
#include "posthouse/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAC_AT   (2 * sizeof(uint64_t))
#define MAC_SIZE (TICKET_SIZE - MAC_AT)

/* The lengths are among the numbers, so that no two tickets are about the same bytes. */
static bool make_mac(struct str secret, const struct ticket *t, unsigned char mac[MAC_SIZE])
{
	const uint64_t numbers[] = { t->worker, t->incarnation, t->session, t->rights, t->stamp, t->login.n, t->device.n };
	struct buf all; /* not text by printf, which would leave out what is behind a NUL */
	bool made;

	buf_init(&all, sizeof numbers + t->login.n + t->device.n);
	buf_add(&all, str_make(numbers, sizeof numbers));
	buf_add(&all, t->login);
	buf_add(&all, t->device);
	made = secret.n > 0 &&
	       HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)all.p, all.n, mac, NULL) != NULL;
	buf_fini(&all);
	return made;
}

struct str ticket_make(struct str secret, const struct ticket *t, char room[TICKET_SIZE])
{
	memcpy(room, &t->rights, sizeof t->rights);
	memcpy(room + sizeof t->rights, &t->stamp, sizeof t->stamp);
	if (!make_mac(secret, t, (unsigned char *)room + MAC_AT))
		return S("");
	return str_make(room, TICKET_SIZE);
}

bool ticket_fits(struct str secret, struct str ticket, struct ticket *t)
{
	unsigned char mac[MAC_SIZE];

	if (ticket.n != TICKET_SIZE)
		return false;
	memcpy(&t->rights, ticket.p, sizeof t->rights);
	memcpy(&t->stamp, ticket.p + sizeof t->rights, sizeof t->stamp);
	return make_mac(secret, t, mac) && same_secret(str_from(ticket, MAC_AT), str_make((char *)mac, MAC_SIZE));
}
