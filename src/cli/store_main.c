/* store_main.c - posthouse-store-postgresql: what `posthouse store` does with a PostgreSQL database. `posthouse` itself has no
 * libpq, and runs this program: CONFIGURATION VERB DIRECTORY json, of which the last two can be empty. */
#include "cli.h"

#include "posthouse/accounts.h"
#include "posthouse/file.h"
#include "posthouse/log.h"
#include "posthouse/store_database.h"
#include "posthouse/store_transfer.h"
#include "posthouse/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct call {
	const struct config *config;
	struct store_database database;
	struct arena arena;
	const char *directory; /* "": none */
	bool json;
};

static int code_of(struct verdict v)
{
	if (v.class == OK)
		return EX_OK;
	fprintf(stderr, "posthouse: %.*s\n", STR_ARG(v.text));
	if (v.class == TEMP)
		return EX_UNAVAILABLE;
	return str_eq(v.enhanced, S("5.3.5")) ? EX_CONFIG : EX_DATAERR;
}

/* ---- what was copied ---- */

static void print_json(const struct store_transfer *t)
{
	size_t n = 1;

	json_print_document("copied",
			    json_pack("{s:o, s:b, s:I, s:I, s:I}", "directory", json_text(str_of(t->directory)), "continued",
				      t->continued, "renumbered", (json_int_t)t->renumbered, "texts_missing",
				      (json_int_t)t->texts_missing, "known_left_out", (json_int_t)t->known_left_out));
	for (size_t i = 0; i < t->moved_n; i++, n++)
		json_print_document("rows", json_pack("{s:s, s:I, s:I, s:I}", "of", t->moved[i].what, "read",
						      (json_int_t)t->moved[i].read, "stored", (json_int_t)t->moved[i].stored,
						      "there", (json_int_t)t->moved[i].there));
	json_end(n, false);
}

static void print_text(const struct store_transfer *t)
{
	if (t->continued)
		printf("continued: the numbers are those of all runs together\n");
	for (size_t i = 0; i < t->moved_n; i++) {
		const struct store_moved *m = &t->moved[i];

		if (m->read == 0)
			continue;
		printf("%-12s %llu read, %llu stored", m->what, (unsigned long long)m->read, (unsigned long long)m->stored);
		printf(m->there > 0 ? ", %llu there already\n" : "\n", (unsigned long long)m->there);
	}
	if (t->renumbered > 0)
		printf("%llu messages have another id now, which `trace` tells\n", (unsigned long long)t->renumbered);
	if (t->texts_missing > 0)
		printf("%llu large texts were damaged or missing\n", (unsigned long long)t->texts_missing);
	if (t->known_left_out > 0)
		printf("%llu recipients that logins have written to were left out: the database hides its own by another key, so "
		       "they count as new once more\n",
		       (unsigned long long)t->known_left_out);
}

static int end_copy(const struct call *c, const struct store_transfer *t, struct verdict v)
{
	if (v.class != OK)
		return code_of(v);
	if (c->json)
		print_json(t);
	else
		print_text(t);
	return EX_OK;
}

/* The accounts of the directory, as lines. */
static void read_accounts(struct call *c, struct store_transfer *t)
{
	struct verdict why;
	struct accounts *accounts = accounts_open(c->directory, &why);

	if (!accounts)
		die(EX_DATAERR, "%.*s", STR_ARG(why.text));
	t->accounts_n = accounts_count(accounts);
	t->accounts = ARENA_ARRAY(&c->arena, struct store_account, t->accounts_n + 1);
	for (size_t i = 0; i < t->accounts_n; i++) {
		const struct account *a = accounts_at(accounts, i);
		struct str line = account_format_line(&c->arena, a);

		t->accounts[i] = (struct store_account){ .name = arena_str(&c->arena, a->name),
							 .device = arena_str(&c->arena, a->device),
							 .line = str_head(line, str_find(line, '\n')) };
	}
	accounts_close(accounts);
}

static int import(struct call *c)
{
	struct store_transfer t = { .database = &c->database, .directory = c->directory, .arena = &c->arena };

	read_accounts(c, &t);
	return end_copy(c, &t, store_import(&t));
}

/* The directory `login` of the new state_dir, which is made. */
static int open_login(const char *path)
{
	int fd = mkdir(path, 0700) == 0 || errno == EEXIST ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd < 0)
		die(EX_CANTCREAT, "%s: %s", path, strerror(errno));
	return fd;
}

/* The account file of the new state_dir: written aside. Its directory can be one of a role, in which a link must lead nowhere. */
static void write_accounts(struct call *c, const struct store_transfer *t)
{
	const char *login = arena_cstr(&c->arena, arena_printf(&c->arena, "%s/login", c->directory));
	int directory = open_login(login), fd = file_put_begin(directory, "accounts.new", 0600), error;
	bool written = fd >= 0 && file_write(fd, S("# written by posthouse store export\n"));

	for (size_t i = 0; written && i < t->accounts_n; i++)
		written = file_write(fd, t->accounts[i].line) && file_write(fd, S("\n"));
	error = file_put_end(directory, "accounts.new", "accounts", fd, written);
	if (error)
		die(EX_CANTCREAT, "%s/accounts: %s", login, strerror(error));
	(void)close(directory); /* only synced */
}

static int export(struct call *c)
{
	struct store_transfer t = { .database = &c->database, .directory = c->directory, .arena = &c->arena };
	struct verdict v = store_export(&t);

	if (v.class == OK && t.accounts_n > 0)
		write_accounts(c, &t);
	if (v.class == OK)
		v = store_export_end(&t);
	return end_copy(c, &t, v);
}

static int restored(struct call *c)
{
	struct store_generation g = { 0 };
	struct verdict v = store_restored(&c->database, &c->arena, &g);

	if (v.class != OK)
		return code_of(v);
	if (c->json)
		json_print_document("restored", json_pack("{s:I, s:o}", "generation", (json_int_t)g.generation, "exported",
							  g.exported.n > 0 ? json_text(g.exported) : json_null()));
	else
		printf("generation %llu: nodes can start, and deliver what is in the database%s\n",
		       (unsigned long long)g.generation, g.exported.n > 0 ? ", also what was exported" : "");
	return EX_OK;
}

/* ---- the database itself ---- */

static void print_findings(struct call *c, const struct store_findings *all)
{
	static const char *const names[] = {
		[STORE_FINDING_OK] = "ok", [STORE_FINDING_WARNING] = "warning", [STORE_FINDING_ERROR] = "error"
	};

	for (size_t i = 0; i < all->n; i++) {
		const struct store_finding *f = &all->at[i];

		if (c->json)
			json_print_document("finding", json_pack("{s:s, s:s, s:o}", "id", f->id, "result", names[f->level],
								 "text", json_text(f->text)));
		else
			printf("%-8s %-11s %.*s\n", names[f->level], f->id, STR_ARG(utf8_shown(&c->arena, f->text)));
	}
}

static int check(struct call *c)
{
	struct store_findings all = { 0 };
	struct verdict v = store_check(&c->database, &c->arena, &all);
	bool bad = false;

	for (size_t i = 0; i < all.n; i++)
		bad = bad || all.at[i].level == STORE_FINDING_ERROR;
	print_findings(c, &all);
	if (v.class != OK)
		return code_of(v);
	if (c->json)
		json_end(all.n, false);
	return bad ? EXIT_FAILURE : EX_OK;
}

static int migrate(struct call *c)
{
	struct store_migration m = { 0 };
	struct verdict v = store_migrate(&c->database, &c->arena, &m);
	unsigned long long from = m.from, to = m.to;

	if (v.class != OK)
		return code_of(v);
	if (c->json)
		json_print_document("migrated", json_pack("{s:I, s:I}", "from", (json_int_t)from, "to", (json_int_t)to));
	else if (from == 0)
		printf("the tables are made, version %llu\n", to);
	else if (from == to)
		printf("nothing is to be done: the tables have version %llu\n", to);
	else
		printf("the tables had version %llu, and have %llu\n", from, to);
	return EX_OK;
}

/* ---- the program ---- */

static const struct {
	const char *name;
	int (*run)(struct call *c);
} verbs[] = {
	{ "check", check }, { "migrate", migrate }, { "import", import }, { "export", export }, { "restored", restored },
};

static struct config *load(const char *path)
{
	struct config_faults faults;
	struct config *c = config_load(path, &faults);

	if (faults_print(&faults) > 0)
		die(EX_CONFIG, "%s is not good: see `posthouse check`", path);
	if (c->store.engine != ENGINE_POSTGRESQL)
		die(EX_CONFIG, "%s: store.engine is not \"postgresql\"", path);
	return c;
}

static int run(struct call *c, const char *verb)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i].name) == 0)
			return verbs[i].run(c);
	die(EX_USAGE, "there is no verb %s", verb);
}

int main(int argc, char **argv)
{
	struct config *config;
	struct call c;
	int code;

	umask(0077);
	if (argc != 5)
		die(EX_USAGE, "posthouse store runs this program");
	config = load(argv[1]);
	c = (struct call){ .config = config,
			   .database = { .connection = config->store.connection,
					 .password = config->store.password,
					 .standby = config->store.durability == DURABILITY_STANDBY,
					 .node_timeout_ms = config->store.node_timeout_ms,
					 .patience_ms = config->store.patience_ms },
			   .directory = argv[3],
			   .json = argv[4][0] != '\0' };
	code = run(&c, argv[2]);
	arena_fini(&c.arena);
	config_free(config);
	return code;
}
