/* client.c - see client.h. */
#include "client.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <time.h>

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define KEEP(to, view) snprintf((to), sizeof(to), "%.*s", STR_ARG(view))

static void note(struct outcome *o, struct conversation_result r, uint64_t from)
{
	o->cpu_ns += cpu_ns() - from;
	o->steps++;
	o->code = r.verdict.code;
	KEEP(o->name, r.name);
	KEEP(o->device, r.device);
	KEEP(o->fault, r.fault);
	KEEP(o->misbound, r.misbound);
}

struct outcome plain_login(struct conversation *c, const char *user, const char *password)
{
	struct outcome o = { 0 };
	struct arena a = { 0 };
	struct str initial = arena_printf(&a, "%c%s%c%s", 0, user, 0, password);
	uint64_t from = cpu_ns();

	note(&o, conversation_start(c, "PLAIN", initial), from);
	arena_fini(&a);
	return o;
}

struct outcome checked_login(struct conversation *c, const char *user, const char *password)
{
	struct outcome o = { 0 };
	uint64_t from = cpu_ns();

	note(&o, conversation_check(c, str_of(user), str_of(password)), from);
	return o;
}

static struct str field(struct str message, char name)
{
	struct str part;

	while (str_split(&message, ',', &part))
		if (part.n > 2 && part.p[0] == name && part.p[1] == '=')
			return str_from(part, 2);
	return str_of("");
}

static struct str encode(struct arena *a, struct str bytes)
{
	char *text = arena_alloc(a, (bytes.n + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.p, (int)bytes.n);
	return str_of(text);
}

static void hmac(const unsigned char key[32], struct str text, unsigned char out[32])
{
	unsigned n;

	assert(HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, &n) && n == 32);
}

/* RFC 5802 section 3: the proof for an AuthMessage. */
static struct str proof(struct arena *a, const char *password, struct str salt, struct str iterations, struct str message)
{
	unsigned char bytes[64], salted[32], client[32], stored[32], signature[32];
	size_t padding = 0;
	uint64_t rounds;
	int n;

	assert(str_to_u64(iterations, &rounds) && salt.n <= sizeof(bytes));
	n = EVP_DecodeBlock(bytes, (const unsigned char *)salt.p, (int)salt.n);
	while (salt.p[salt.n - 1 - padding] == '=')
		padding++;
	PKCS5_PBKDF2_HMAC(password, -1, bytes, n - (int)padding, (int)rounds, EVP_sha256(), 32, salted);
	hmac(salted, S("Client Key"), client);
	SHA256(client, 32, stored);
	hmac(stored, message, signature);
	for (size_t i = 0; i < 32; i++)
		client[i] ^= signature[i];
	return encode(a, str_make(client, 32));
}

/* The client's last message. */
static struct str answer(struct arena *a, const char *header, struct str binding, struct str bare, struct str server,
			 const char *password)
{
	struct str bound = encode(a, arena_printf(a, "%s%.*s", header, STR_ARG(binding)));
	struct str without = arena_printf(a, "c=%.*s,r=%.*s", STR_ARG(bound), STR_ARG(field(server, 'r')));
	struct str message = arena_printf(a, "%.*s,%.*s,%.*s", STR_ARG(bare), STR_ARG(server), STR_ARG(without));

	return arena_printf(a, "%.*s,p=%.*s", STR_ARG(without),
			    STR_ARG(proof(a, password, field(server, 's'), field(server, 'i'), message)));
}

static struct outcome talk(struct conversation *c, const char *mechanism, const char *header, struct str binding,
			   const char *user, const char *password, bool late)
{
	struct outcome o = { 0 };
	struct arena a = { 0 };
	struct str bare = arena_printf(&a, "n=%s,r=0123456789", user), first = arena_printf(&a, "%s%.*s", header, STR_ARG(bare));
	struct conversation_result r;
	uint64_t from = cpu_ns();

	r = conversation_start(c, mechanism, late ? (struct str){ NULL, 0 } : first);
	note(&o, r, from);
	if (late && o.code == 334) {
		from = cpu_ns();
		r = conversation_step(c, first);
		note(&o, r, from);
	}
	if (o.code == 334) {
		struct str server = arena_str(&a, r.challenge), last = answer(&a, header, binding, bare, server, password);

		KEEP(o.salt, str_from(server, str_search(server, S(",s="))));
		from = cpu_ns();
		note(&o, conversation_step(c, last), from);
	}
	if (o.code == 334) {
		from = cpu_ns();
		note(&o, conversation_step(c, S("")), from);
	}
	arena_fini(&a);
	return o;
}

struct outcome scram_login(struct conversation *c, const char *mechanism, const char *header, struct str binding,
			   const char *user, const char *password)
{
	return talk(c, mechanism, header, binding, user, password, false);
}

struct outcome late_scram_login(struct conversation *c, const char *mechanism, const char *header, struct str binding,
				const char *user, const char *password)
{
	return talk(c, mechanism, header, binding, user, password, true);
}
