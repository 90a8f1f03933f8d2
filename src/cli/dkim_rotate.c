/* dkim_rotate.c - `posthouse dkim rotate` and `retire`: new keys take over when their records were seen, old ones go when nothing
 * needs them. Each step is one change of dkim.conf, so that after a kill the file is that of before or after it. */
#include "dkim_command.h"

#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define POLL_S 300 /* --wait: between looks */

static bool is_pending(const struct cfg_sign *key, struct str domain)
{
	return key->state == SIGN_PENDING && str_ieq(key->domain, domain);
}

static size_t count(const struct dkim_store *s, struct str domain, enum sign_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->keys[i].state == state && str_ieq(s->keys[i].domain, domain);
	return n;
}

/* A new key of each kind that signs today. */
static void begin(struct dkim_store *s, struct str domain, enum records_format format)
{
	static const enum dkim_algorithm algorithms[] = { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
	size_t n = s->n;

	if (count(s, domain, SIGN_ACTIVE) == 0)
		die(EX_DATAERR, "%.*s has no key: `posthouse dkim generate %.*s`", STR_ARG(domain), STR_ARG(domain));
	for (size_t a = 0; a < 2; a++)
		for (size_t i = 0; i < n; i++)
			if (s->keys[i].state == SIGN_ACTIVE && s->keys[i].algorithm == algorithms[a] &&
			    str_ieq(s->keys[i].domain, domain)) {
				dkim_add(s, domain, S(""), algorithms[a], 2048);
				break;
			}
	dkim_added(s, domain, format);
}

static void activate(struct dkim_store *s, struct cfg_sign *key)
{
	dkim_activate(&s->arena, s->keys, s->n, key, s->now);
	printf("%.*s: signs from now on.\n", STR_ARG(key->selector));
}

static void print_wait(const struct cfg_sign *key, uint64_t ms)
{
	printf("%.*s: published. One more look, at least %llu min from now, has to find it.\n", STR_ARG(key->selector),
	       (unsigned long long)((ms + MINUTE_MS - 1) / MINUTE_MS));
}

static void print_missing(struct dkim_store *s, const struct cfg_sign *key, const struct dkim_sight *sight)
{
	struct str shown = utf8_shown(&s->arena, sight->own == DKIM_UNSEEN ? sight->why : sight->found);

	printf("%.*s: ", STR_ARG(key->selector));
	if (sight->own == DKIM_NOT_SEEN)
		printf("the domain's name servers do not have its record.\n");
	else if (sight->own == DKIM_OTHER_SEEN)
		printf("its record has another key, or is damaged: %.*s\n    posthouse dkim check %.*s says more.\n",
		       STR_ARG(shown), STR_ARG(key->domain));
	else
		printf("could not be looked up: %.*s.\n", STR_ARG(shown));
}

/* One look. True: something changed. */
static bool look(struct dkim_store *s, struct str domain, const char *resolver)
{
	struct dkim_look *l = dkim_look_begin(s->config, domain, resolver);
	bool changed = false;

	for (size_t i = 0; i < s->n; i++) {
		struct cfg_sign *key = &s->keys[i];
		struct dkim_sight sight;
		uint64_t wait;

		if (!is_pending(key, domain))
			continue;
		sight = dkim_look_key(l, key);
		if (sight.own == DKIM_UNSEEN) { /* what was seen stays seen */
			print_missing(s, key, &sight);
			continue;
		}
		changed |= dkim_looked(&s->arena, key, sight.own == DKIM_SEEN, s->now);
		wait = dkim_wait_ms(key, s->now);
		if (sight.own != DKIM_SEEN)
			print_missing(s, key, &sight);
		else if (wait > 0)
			print_wait(key, wait);
		else
			activate(s, key);
		changed |= key->state != SIGN_PENDING;
	}
	dkim_look_end(l);
	return changed;
}

static void activate_all(struct dkim_store *s, struct str domain)
{
	fprintf(stderr, "posthouse: warning: until the records are published and seen everywhere, receivers take this mail for "
			"unsigned\n");
	for (size_t i = 0; i < s->n; i++)
		if (is_pending(&s->keys[i], domain))
			activate(s, &s->keys[i]);
}

static void finish(struct dkim_store *s, struct str domain)
{
	if (s->by_hand) {
		dkim_print_by_hand(s);
		return;
	}
	dkim_save(s);
	dkim_reload(s);
	if (count(s, domain, SIGN_RETIRED) > 0)
		printf("Leave the records of the old keys where they are: mail that they have signed is on its way.\n"
		       "Next, in a week: posthouse dkim list\n");
}

enum step { BEGUN, WAITS, DONE };

/* One step of the rotation. */
static enum step step(const struct options *o, const char *config_path, bool first)
{
	struct dkim_store s;
	struct str domain;
	size_t pending;
	bool now = options_given(o, "now");
	enum step result;

	dkim_open(&s, config_path, true);
	domain = dkim_domain(&s.arena, o);
	pending = count(&s, domain, SIGN_PENDING);
	if (pending == 0 && first)
		begin(&s, domain, dkim_format(o, RECORDS_ZONE));
	if (now)
		activate_all(&s, domain);
	else if (pending > 0 && look(&s, domain, options_value(o, "resolver")) && !s.by_hand &&
		 count(&s, domain, SIGN_PENDING) == pending)
		dkim_save(&s); /* what was seen */
	result = count(&s, domain, SIGN_PENDING) == 0 ? DONE : pending == 0 ? BEGUN : WAITS;
	if (count(&s, domain, SIGN_PENDING) < pending || now)
		finish(&s, domain);
	dkim_close(&s);
	return result;
}

int dkim_rotate(const struct options *o, const char *config_path)
{
	enum step result = step(o, config_path, true);

	while (result != DONE && options_given(o, "wait")) {
		fflush(stdout);
		sleep(POLL_S);
		result = step(o, config_path, false);
	}
	return result == WAITS ? EX_TEMPFAIL : EX_OK;
}

/* ---- retire ---- */

static void remove_entry(struct dkim_store *s, struct cfg_sign *key)
{
	size_t i = (size_t)(key - s->keys);

	memmove(key, key + 1, (s->n - i - 1) * sizeof *key);
	s->n--;
}

int dkim_retire(const struct options *o, const char *config_path)
{
	struct str domain, selector = str_of(o->arguments[1]), needed;
	struct dkim_store s;
	struct cfg_sign *key, old;

	dkim_open(&s, config_path, true);
	domain = dkim_domain(&s.arena, o);
	key = dkim_find(&s, domain, selector);
	if (!key)
		die(EX_DATAERR, "%.*s has no key %.*s", STR_ARG(domain), STR_ARG(selector));
	if (key->state == SIGN_ACTIVE)
		die(EX_DATAERR, "%.*s signs: `posthouse dkim rotate %.*s` puts another key in its place", STR_ARG(selector),
		    STR_ARG(domain));
	needed = key->state == SIGN_RETIRED ? dkim_needed(&s, key) : S("");
	if (needed.n > 0 && !options_given(o, "now"))
		die(EX_TEMPFAIL, "%.*s is still needed: %.*s (--now: remove it all the same)", STR_ARG(selector),
		    STR_ARG(needed));
	old = *key;
	remove_entry(&s, key);
	if (s.by_hand) {
		dkim_print_by_hand(&s);
	} else {
		dkim_save(&s);
		dkim_reload(&s);
		if (unlink(arena_cstr(&s.arena, old.key)) != 0 && errno != ENOENT)
			die(EX_IOERR, "%.*s: %s", STR_ARG(old.key), strerror(errno));
		printf("%.*s of %.*s is gone.\n", STR_ARG(selector), STR_ARG(domain));
	}
	printf("In place of its record publish, for a year or so:\n    %.*s._domainkey.%.*s.  TXT  \"v=DKIM1; p=\"\n",
	       STR_ARG(old.selector), STR_ARG(domain));
	dkim_close(&s);
	return EX_OK;
}
