/* oauth.c - fills in what the provider of an upstream's tokens gives (oauth.def), reads the key of a service account, and checks
 * which keys fit together. Each check also works with values that had a fault already. */
#include "loader.h"

#include "posthouse/secret.h"

#include <jansson.h>

#define KEY_FILE_MAX   65536
#define DEFAULT_TENANT S("common")

static const struct provider {
	const char *authorization_url, *device_url, *token_url, *scope, *application_scope;
} providers[] = {
#define OAUTH(ID, name, authorization, device, token, scope, application)                                                        \
	[OAUTH_##ID] = { authorization, device, token, scope, application },
#include "posthouse/oauth.def"
};

/* The URL with the tenant in its place. */
static struct str with_tenant(struct loader *l, const char *url, struct str tenant)
{
	struct str u = str_of(url);
	size_t at = str_search(u, S("TENANT"));

	if (at == u.n)
		return u;
	return arena_printf(l->arena, "%.*s%.*s%s", (int)at, url, STR_ARG(tenant.n > 0 ? tenant : DEFAULT_TENANT), url + at + 6);
}

/* A value of the file goes before that of the provider. */
static void apply_provider(struct loader *l, struct cfg_oauth *o)
{
	const struct provider *p = &providers[o->provider];
	bool application = o->grant == GRANT_CLIENT_CREDENTIALS;

	if (o->token_url.n == 0)
		o->token_url = with_tenant(l, p->token_url, o->tenant);
	if (o->authorization_url.n == 0)
		o->authorization_url = with_tenant(l, p->authorization_url, o->tenant);
	if (o->device_url.n == 0)
		o->device_url = with_tenant(l, p->device_url, o->tenant);
	if (o->scope.n == 0)
		o->scope = str_of(application ? p->application_scope : p->scope);
}

/* ---- the key of a service account (RFC 7523) ---- */

static struct str member(struct loader *l, const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? arena_str(l->arena, str_of(text)) : S("");
}

/* The file that Google gives out. False: it is none. */
static bool read_json_key(struct loader *l, struct cfg_oauth *o, struct str text)
{
	json_t *object = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *key = json_object_get(object, "private_key");

	o->key_pem = member(l, object, "private_key");
	if (json_is_string(key))
		wipe((char *)(uintptr_t)json_string_value(key), json_string_length(key));
	if (o->service_account.n == 0)
		o->service_account = member(l, object, "client_email");
	if (o->token_url.n == 0)
		o->token_url = member(l, object, "token_uri");
	json_decref(object);
	return o->key_pem.n > 0;
}

static void load_key(struct loader *l, size_t i, struct cfg_oauth *o)
{
	const config_setting_t *s = setting_near(l, "upstreams.[%zu].oauth.key", i);
	const char *why;
	unsigned mode;
	struct buf b;

	if (o->key.n == 0) {
		fault(l, s, "upstreams.oauth: expected the key file of the service account as `key`");
		return;
	}
	why = file_read(arena_cstr(l->arena, o->key), KEY_FILE_MAX, &b, &mode);
	if (why)
		fault(l, s, "upstreams.oauth.key: %.*s cannot be read: %s", STR_ARG(o->key), why);
	else if (str_starts(str_trim(buf_view(&b)), S("{")) && !read_json_key(l, o, buf_view(&b)))
		fault(l, s, "upstreams.oauth.key: expected \"private_key\" in the JSON of %.*s", STR_ARG(o->key));
	else if (o->key_pem.n == 0)
		o->key_pem = arena_str(l->arena, buf_view(&b));
	if (!why && secret_note(l, o->key, mode))
		warning(l, s, "upstreams.oauth.key: everybody can read %.*s; expected mode 0600", STR_ARG(o->key));
	if (b.p)
		wipe(b.p, b.capacity);
	buf_fini(&b);
	if (o->key_pem.n > 0 && !key_is_rsa(o->key_pem))
		fault(l, s, "upstreams.oauth.key: expected a private RSA key in %.*s", STR_ARG(o->key));
	if (o->service_account.n == 0)
		fault(l, s, "upstreams.oauth: expected service_account, which the key file does not name");
}

/* ---- what fits together ---- */

static void check_grant(struct loader *l, const config_setting_t *s, const struct cfg_oauth *o)
{
	bool needs_client = o->grant == GRANT_REFRESH_TOKEN || o->grant == GRANT_CLIENT_CREDENTIALS;

	if (needs_client && o->client_id.n == 0)
		fault(l, s,
		      "upstreams.oauth: expected client_id, the number of the application that is registered at the provider%s",
		      o->command.n > 0 ? "; or grant = \"command\", which runs the command" : "");
	if (o->grant == GRANT_CLIENT_CREDENTIALS && o->client_secret.n == 0)
		fault(l, s, "upstreams.oauth: expected client_secret_file: this grant has no other proof");
	if (o->grant == GRANT_CLIENT_CREDENTIALS && o->provider == OAUTH_MICROSOFT && o->tenant.n == 0)
		fault(l, s, "upstreams.oauth: expected tenant: this grant is one organisation's");
	if (o->grant == GRANT_REFRESH_TOKEN && o->provider == OAUTH_GOOGLE && o->client_secret.n == 0)
		warning(l, s, "upstreams.oauth: Google wants client_secret too, also of desktop applications");
	if (o->refresh_token.n > 0 && o->grant != GRANT_REFRESH_TOKEN)
		fault(l, s, "upstreams.oauth: expected no refresh_token: this grant does not use it");
	if (o->grant == GRANT_COMMAND && o->command.n == 0)
		fault(l, s, "upstreams.oauth: expected command, a program and its arguments");
	if (o->grant != GRANT_COMMAND && o->token_url.n == 0)
		fault(l, s, "upstreams.oauth: expected token_url, since the provider is not one that Posthouse knows");
	if (o->grant != GRANT_COMMAND && o->scope.n == 0 && o->provider != OAUTH_CUSTOM)
		fault(l, s, "upstreams.oauth: expected another grant: this provider does not know it for mail");
}

void oauth_check(struct loader *l, size_t i)
{
	struct cfg_upstream *u = &l->config->upstreams[i];
	const config_setting_t *s = setting_exact(l, "upstreams.[%zu].oauth", i);
	struct cfg_oauth *o = &u->oauth;

	if (!s)
		return;
	if (o->provider == OAUTH_NONE) {
		if (o->client_id.n + o->token_url.n + o->key.n + o->command.n == 0)
			return;
		fault(l, s, "upstreams.oauth: expected provider (\"custom\" where none of the list fits)");
		return;
	}
	apply_provider(l, o);
	if (o->grant == GRANT_SERVICE_ACCOUNT)
		load_key(l, i, o);
	check_grant(l, s, o);
	if (u->login.n == 0)
		fault(l, s, "upstreams: expected login beside oauth: the address of the mailbox that the token is for");
	if (u->password.n > 0)
		fault(l, s, "upstreams: expected either oauth or password: with oauth a password is never sent");
	if (u->tls == UPSTREAM_OPPORTUNISTIC)
		fault(l, s,
		      "upstreams: expected tls = \"starttls\" or \"implicit\": a token is sent only to a server whose "
		      "certificate was checked");
}
