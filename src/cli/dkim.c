/* dkim.c - `posthouse dkim`: keys are made, shown, changed and removed. Rotation: dkim_rotate.c. */
#include "dkim_command.h"

#include "posthouse/date.h"
#include "posthouse/log.h"
#include "posthouse/names.h"

#include <stdio.h>
#include <sysexits.h>

#define BITS     2048
#define BITS_MIN 1024 /* RFC 8301 3.2 */
#define BITS_MAX 4096

/* ---- what was asked for ---- */

struct str dkim_domain(struct arena *a, const struct options *o)
{
	struct str domain = o->arguments_n > 0 ? str_of(o->arguments[0]) : S("");

	if (domain.n == 0)
		return domain;
	domain = domain_canonical(a, domain);
	if (!host_name_valid(domain))
		die(EX_USAGE, "\"%s\" is no domain", o->arguments[0]);
	return domain;
}

static unsigned bits_of(const struct options *o)
{
	const char *text = options_value(o, "bits");
	uint64_t bits = BITS;

	if (text && (!str_to_u64(str_of(text), &bits) || bits < BITS_MIN || bits > BITS_MAX))
		die(EX_USAGE, "--bits wants a number from %d to %d; 2048 is what all receivers take", BITS_MIN, BITS_MAX);
	return (unsigned)bits;
}

/* In the order in which they sign. */
static bool wants(const char *algorithm, enum dkim_algorithm which)
{
	return !algorithm || strcmp(algorithm, "both") == 0 ||
	       strcmp(algorithm, which == DKIM_RSA_SHA256 ? "rsa" : "ed25519") == 0;
}

enum records_format dkim_format(const struct options *o, enum records_format otherwise)
{
	const char *word = options_value(o, "format");
	enum records_format format = options_given(o, "json") ? RECORDS_JSON : otherwise;

	if (word && !records_format_find(word, &format))
		die(EX_USAGE, "--format wants zone, table, route53 or json");
	return format;
}

/* ---- records ---- */

/* "pending since 2027-03-02 14:02:11" */
static struct str state_text(struct dkim_store *s, const struct cfg_sign *key)
{
	uint64_t since;

	if (!date_parse(key->since, &since))
		return str_of(dkim_state_name(key));
	return arena_printf(&s->arena, "%s since %.*s", dkim_state_name(key), STR_ARG(time_text(&s->arena, since)));
}

/* Is the record published, with this key? */
static void compare(struct dkim_store *s, const struct cfg_sign *key, struct dns_entry *e)
{
	struct dkim_sight sight = dkim_look_key(s->look, key);
	enum dkim_sight_state state = sight.own == DKIM_UNSEEN ? sight.world : sight.own;

	if (state == DKIM_SEEN)
		e->state = ENTRY_GOOD;
	else if (state == DKIM_OTHER_SEEN)
		e->state = ENTRY_CHANGED;
	e->was = state == DKIM_OTHER_SEEN ? sight.found : S("");
}

/* The records of the domain's keys in these states (bits 1 << enum sign_state). */
static void print_records_of(struct dkim_store *s, struct str domain, unsigned states, enum records_format format)
{
	struct dns_entries list = { .arena = &s->arena };

	for (size_t i = 0; i < s->n; i++) {
		const struct cfg_sign *key = &s->keys[i];

		if (!str_ieq(key->domain, domain) || !(states & 1u << key->state))
			continue;
		struct dns_entry *e = dns_entries_add(
			&list, "TXT",
			arena_printf(&s->arena, "%.*s._domainkey.%.*s", STR_ARG(key->selector), STR_ARG(key->domain)),
			key->record);
		e->ttl = 300;
		e->comment = state_text(s, key);
		if (s->look)
			compare(s, key, e);
	}
	print_records(&list, domain, arena_printf(&s->arena, "DKIM keys of %.*s", STR_ARG(domain)), format);
}

/* What a person who keeps `sign` by hand has to write. */
void dkim_print_by_hand(struct dkim_store *s)
{
	printf("`sign` is kept by hand in %s, which is left as it is. To have these keys, put this in its place:\n\nsign = (",
	       s->config_path);
	for (size_t i = 0; i < s->n; i++)
		printf("%s\n  %.*s", i > 0 ? "," : "", STR_ARG(dkim_entry_text(s, &s->keys[i])));
	printf("\n);\n\nThen: posthouse reload\nWith the list alone in %s, and the line  @include \"" DKIM_FILE
	       "\"  in its place,\nposthouse dkim changes it by itself.\n",
	       s->path);
}

/* ---- generate ---- */

static void refuse_second(struct dkim_store *s, struct str domain, enum dkim_algorithm algorithm)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_ieq(s->keys[i].domain, domain) && s->keys[i].state == SIGN_PENDING && s->keys[i].algorithm == algorithm)
			die(EX_DATAERR, "%.*s has a key that waits for its record already, %.*s: `posthouse dkim show %.*s`",
			    STR_ARG(domain), STR_ARG(s->keys[i].selector), STR_ARG(domain));
}

/* --selector names one key; of two keys each gets the letter of its algorithm behind it. */
static struct str selector_of(struct dkim_store *s, const struct options *o, struct str domain, enum dkim_algorithm algorithm)
{
	const char *given = options_value(o, "selector"), *which = options_value(o, "algorithm");
	struct str selector;

	if (!given)
		return S("");
	selector = which && strcmp(which, "both") != 0
			   ? str_of(given)
			   : arena_printf(&s->arena, "%s%c", given, algorithm == DKIM_RSA_SHA256 ? 'r' : 'e');
	if (!selector_valid(selector))
		die(EX_USAGE, "\"%s\" is no selector: letters, digits, '-', '_', dots between", given);
	if (dkim_find(s, domain, selector))
		die(EX_DATAERR, "%.*s has a key %.*s already", STR_ARG(domain), STR_ARG(selector));
	return selector;
}

void dkim_added(struct dkim_store *s, struct str domain, enum records_format format)
{
	bool is_new = !s->ours && !s->by_hand;

	if (!s->by_hand)
		dkim_save(s);
	print_records_of(s, domain, 1u << SIGN_PENDING, format);
	if (format == RECORDS_JSON)
		return;
	printf("\n");
	if (s->by_hand)
		dkim_print_by_hand(s);
	else if (is_new)
		printf("Add this line to %s:\n\n    @include \"" DKIM_FILE "\"\n\n", s->config_path);
	printf("Publish the record%s in the zone of %.*s. Nothing is signed with the new keys until then.\n"
	       "Next: posthouse dkim rotate %.*s\n",
	       format == RECORDS_TABLE ? "" : " (--format table: for web forms)", STR_ARG(domain), STR_ARG(domain));
}

static int generate(const struct options *o, const char *config_path)
{
	static const enum dkim_algorithm algorithms[] = { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
	const char *algorithm = options_value(o, "algorithm");
	enum records_format format = dkim_format(o, RECORDS_ZONE);
	unsigned bits = bits_of(o);
	struct dkim_store s;
	struct str domain;

	if (algorithm && !wants(algorithm, DKIM_RSA_SHA256) && !wants(algorithm, DKIM_ED25519_SHA256))
		die(EX_USAGE, "--algorithm wants rsa, ed25519 or both");
	dkim_open(&s, config_path, true);
	domain = dkim_domain(&s.arena, o);
	for (size_t i = 0; i < 2; i++)
		if (wants(algorithm, algorithms[i]))
			refuse_second(&s, domain, algorithms[i]);
	for (size_t i = 0; i < 2; i++)
		if (wants(algorithm, algorithms[i]))
			dkim_add(&s, domain, selector_of(&s, o, domain, algorithms[i]), algorithms[i], bits);
	dkim_added(&s, domain, format);
	dkim_close(&s);
	return EX_OK;
}

/* ---- show, check ---- */

/* Both forms, unless one is asked for. */
static void show_domain(struct dkim_store *s, const struct options *o, struct str domain)
{
	bool one = options_given(o, "format") || options_given(o, "json");

	if (!options_given(o, "offline"))
		s->look = dkim_look_begin(s->config, domain, options_value(o, "resolver"));
	print_records_of(s, domain, ~0u, dkim_format(o, RECORDS_ZONE));
	if (!one) {
		printf("\nFor web forms:\n\n");
		print_records_of(s, domain, ~0u, RECORDS_TABLE);
	}
	dkim_look_end(s->look);
	s->look = NULL;
}

static int show(const struct options *o, const char *config_path)
{
	struct dkim_store s;
	struct str domain;
	size_t shown = 0;

	dkim_open(&s, config_path, false);
	domain = dkim_domain(&s.arena, o);
	for (size_t i = 0; i < s.n; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again || str_ieq(s.keys[k].domain, s.keys[i].domain);
		if (again || (domain.n > 0 && !str_ieq(domain, s.keys[i].domain)))
			continue;
		show_domain(&s, o, s.keys[i].domain);
		shown++;
	}
	if (shown == 0 && domain.n > 0)
		die(EX_DATAERR, "%.*s has no key: `posthouse dkim generate %.*s`", STR_ARG(domain), STR_ARG(domain));
	if (shown == 0)
		die(EX_DATAERR, "no domain has a key: `posthouse dkim generate DOMAIN`");
	dkim_close(&s);
	return EX_OK;
}

/* The checks of doctor that are about keys. */
static int check(const struct options *o, const char *config_path)
{
	struct option_given given[4] = { { "only", "dkim.*" }, { "all", NULL } };
	struct options doctor = *o;

	doctor.verb = "";
	doctor.given = given;
	doctor.given_n = 2;
	if (options_value(o, "resolver"))
		given[doctor.given_n++] = (struct option_given){ "resolver", options_value(o, "resolver") };
	return command_doctor(&doctor, config_path);
}

int command_dkim(const struct options *o, const char *config_path)
{
	static const struct {
		const char *verb;
		command_fn *run;
	} verbs[] = { { "generate", generate }, { "show", show },          { "list", dkim_list },
		      { "check", check },       { "rotate", dkim_rotate }, { "retire", dkim_retire } };

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(o->verb, verbs[i].verb) == 0)
			return verbs[i].run(o, config_path);
	return EX_USAGE; /* the table has no other verb */
}
