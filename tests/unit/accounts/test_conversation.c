/* test_conversation.c - Cyrus SASL as the login role uses it, without a loop: PLAIN, LOGIN's check, SCRAM, and what must not differ
 * between a wrong password and an unknown name. */
#include "unit.h"
#include "remove_tree.h"

#include "cache.h"
#include "cyrus.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char directory_path[64];
static struct directory *directory;

static void add_account(const char *name, const char *device, const char *password)
{
	struct arena a = { 0 };
	struct verdict v;
	struct accounts *accounts = accounts_open(directory_path, &v);
	const struct account *any;
	struct str verifier;

	assert_non_null(accounts);
	any = accounts_any(accounts, str_of(name));
	assert_int_equal(account_verifier(&a, any ? any->verifier : str_of(""), str_of(password), &verifier).class, OK);
	assert_int_equal(accounts_change(accounts, ACCOUNT_ADD, str_of(name), str_of(device), verifier, 0).class, OK);
	accounts_close(accounts);
	arena_fini(&a);
}

static int set_up(void **state)
{
	snprintf(directory_path, sizeof(directory_path), "/tmp/posthouse-login-XXXXXX");
	assert_non_null(mkdtemp(directory_path));
	add_account("alice@example.org", "", "wonder land");
	add_account("alice@example.org", "phone", "rabbit");
	add_account("bob@example.net", "", "builder");
	directory = directory_new(directory_path);
	assert_int_equal(directory_refresh(directory).class, OK);
	assert_int_equal(cyrus_start(directory, &(struct cfg_auth){ 0 }).class, OK);
	return 0;
}

static int tear_down(void **state)
{
	cyrus_stop();
	directory_free(directory);
	remove_tree(directory_path);
	return 0;
}

static struct conversation *begin(void)
{
	struct conversation_config config = {
		.service = "smtp", .hostname = "relay.example.org", .realm = S("example.org"), .tls_bits = 256
	};
	struct conversation *c = conversation_new(directory, &config);

	assert_non_null(c);
	return c;
}

static void assert_view(struct str got, const char *expected)
{
	assert_int_equal(got.n, strlen(expected));
	assert_memory_equal(got.p, expected, got.n);
}

static void test_plain(void **state)
{
	static const struct {
		struct str initial;
		uint16_t code;
		const char *name, *device;
	} rows[] = {
		{ S("\0alice\0wonder land"), 235, "alice@example.org", "" },
		{ S("\0Alice@Example.ORG\0wonder land"), 235, "alice@example.org", "" },
		{ S("alice\0alice@example.org\0wonder land"), 235, "alice@example.org", "" },
		{ S("\0alice/phone\0rabbit"), 235, "alice@example.org", "phone" },
		{ S("alice\0alice/phone\0rabbit"), 235, "alice@example.org", "phone" },
		{ S("\0bob@example.net\0builder"), 235, "bob@example.net", "" },
		{ S("\0bob\0builder"), 535, "bob@example.org", "" },    /* another realm */
		{ S("\0alice\0rabbit"), 535, "alice@example.org", "" }, /* the device's password */
		{ S("\0alice/phone\0wonder land"), 535, "alice@example.org", "phone" },
		{ S("\0alice/printer\0rabbit"), 535, "alice@example.org", "printer" },
		{ S("\0alice\0wrong"), 535, "alice@example.org", "" },
		{ S("\0nobody\0wrong"), 535, "nobody@example.org", "" },
		{ S("\0alice\0"), 535, "alice@example.org", "" },
		{ S("bob@example.net\0alice\0wonder land"), 535, "alice@example.org", "" }, /* acting for another */
		{ S("nobody\0alice\0wonder land"), 535, "alice@example.org", "" },
		{ S("alice/phone\0alice\0wonder land"), 535, "alice@example.org", "" },
		{ S("\0al ice\0wonder land"), 535, NULL, NULL },
		{ S("\0\0wonder land"), 535, NULL, NULL },
		{ S("\0alice"), 501, NULL, NULL },
		{ S("alice"), 501, NULL, NULL },
		{ S("\0alice\0wonder land\0"), 501, NULL, NULL },
		{ S("\0alice\0wonder land\0more"), 501, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conversation *c = begin();
		struct conversation_result r = conversation_start(c, "PLAIN", rows[i].initial);

		if (r.verdict.code != rows[i].code)
			print_message("row %zu: %d %.*s %.*s\n", i, r.verdict.code, STR_ARG(r.verdict.text), STR_ARG(r.fault));
		assert_int_equal(r.verdict.code, rows[i].code);
		assert_int_equal(r.verdict.class, rows[i].code == 235 ? OK : PERM);
		assert_int_equal(r.fault.n, 0);
		assert_view(r.name, rows[i].name ? rows[i].name : "");
		assert_view(r.device, rows[i].device ? rows[i].device : "");
		conversation_free(c);
	}
}

static void test_plain_without_initial(void **state)
{
	struct conversation *c = begin();
	struct conversation_result r = conversation_start(c, "PLAIN", (struct str){ NULL, 0 });

	assert_int_equal(r.verdict.class, OK);
	assert_int_equal(r.verdict.code, 334);
	assert_int_equal(r.challenge.n, 0);
	r = conversation_step(c, S("\0alice\0wonder land"));
	assert_int_equal(r.verdict.code, 235);
	assert_view(r.name, "alice@example.org");
	conversation_free(c);

	c = begin(); /* an initial response that is there but empty, and a cancelled dialogue */
	r = conversation_start(c, "PLAIN", S(""));
	assert_int_not_equal(r.verdict.code, 235);
	assert_int_not_equal(r.verdict.class, TEMP);
	conversation_free(c);
	c = begin();
	conversation_start(c, "PLAIN", (struct str){ NULL, 0 });
	conversation_free(c);
	conversation_free(begin());
}

static void test_check(void **state)
{
	static const struct {
		struct str user, password;
		uint16_t code;
		const char *device;
	} rows[] = {
		{ S("alice"), S("wonder land"), 235, "" },
		{ S("alice@example.org"), S("wonder land"), 235, "" },
		{ S("alice/phone"), S("rabbit"), 235, "phone" },
		{ S("alice"), S("wrong"), 535, "" },
		{ S("nobody"), S("wrong"), 535, "" },
		{ S(""), S("wrong"), 535, "" },
		{ S("alice"), S(""), 535, "" },
		{ S("alice"), S("wonder land\0"), 535, "" },
		{ S("alice\0"), S("wonder land"), 535, "" },
		{ S("@"), S("wonder land"), 535, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conversation *c = begin();
		struct conversation_result r = conversation_check(c, rows[i].user, rows[i].password);

		assert_int_equal(r.verdict.code, rows[i].code);
		assert_view(r.device, rows[i].device);
		assert_int_equal(r.fault.n, 0);
		conversation_free(c);
	}
}

/* ---- a SCRAM client, as small as can be (RFC 5802 section 3) ---- */
static struct str field(struct str message, char name)
{
	struct str part;

	while (str_split(&message, ',', &part))
		if (part.n > 2 && part.p[0] == name && part.p[1] == '=')
			return str_from(part, 2);
	return str_of("");
}

static struct str encode(struct arena *a, const unsigned char *bytes, size_t n)
{
	char *text = arena_alloc(a, (n + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
	return str_of(text);
}

static struct conversation_result scram(struct conversation *c, struct arena *a, const char *user, const char *password,
					struct str *salt_out)
{
	struct str bare = arena_printf(a, "n=%s,r=0123456789", user), server, without_proof, auth;
	struct conversation_result r = conversation_start(c, "SCRAM-SHA-256", arena_printf(a, "n,,%.*s", STR_ARG(bare)));
	unsigned char salt[64], salted[32], client[32], stored[32], signature[32];
	uint64_t iterations;
	size_t padding = 0;
	int salt_n;
	unsigned n;

	if (r.verdict.code != 334)
		return r;
	server = arena_str(a, r.challenge);
	*salt_out = field(server, 's');
	assert_true(str_to_u64(field(server, 'i'), &iterations));
	assert_true(salt_out->n <= 64);
	salt_n = EVP_DecodeBlock(salt, (const unsigned char *)salt_out->p, (int)salt_out->n);
	while (salt_out->p[salt_out->n - 1 - padding] == '=')
		padding++;
	PKCS5_PBKDF2_HMAC(password, -1, salt, salt_n - (int)padding, (int)iterations, EVP_sha256(), 32, salted);
	HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client, &n);
	SHA256(client, 32, stored);
	without_proof = arena_printf(a, "c=biws,r=%.*s", STR_ARG(field(server, 'r')));
	auth = arena_printf(a, "%.*s,%.*s,%.*s", STR_ARG(bare), STR_ARG(server), STR_ARG(without_proof));
	HMAC(EVP_sha256(), stored, 32, (const unsigned char *)auth.p, auth.n, signature, &n);
	for (size_t i = 0; i < 32; i++)
		client[i] ^= signature[i];
	return conversation_step(c, arena_printf(a, "%.*s,p=%.*s", STR_ARG(without_proof), STR_ARG(encode(a, client, 32))));
}

static void test_scram(void **state)
{
	struct arena a = { 0 };
	struct conversation *c = begin();
	struct str salt, phone_salt, printer_salt, nobody_salt, again_salt;
	struct conversation_result r = scram(c, &a, "alice", "wonder land", &salt);

	assert_int_equal(r.verdict.code, 235);
	assert_true(
		str_starts(r.challenge, S("v="))); /* the server's proof, for the client when nothing else speaks against it */
	assert_view(r.name, "alice@example.org");
	conversation_free(c);

	c = begin();
	r = scram(c, &a, "alice/phone", "rabbit", &phone_salt);
	assert_int_equal(r.verdict.code, 235);
	assert_view(r.device, "phone");
	conversation_free(c);

	c = begin();
	assert_int_equal(scram(c, &a, "alice", "wrong", &salt).verdict.code, 535);
	conversation_free(c);

	/* nothing tells a device or a name that does not exist from one that does */
	c = begin();
	assert_int_equal(scram(c, &a, "alice/printer", "wrong", &printer_salt).verdict.code, 535);
	conversation_free(c);
	assert_true(str_eq(salt, phone_salt));
	assert_true(str_eq(salt, printer_salt));
	c = begin();
	assert_int_equal(scram(c, &a, "nobody", "wrong", &nobody_salt).verdict.code, 535);
	conversation_free(c);
	c = begin();
	assert_int_equal(scram(c, &a, "nobody", "wrong", &again_salt).verdict.code, 535);
	conversation_free(c);
	assert_int_equal(nobody_salt.n, salt.n);
	assert_true(str_eq(nobody_salt, again_salt));
	arena_fini(&a);
}

static void test_other_mechanisms(void **state)
{
	static const struct {
		const char *mechanism;
		struct str initial;
		enum verdict_class class;
	} rows[] = {
		{ "CRAM-MD5", { NULL, 0 }, PERM },
		{ "LOGIN", { NULL, 0 }, PERM },
		{ "NONSENSE", { NULL, 0 }, PERM },
		{ "EXTERNAL", { NULL, 0 }, PERM },
		{ "ANONYMOUS", S("x"), PERM },
		{ "SCRAM-SHA-256", S("garbage"), PERM },
		{ "SCRAM-SHA-256", S("n,,n=,r="), PERM },
		{ "SCRAM-SHA-256", S("n,,n=\xff,r=abc"), PERM },
		{ "SCRAM-SHA-256", S("p=x,,n=a"), PERM },
		{ "SCRAM-SHA-256", S("n,,n=alice"), PERM },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conversation *c = begin();
		struct conversation_result r = conversation_start(c, rows[i].mechanism, rows[i].initial);

		if (r.verdict.class != rows[i].class)
			print_message("row %zu: %d %.*s; %.*s\n", i, r.verdict.code, STR_ARG(r.verdict.text), STR_ARG(r.fault));
		assert_int_equal(r.verdict.class, rows[i].class);
		conversation_free(c);
	}
}

static void test_can(void **state)
{
	struct str names[] = { S("PLAIN"), S("LOGIN"), S("SCRAM-SHA-256"), S("SCRAM-SHA-256-PLUS"), S("CRAM-MD5") };
	struct cfg_auth auth = { .mechanisms = { names, 4 } };
	struct verdict v;

	assert_int_equal(cyrus_can(&auth).class, OK);
	auth.mechanisms.n = 5;
	v = cyrus_can(&auth);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("CRAM-MD5")) < v.text.n);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t cost_of(struct str initial)
{
	struct conversation *c = begin();
	uint64_t from = cpu_ns(), cost;

	assert_int_equal(conversation_start(c, "PLAIN", initial).verdict.code, 535);
	cost = cpu_ns() - from;
	conversation_free(c);
	return cost;
}

/* The same work for a wrong password as for an unknown name or device. A shortcut would show as a hundredth of it; the processor's
 * own moods are why the least of several turns counts, and why the bound is no closer. */
static void test_same_time(void **state)
{
	struct str tried[] = { S("\0alice\0wrong"), S("\0nobody\0wrong"), S("\0alice/x\0wrong") };
	uint64_t least[3] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };

	for (int turn = 0; turn < 15; turn++) {
		for (size_t i = 0; i < 3; i++) {
			uint64_t cost = cost_of(tried[i]);

			least[i] = cost < least[i] ? cost : least[i];
		}
	}
	for (size_t i = 0; i < 3; i++) {
		assert_true(least[i] > 100000);
		assert_true(least[i] < least[0] * 3 / 2 && least[0] < least[i] * 3 / 2);
	}
}

#define THREADS 4
#define ROUNDS  10

static void *log_in_often(void *context)
{
	size_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct conversation_config config = {
			.service = "smtp", .hostname = "h", .realm = S("example.org"), .tls_bits = 256
		};
		struct conversation *c = conversation_new(directory, &config);

		wrong += !c || conversation_start(c, "PLAIN", i % 2 ? S("\0alice\0wonder land") : S("\0alice\0x")).verdict.code !=
				       (i % 2 ? 235 : 535);
		conversation_free(c);
	}
	return (void *)wrong;
}

/* While threads log in, the accounts change under them. */
static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	void *wrong;

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, NULL), 0);
	for (int i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), "user%d@example.org", i);
		add_account(name, "", "x");
		assert_int_equal(directory_refresh(directory).class, OK);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

static void test_cache(void **state)
{
	struct cache *c = cache_new(1000);
	struct cache_key key = cache_key_of(c, S("a@b"), S(""), S("secret")), other;

	assert_false(cache_has(c, &key, 1000));
	cache_put(c, &key, 1000);
	assert_true(cache_has(c, &key, 1000 + 1000 - 1));
	assert_false(cache_has(c, &key, 1000 + 1000));
	other = cache_key_of(c, S("a@b"), S(""), S("secret2"));
	assert_false(cache_has(c, &other, 1000));
	other = cache_key_of(c, S("a@b"), S("s"), S("ecret"));
	assert_false(cache_has(c, &other, 1000));
	other = cache_key_of(c, S("a@bs"), S(""), S("ecret"));
	assert_false(cache_has(c, &other, 1000));
	other = cache_key_of(c, S("a@b"), S(""), S("secret"));
	assert_true(cache_has(c, &other, 1000));
	for (int i = 0; i < 20000; i++) { /* bounded: far more than it holds */
		char name[32];

		snprintf(name, sizeof(name), "user%d@b", i);
		other = cache_key_of(c, str_of(name), S(""), S("secret"));
		cache_put(c, &other, 2000);
	}
	assert_true(cache_has(c, &other, 2000));
	cache_clear(c);
	assert_false(cache_has(c, &other, 2000));
	cache_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_without_initial),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_other_mechanisms),
		cmocka_unit_test(test_can),
		cmocka_unit_test(test_same_time),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests_name("conversation", tests, set_up, tear_down);
}
