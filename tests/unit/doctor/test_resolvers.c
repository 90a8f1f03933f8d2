/* test_resolvers.c - can the world be asked from here? The library that asks DNS is played. */
#include "source.h"

#include "posthouse/dns_library.h"

#include "../config/fixture.h"

#include <sys/socket.h>

struct dns {
	bool world;
};

static struct {
	struct dns *of;
	struct str name;
	dns_found_fn done;
	void *ctx;
} last; /* question */

struct dns *dns_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a, struct verdict *why_out)
{
	struct dns *d = ARENA_NEW(a, struct dns);

	*why_out = ok();
	d->world = str_eq(options->resolver, S("recursive"));
	return d;
}

void dns_close(struct dns *d)
{
}

struct dns_lookup *dns_ask(struct dns *d, struct str name, unsigned type, uint64_t limit_ms, dns_found_fn done, void *ctx)
{
	last.of = d;
	last.name = name;
	last.done = done;
	last.ctx = ctx;
	return NULL;
}

/* There is a way to every address. */
int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t n)
{
	return 0;
}

static void on_news(struct source *s)
{
}

/* Who is asked for the world's view when the root servers have answered so? */
static bool asks_world(struct dns_found found)
{
	struct config *c = fixture_good(HOST CERT);
	const struct doctor_options o = { 0 };
	const struct doctor_source none = { 0 };
	struct source s = { .config = c, .doctor = doctor_new(c, &o, &none), .news = on_news };
	const struct dns_question q = { .view = VIEW_WORLD, .name = S("example.org"), .type = DNS_SOA };
	struct fact_dns answer = { 0 };
	bool world;

	resolvers_open(&s, S(""));
	assert_true(last.of->world && str_eq(last.name, S("net")));
	resolvers_ask(&s, &q, &answer);
	last.done(last.ctx, &found);
	assert_true(str_eq(last.name, S("example.org")));
	world = last.of->world;
	assert_true(s.world_known && s.world_possible == world);
	resolvers_close(&s);
	doctor_free(s.doctor);
	config_free(c);
	return world;
}

static void test_root(void **state)
{
	static const struct dns_record ns = { .type = DNS_NS, .name = S("a.gtld-servers.net") };
	const struct dns_record *records[] = { &ns };

	assert_true(asks_world((struct dns_found){ .verdict = ok(), .exists = true, .records = records, .n = 1 }));
	/* port 53 is closed */
	assert_false(asks_world((struct dns_found){ .verdict = temp(451, S("4.4.3"), S("no answer")) }));
	/* something on the way answers in place of the root servers */
	assert_false(asks_world((struct dns_found){ .verdict = ok() }));
	assert_false(asks_world((struct dns_found){ .verdict = ok(), .exists = true }));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_root) };

	return cmocka_run_group_tests_name("doctor_resolvers", tests, fixture_open, fixture_close);
}
