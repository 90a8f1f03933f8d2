/* test_sample.c - etc/posthouse.conf: it loads, names every key, and the values in its comments are the defaults. */
#include "fixture.h"

#include "schema.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *source_root;
static char *sample;

/* Replace every `from` by `to`. */
static char *replace(const char *text, const char *from, const char *to)
{
	struct buf b;
	struct str rest = str_of(text);
	char *result;

	buf_init(&b, 1 << 20);
	for (;;) {
		size_t at = str_search(rest, str_of(from));

		buf_add(&b, str_head(rest, at));
		if (at == rest.n)
			break;
		buf_add(&b, str_of(to));
		rest = str_from(rest, at + strlen(from));
	}
	result = strndup(b.p + b.from, b.n);
	buf_fini(&b);
	return result;
}

/* The sample with the settings in its // comments made real. */
static char *uncommented(void)
{
	char *lines = replace(sample, "\n//", "\n");

	return lines;
}

static void names_every_key(void **state)
{
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		char plain[128], as_file[128];

		snprintf(plain, sizeof(plain), "%.*s = ", STR_ARG(schema_leaf(k)));
		snprintf(as_file, sizeof(as_file), "%.*s_file = ", STR_ARG(schema_leaf(k)));
		if (!(k->flags & FILLED) && !strstr(sample, plain) && !(k->type == CFG_SECRET && strstr(sample, as_file)))
			fail_msg("%s is not in the sample", k->path);
	}
}

/* Is the row's key set in the tree? Members of lists are looked for in the first two elements: some exclude each other. */
static bool is_set(config_t *tree, const struct key *k)
{
	static const char *const elements[] = { ".[0]", ".[1]" };
	bool found = false;

	for (size_t i = 0; i < 2 && !found; i++) {
		char *path = replace(k->path, "[]", elements[i]), as_file[160];

		snprintf(as_file, sizeof(as_file), "%s_file", path);
		found = config_lookup(tree, path) || (k->type == CFG_SECRET && config_lookup(tree, as_file));
		free(path);
	}
	return found;
}

/* Not only as a word somewhere: with the comments made real, each key is where it belongs. */
static void keys_in_place(void **state)
{
	char *text = uncommented();
	config_t tree;

	config_init(&tree);
	if (!config_read_string(&tree, text))
		fail_msg("line %d: %s", config_error_line(&tree), config_error_text(&tree));
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];

		if (k->flags & FILLED)
			continue;
		if (!is_set(&tree, k))
			fail_msg("%s", k->path);
	}
	config_destroy(&tree);
	free(text);
}

/* The manual's examples of groups and of lists of groups parse, and have only keys that there are. */
static void examples_of_groups(void **state)
{
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		char text[1024];
		const config_setting_t *value;
		config_t tree;

		if (!k->example || (k->type != CFG_GROUP && k->type != CFG_LIST))
			continue;
		config_init(&tree);
		snprintf(text, sizeof(text), "value = %s;", k->example);
		if (!config_read_string(&tree, text))
			fail_msg("%s: %s", k->path, config_error_text(&tree));
		value = config_lookup(&tree, "value");
		fixture_check_members(value, str_of(k->path));
		config_destroy(&tree);
	}
}

static struct config *load_here(const char *text)
{
	char *here = replace(text, "/etc/posthouse", fixture_dir());
	struct config *c = fixture_good(here);

	free(here);
	return c;
}

static void loads(void **state)
{
	struct config *c = load_here(sample);

	assert_true(str_eq(c->hostname, S("relay.example.org")));
	assert_int_equal(c->upstreams_n, 1);
	assert_true(str_eq(c->upstreams[0].password, S("s3cret-of-the-upstream")));
	config_free(c);
}

/* Values of plain keys, printed. */
static void print_row(struct buf *b, const struct key *k, const struct config *c)
{
	buf_init(b, 65536);
	value_print(b, k, c);
}

static void comments_are_defaults(void **state)
{
	char *text = uncommented();
	struct config *active = load_here(sample), *all = load_here(text);

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		struct buf a, b;

		if (!k->fallback || k->type == CFG_LIST || strstr(k->path, "[]"))
			continue;
		print_row(&a, k, active);
		print_row(&b, k, all);
		if (!str_eq(buf_view(&a), buf_view(&b)))
			fail_msg("%s: %.*s, default %.*s", k->path, STR_ARG(buf_view(&b)), STR_ARG(buf_view(&a)));
		buf_fini(&a);
		buf_fini(&b);
	}
	assert_int_equal(all->listen_n, active->listen_n);
	for (size_t i = 0; i < all->listen_n; i++) {
		assert_int_equal(all->listen[i].port, active->listen[i].port);
		assert_int_equal(all->listen[i].tls, active->listen[i].tls);
		assert_int_equal(all->listen[i].max_connections, active->listen[i].max_connections);
	}
	assert_int_equal(all->upstreams[0].port, active->upstreams[0].port);
	assert_int_equal(all->upstreams[0].connections, active->upstreams[0].connections);
	assert_true(str_eq(all->upstreams[0].profile, S("gmail")));
	assert_true(str_eq(all->upstreams[0].host, active->upstreams[0].host)); /* what is said goes before the profile */
	config_free(active);
	config_free(all);
	free(text);
}

static int open_sample(void **state)
{
	char path[1024], *text;

	snprintf(path, sizeof(path), "%s/etc/posthouse.conf", source_root);
	sample = fixture_slurp(path);
	if (fixture_open(state) != 0)
		return -1;
	/* The files that the sample names. */
	text = fixture_slurp(fixture_path("chain.pem"));
	fixture_write("fullchain.pem", text, 0644);
	fixture_write("isp-ca.pem", text, 0644);
	fixture_write("bank-ca.pem", text, 0644);
	fixture_write("database-ca.pem", text, 0644);
	fixture_write("client.pem", text, 0644);
	fixture_write("root.key", ". 86400 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n",
		      0644);
	free(text);
	text = fixture_slurp(fixture_path("key.pem"));
	fixture_write("privkey.pem", text, 0600);
	fixture_write("client.key", text, 0600);
	free(text);
	fixture_write("isp.password", "s3cret-of-the-upstream\n", 0600);
	fixture_write("database.password", "s3cret-of-the-database\n", 0600);
	fixture_write("google.secret", "a secret of the application\n", 0600);
	fixture_write("spamhaus.key", "abcd1234\n", 0600);
	fixture_write("refresh.token", "a refresh token\n", 0600);
	mkdir(fixture_path("dkim"), 0700);
	text = fixture_slurp(fixture_path("rsa.key"));
	fixture_write("dkim/example.org.p1.key", text, 0600);
	free(text);
	return 0;
}

static int close_sample(void **state)
{
	free(sample);
	remove(fixture_path("dkim/example.org.p1.key"));
	return fixture_close(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_every_key), cmocka_unit_test(keys_in_place),         cmocka_unit_test(examples_of_groups),
		cmocka_unit_test(loads),           cmocka_unit_test(comments_are_defaults),
	};

	if (argc < 2)
		return 99;
	source_root = argv[1];
	return cmocka_run_group_tests_name("config sample", tests, open_sample, close_sample);
}
