/* host_status.c - what connections have shown about addresses: for some minutes, which do not answer or fail in TLS; for a day,
 * which offer an extension that they do not handle. There is one slot per hash: a second fact in a slot replaces the first, which
 * only costs one attempt more. */
#include "host_status.h"
#include "relay.h"

#include "posthouse/units.h"
#include "posthouse/clock.h"
#include "posthouse/hash.h"

enum {
	HOST_STATUS_MS = 600000,    /* how long a fact is remembered … */
	HOST_EXTENSION_MS = DAY_MS, /* … and one about an extension */
};

enum { SILENT_FAMILY = 3 }; /* after so many addresses in a row without an answer, the family does not seem to work here */

static uint64_t key_of(enum host_fact kind, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	bool six = address->ss_family == AF_INET6;
	struct str bytes = six ? str_make(&v6->sin6_addr, sizeof v6->sin6_addr) : str_make(&v4->sin_addr, sizeof v4->sin_addr);

	return hash_numbers(hash_text(bytes), (uint64_t)kind << 16 | (six ? v6->sin6_port : v4->sin_port));
}

void host_status_note_tls(struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address, enum tls_result why)
{
	uint64_t key = key_of(kind, address), ms = kind >= HOST_NO_CHUNKING ? HOST_EXTENSION_MS : HOST_STATUS_MS;

	relay->host_status[key % HOST_STATUS_SLOTS] =
		(struct host_status_slot){ .key = key, .until = clock_mono_ms() + ms, .tls_result = why };
}

void host_status_note(struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address)
{
	host_status_note_tls(relay, kind, address, TLS_RESULT_NONE);
}

enum tls_result host_status_tls_result(const struct relay *relay, const struct sockaddr_storage *address)
{
	return host_status_has(relay, HOST_NO_TLS, address)
		       ? relay->host_status[key_of(HOST_NO_TLS, address) % HOST_STATUS_SLOTS].tls_result
		       : TLS_RESULT_NONE;
}

bool host_status_has(const struct relay *relay, enum host_fact kind, const struct sockaddr_storage *address)
{
	uint64_t key = key_of(kind, address);
	const struct host_status_slot *slot = &relay->host_status[key % HOST_STATUS_SLOTS];

	return slot->key == key && slot->until > clock_mono_ms();
}

static struct family *family_of(struct relay *relay, const struct sockaddr_storage *address)
{
	return &relay->families[address->ss_family == AF_INET6];
}

void host_status_silent(struct relay *relay, const struct sockaddr_storage *address)
{
	struct family *f = family_of(relay, address);

	host_status_note(relay, HOST_DEAD, address);
	f->silent++;
	f->until = clock_mono_ms() + HOST_STATUS_MS;
}

void host_status_answered(struct relay *relay, const struct sockaddr_storage *address)
{
	uint64_t key = key_of(HOST_DEAD, address);
	struct host_status_slot *slot = &relay->host_status[key % HOST_STATUS_SLOTS];

	if (slot->key == key)
		slot->until = 0;
	family_of(relay, address)->silent = 0;
}

bool host_status_doubts(struct relay *relay, const struct sockaddr_storage *address)
{
	const struct family *f = family_of(relay, address);

	return (f->silent >= SILENT_FAMILY && f->until > clock_mono_ms()) || host_status_has(relay, HOST_DEAD, address);
}
