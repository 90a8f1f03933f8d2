/* upstream_profile.c - fills in what the profile of an upstream knows, and warns of what does not fit the provider. A value in
 * the file goes before that of the profile. */
#include "loader.h"

#include "posthouse/profiles.h"
#include "posthouse/sasl.h"

struct filling {
	struct loader *loader;
	size_t i; /* the element of upstreams */
	const struct profile *profile;
	struct cfg_upstream *upstream;
};

static bool is_open(const struct filling *f, const char *key)
{
	return !upstream_has(f->loader, f->i, key);
}

static const config_setting_t *at(const struct filling *f, const char *key)
{
	return setting_near(f->loader, "upstreams.[%zu].%s", f->i, key);
}

/* ---- values ---- */

static void set_host(const struct filling *f)
{
	struct cfg_upstream *u = f->upstream;

	if (u->host.n > 0 || !is_open(f, "host"))
		return;
	u->host = profile_host(f->profile, f->loader->arena, u->region);
	if (u->host.n == 0)
		fault(f->loader, at(f, "profile"),
		      "expected the key upstreams.region: it is part of the name of the host, %s (or expected host)",
		      f->profile->host);
}

/* The table's own texts live for ever. */
static void set_rates(const struct filling *f, const char *key, const char *rates, struct rate_list *target)
{
	struct str rest = str_of(rates ? rates : ""), word;

	if (rest.n == 0 || !is_open(f, key))
		return;
	target->at = ARENA_ARRAY(f->loader->arena, struct rate, rest.n);
	while (str_split(&rest, ' ', &word))
		target->n += value_rate(word, false, &target->at[target->n]);
}

static void set_number(const struct filling *f, const char *key, uint64_t value, uint64_t *target)
{
	if (value > 0 && is_open(f, key))
		*target = value;
}

static void set_limits(const struct filling *f)
{
	const struct profile *p = f->profile;
	struct cfg_upstream *u = f->upstream;

	set_rates(f, "messages", p->messages, &u->messages);
	set_rates(f, "recipients", p->recipients, &u->recipients);
	set_number(f, "recipients_per_message", p->recipients_per_message, &u->recipients_per_message);
	set_number(f, "message_size", p->message_size, &u->message_size);
	set_number(f, "connections", p->connections, &u->connections);
	set_number(f, "messages_per_connection", p->messages_per_connection, &u->messages_per_connection);
}

static void set_oauth(const struct filling *f)
{
	struct cfg_oauth *o = &f->upstream->oauth;

	if (o->client_id.n + o->key.n + o->command.n == 0)
		return; /* no tokens are wanted */
	if (is_open(f, "oauth.provider"))
		o->provider = f->profile->oauth;
	if (f->profile->tenant && o->provider == f->profile->oauth && o->tenant.n == 0)
		o->tenant = str_of(f->profile->tenant);
}

/* Those that can log in with what the upstream has: a token or a password. */
static void set_mechanisms(const struct filling *f)
{
	struct cfg_upstream *u = f->upstream;
	struct str rest = str_of(f->profile->mechanisms), word;
	unsigned have = config_credentials(u);

	if (!is_open(f, "mechanisms"))
		return;
	u->mechanisms.at = ARENA_ARRAY(f->loader->arena, struct str, rest.n);
	while (str_split(&rest, ' ', &word))
		if (!(sasl_find(word)->needs & ~have))
			u->mechanisms.at[u->mechanisms.n++] = word;
}

/* Where the null sender is refused, reports come from the account, which is surely allowed to send. */
static void set_report_sender(const struct filling *f)
{
	struct cfg_upstream *u = f->upstream;

	if (f->profile->null_sender != NULL_REFUSED || u->report_sender.n > 0 || f->loader->config->report_sender.n > 0)
		return;
	if (u->login.n > 0 && format_mailbox.valid(u->login))
		u->report_sender = u->login;
	else
		warning(f->loader, at(f, "report_sender"),
			"upstreams: expected report_sender, an address that is allowed to send there: %s refuses reports with "
			"the null sender <>",
			f->profile->name);
}

/* ---- what does not fit ---- */

static void check_login(const struct filling *f)
{
	const struct profile *p = f->profile;
	const struct cfg_upstream *u = f->upstream;

	if (u->login.n > 0 && !profile_login_fits(p, u->login))
		warning(f->loader, at(f, "login"), "upstreams: expected another login for %s: %s%s", p->name,
			p->form == FORM_WORD ? "the word " : "", p->login);
	if (u->password.n > 0 && !p->password)
		warning(f->loader, at(f, "oauth"), "upstreams: %s takes no password; expected oauth: %s", p->name, p->hint);
	if (u->oauth.provider != OAUTH_NONE && p->oauth == OAUTH_NONE)
		warning(f->loader, at(f, "oauth"), "upstreams: %s is not known to take tokens; expected a password", p->name);
}

static void check_mechanisms(const struct filling *f)
{
	const struct str_list *given = &f->upstream->mechanisms;
	struct str rest = str_of(f->profile->mechanisms), word;

	while (str_split(&rest, ' ', &word))
		for (size_t i = 0; i < given->n; i++)
			if (str_ieq(word, given->at[i]))
				return;
	if (given->n > 0)
		warning(f->loader, at(f, "mechanisms"), "upstreams: expected one of the mechanisms of %s: %s", f->profile->name,
			f->profile->mechanisms);
}

void profile_apply(struct loader *l, size_t i)
{
	struct cfg_upstream *u = &l->config->upstreams[i];
	const struct filling f = { l, i, profile_find(u->profile), u };
	const struct profile *p = f.profile;

	if (!p)
		return;
	set_host(&f);
	if (is_open(&f, "port") && is_open(&f, "tls"))
		u->port = p->port;
	if (is_open(&f, "tls"))
		u->tls = profile_tls(p);
	if (p->form == FORM_WORD && u->login.n == 0 && u->password.n > 0)
		u->login = str_of(p->login);
	set_limits(&f);
	set_oauth(&f);
	set_mechanisms(&f);
	set_report_sender(&f);
	check_login(&f);
	check_mechanisms(&f);
	if (u->region.n > 0 && !profile_wants_region(p))
		warning(l, at(&f, "region"), "upstreams: %s has no regions: expected the key host, or another profile", p->name);
	if (p->own_ca && u->ca.n == 0)
		warning(l, at(&f, "ca"), "upstreams: expected ca: %s", p->hint);
}
