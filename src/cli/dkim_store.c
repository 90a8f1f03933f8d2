/* dkim_store.c - the keys of `sign` as `posthouse dkim` changes them. */
#include "cli.h"
#include "dkim.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#define FILE_MAX  (1 * MIB)
#define RELOAD_MS 60000

/* Variables have no directory: theirs is the state directory. */
static void find_state_directory(struct dkim_store *s)
{
	struct config_faults faults;
	struct config *c = config_load(s->config_path, &faults);

	s->directory = arena_printf(&s->arena, "%.*s/", STR_ARG(c->state_dir));
	config_free(c);
}

static void find_file_directory(struct dkim_store *s)
{
	char *absolute = realpath(s->config_path, NULL);
	struct str path = str_of(absolute ? absolute : s->config_path);

	s->directory = arena_str(&s->arena, str_head(path, str_rfind(path, '/') + 1));
	free(absolute);
}

static void find_directory(struct dkim_store *s)
{
	if (config_uses_environment())
		find_state_directory(s);
	else
		find_file_directory(s);
	s->path = arena_cstr(&s->arena, arena_printf(&s->arena, "%.*s" DKIM_FILE, STR_ARG(s->directory)));
}

/* The lock is that of the directory, so that there is no file more. */
static void take_lock(struct dkim_store *s)
{
	s->lock = open(arena_cstr(&s->arena, s->directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) != 0)
		die(EX_TEMPFAIL, "another `posthouse dkim` is at work in %.*s", STR_ARG(s->directory));
}

/* dkim_save() writes the whole of `sign`: entries in other parts would then be there twice. */
static void refuse_other_parts(struct dkim_store *s)
{
	struct str file;
	unsigned line;

	for (size_t i = 0; i < s->config->sign_n; i++)
		if (config_place(s->config, &s->arena, S("sign"), i, &file, &line) && !str_eq(file, str_of(s->path)))
			die(EX_CONFIG, "%.*s:%u: an entry of sign is here, and others are in %s: move it there", STR_ARG(file),
			    line, s->path);
}

void dkim_open(struct dkim_store *s, const char *config_path, bool to_change)
{
	struct config_faults faults = { 0 };

	*s = (struct dkim_store){ .config_path = config_path, .lock = -1, .now = clock_now_ms() };
	find_directory(s);
	if (to_change)
		take_lock(s);
	s->config = config_load(config_path, &faults);
	if (faults_serious(&faults)) {
		faults_print(&faults);
		exit(EX_CONFIG);
	}
	s->ours = config_includes(s->config, str_of(s->path));
	s->by_hand = !s->ours && s->config->sign_n > 0;
	if (!s->ours && !s->by_hand && access(s->path, F_OK) == 0)
		die(EX_CONFIG,
		    "%s is there, but the configuration does not include it: add this line to %s\n\n    @include \"" DKIM_FILE
		    "\"\n",
		    s->path, config_path);
	if (s->ours && to_change)
		refuse_other_parts(s);
	for (size_t i = 0; i < s->config->sign_n; i++) {
		ARENA_GROW(&s->arena, s->keys, s->n, s->capacity);
		s->keys[s->n++] = s->config->sign[i];
	}
}

void dkim_close(struct dkim_store *s)
{
	if (s->lock >= 0)
		close(s->lock);
	config_free(s->config);
	arena_fini(&s->arena);
}

struct cfg_sign *dkim_find(struct dkim_store *s, struct str domain, struct str selector)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_ieq(s->keys[i].domain, domain) && str_ieq(s->keys[i].selector, selector))
			return &s->keys[i];
	return NULL;
}

static void write_key(struct dkim_store *s, const struct cfg_sign *key)
{
	const char *path = arena_cstr(&s->arena, key->key), *why;

	if (access(path, F_OK) == 0)
		die(EX_CANTCREAT, "%s is there already: remove it, or name another selector with --selector", path);
	why = file_replace(path, key->key_pem, 0600);
	if (why)
		die(errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT, "%s %s: %s", path, why, strerror(errno));
}

/* A key that was made before a kill has a file, but no entry: its name is not taken again either. */
static struct str free_selector(struct dkim_store *s, struct str domain, enum dkim_algorithm algorithm)
{
	for (unsigned nth = 1;; nth++) {
		struct str selector = dkim_selector(&s->arena, algorithm, s->now, nth);
		struct str file = dkim_key_file(&s->arena, domain, selector);
		const char *path =
			arena_cstr(&s->arena, arena_printf(&s->arena, "%.*s%.*s", STR_ARG(s->directory), STR_ARG(file)));

		if (access(path, F_OK) != 0 && !dkim_find(s, domain, selector))
			return selector;
	}
}

struct cfg_sign *dkim_add(struct dkim_store *s, struct str domain, struct str selector, enum dkim_algorithm algorithm,
			  unsigned bits)
{
	EVP_PKEY *key = dkim_key_make(algorithm, bits);
	struct cfg_sign *entry;

	if (!key)
		die(EX_SOFTWARE, "OpenSSL could not make a key");
	if (selector.n == 0)
		selector = free_selector(s, domain, algorithm);
	ARENA_GROW(&s->arena, s->keys, s->n, s->capacity);
	entry = &s->keys[s->n++];
	*entry = (struct cfg_sign){
		.domain = domain,
		.selector = selector,
		.key = arena_printf(&s->arena, "%.*s%.*s", STR_ARG(s->directory),
				    STR_ARG(dkim_key_file(&s->arena, domain, selector))),
		.key_pem = dkim_key_pem(&s->arena, key),
		.algorithm = algorithm,
		.record = dkim_record_text(&s->arena, key),
		.state = SIGN_PENDING,
		.oversign = true,
		.since = dkim_time(&s->arena, s->now),
		.seen = S(""),
	};
	EVP_PKEY_free(key);
	write_key(s, entry);
	return entry;
}

void dkim_save(struct dkim_store *s)
{
	const char *why;
	struct buf b;

	buf_init(&b, FILE_MAX); /* what variables include is not relative to their place, since they have none */
	dkim_file_format(&b, s->keys, s->n, config_uses_environment() ? S("\n") : s->directory);
	why = file_replace(s->path, buf_view(&b), 0644);
	if (why)
		die(errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT, "%s %s: %s", s->path, why, strerror(errno));
	buf_fini(&b);
}

bool dkim_reload(struct dkim_store *s)
{
	struct session session;
	struct control *control;
	const char *why;

	control = control_open(s->config->control, RELOAD_MS, &why);
	if (!control && (errno == ENOENT || errno == ECONNREFUSED)) {
		printf("No relay runs here now: the next start uses what is in the files.\n");
		return false;
	}
	control_close(control);
	session_open_within(&session, s->config_path, RELOAD_MS);
	session_ask(&session, MSG_reload, &(struct msg_reload){ 0 }, MSG_reloaded);
	session_close(&session);
	printf("The relay has loaded the change.\n");
	return true;
}

const char *dkim_state_name(const struct cfg_sign *key)
{
	static const char *const names[] = { [SIGN_ACTIVE] = "active", [SIGN_PENDING] = "pending", [SIGN_RETIRED] = "retired" };

	return names[key->state];
}

struct str dkim_entry_text(struct dkim_store *s, const struct cfg_sign *key)
{
	return arena_printf(&s->arena, "{ domain = \"%.*s\"; selector = \"%.*s\"; key = \"%.*s\"; state = \"%s\"; }",
			    STR_ARG(key->domain), STR_ARG(key->selector), STR_ARG(key->key), dkim_state_name(key));
}
