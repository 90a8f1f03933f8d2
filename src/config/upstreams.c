/* upstreams.c - checks which keys of an upstream fit together, after the values of its profile are filled in. Each check also
 * works with values that had a fault already. */
#include "loader.h"

#include "posthouse/sasl.h"

bool upstream_has(struct loader *l, size_t i, const char *key)
{
	return is_given(setting_exact(l, "upstreams.[%zu].%s", i, key));
}

/* A host that is not valid is a fault already, and an unknown profile could have given one. */
static void check_host(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];

	if (u->host.n == 0 && !upstream_has(l, i, "host") && !upstream_has(l, i, "profile"))
		fault(l, setting_near(l, "upstreams.[%zu].host", i),
		      "expected the key upstreams.host: it is needed. The upstream's host name or address; or profile, which "
		      "knows some of them");
}

static void check_names(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	struct str name = c->upstreams[i].name;

	if (str_ieq(name, S("mx")))
		fault(l, setting_near(l, "upstreams.[%zu].name", i),
		      "upstreams: expected another name: \"mx\" means direct delivery in routes");
	for (size_t k = 0; k < i; k++)
		if (name.n > 0 && str_eq(name, c->upstreams[k].name))
			fault(l, setting_near(l, "upstreams.[%zu].name", i),
			      "upstreams: expected a name of its own; element %zu of the list is called \"%.*s\" too", k + 1,
			      STR_ARG(name));
}

static void set_port(struct cfg_upstream *u)
{
	if (u->port == 0)
		u->port = u->tls == UPSTREAM_IMPLICIT ? 465 : 587;
}

/* TLS begins in one way on port 465 and in another one on port 587 (RFC 8314 3.3). With the wrong way both sides wait for each
 * other. */
static void check_port(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];

	if (u->port == 465 && u->tls != UPSTREAM_IMPLICIT)
		warning(l, setting_near(l, "upstreams.[%zu].tls", i),
			"upstreams: port 465 expects TLS from the start: tls = \"implicit\" fits it");
	if ((u->port == 587 || u->port == 25) && u->tls == UPSTREAM_IMPLICIT)
		warning(l, setting_near(l, "upstreams.[%zu].tls", i),
			"upstreams: port %u begins in clear text: tls = \"starttls\" fits it", (unsigned)u->port);
}

/* What says which certificate is right: one of them, and TLS that is demanded. */
static void check_trust(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];
	const config_setting_t *pins = setting_near(l, "upstreams.[%zu].tls_fingerprints", i);

	if (u->tls_fingerprints.n > 0 && (u->tls == UPSTREAM_NONE || u->tls == UPSTREAM_OPPORTUNISTIC))
		fault(l, pins,
		      "upstreams: expected tls = \"starttls\" or \"implicit\" beside tls_fingerprints: otherwise mail goes "
		      "without them too");
	if (u->tls_fingerprints.n > 0 && u->tls == UPSTREAM_DANE)
		fault(l, pins,
		      "upstreams: expected either tls = \"dane\" or tls_fingerprints: each says alone which certificate is "
		      "right");
	if (u->tls == UPSTREAM_DANE && format_address.valid(u->host))
		fault(l, setting_near(l, "upstreams.[%zu].host", i),
		      "upstreams: expected a host name beside tls = \"dane\": an address has no TLSA records");
	if (u->tls == UPSTREAM_DANE && u->tls_name.n > 0)
		warning(l, setting_near(l, "upstreams.[%zu].tls_name", i),
			"upstreams: tls_name is not used with tls = \"dane\": the name is that of the TLSA records");
	if (u->ca.n > 0 && (u->tls == UPSTREAM_DANE || u->tls_fingerprints.n > 0))
		warning(l, setting_near(l, "upstreams.[%zu].ca", i), "upstreams: ca is not used with %s",
			u->tls == UPSTREAM_DANE ? "tls = \"dane\"" : "tls_fingerprints");
}

static bool has_password(struct loader *l, size_t i)
{
	return config_setting_type(setting_near(l, "upstreams.[%zu].password_file", i)) == CONFIG_TYPE_STRING ||
	       config_setting_type(setting_near(l, "upstreams.[%zu].password", i)) == CONFIG_TYPE_STRING;
}

/* A certificate and its key belong together, and are shown in TLS. A login beside them without another secret is by EXTERNAL. */
static void check_certificate(struct loader *l, size_t i)
{
	static struct str external[] = { { "EXTERNAL", 8 } };
	struct cfg_upstream *u = &l->config->upstreams[i];

	if ((u->certificate.n > 0) != (u->certificate_key.n > 0))
		fault(l, setting_near(l, "upstreams.[%zu].%s", i, u->certificate.n ? "certificate" : "certificate_key"),
		      "upstreams: expected both certificate and certificate_key, or none of them");
	if (u->certificate.n > 0 && u->tls == UPSTREAM_NONE)
		fault(l, setting_near(l, "upstreams.[%zu].tls", i),
		      "upstreams: expected another tls than \"none\": a certificate is shown in TLS");
	if (u->certificate.n > 0 && u->login.n > 0 && !has_password(l, i) && u->oauth.provider == OAUTH_NONE &&
	    u->mechanisms.n == 0)
		u->mechanisms = (struct str_list){ external, 1 };
}

/* A login needs a secret: a password, OAuth's token, or a certificate. */
static void check_credentials(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];

	if (u->login.n > 0 && !has_password(l, i) && u->oauth.provider == OAUTH_NONE && u->certificate.n == 0)
		fault(l, setting_near(l, "upstreams.[%zu].login", i),
		      "upstreams: expected password_file (or password) beside login");
	if (u->login.n == 0 && u->password.n > 0)
		fault(l, setting_near(l, "upstreams.[%zu]", i), "upstreams: expected login beside the password");
	if (u->login.n > 0 && u->tls == UPSTREAM_NONE)
		fault(l, setting_near(l, "upstreams.[%zu].tls", i),
		      "upstreams: expected another tls than \"none\": a login is never sent without TLS");
	if (u->login.n > 0 && u->tls == UPSTREAM_OPPORTUNISTIC)
		warning(l, setting_near(l, "upstreams.[%zu].tls", i),
			"upstreams: with tls = \"opportunistic\" no certificate is checked: whoever answers may get the "
			"password");
}

/* Each mechanism that is named must be able to log in. Without any login they are of no effect, which is no fault. */
static void check_mechanisms(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];
	unsigned have = config_credentials(u);

	if (u->certificate.n > 0 && !has_password(l, i))
		have &= ~(unsigned)SASL_PASSWORD;
	for (size_t k = 0; k < u->mechanisms.n && have; k++) {
		const struct sasl_mechanism *m = sasl_find(u->mechanisms.at[k]);
		const char *needs = !m || !(m->needs & ~have)  ? NULL
				    : m->needs & SASL_TOKEN    ? "oauth, which gives the token"
				    : m->needs & SASL_PASSWORD ? "a login with a password; a login by oauth never uses one"
							       : "certificate";

		if (needs)
			fault(l, setting_near(l, "upstreams.[%zu].mechanisms.[%zu]", i, k),
			      "upstreams.mechanisms: expected \"%s\" only beside %s", m->name, needs);
	}
}

/* rewrite_from needs an address. */
static void check_from(struct loader *l, size_t i)
{
	const struct cfg_upstream *u = &l->config->upstreams[i];
	size_t at = str_rfind(u->login, '@');

	if (u->rewrite_from && u->from_address.n == 0 && !upstream_has(l, i, "from_address") && (at == 0 || at + 1 >= u->login.n))
		fault(l, setting_near(l, "upstreams.[%zu].rewrite_from", i),
		      "upstreams: expected from_address beside rewrite_from, because login is no mail address");
	if (!u->rewrite_from && u->from_address.n > 0)
		warning(l, setting_near(l, "upstreams.[%zu].from_address", i),
			"upstreams: from_address is not used without rewrite_from = true");
}

void upstreams_check(struct loader *l)
{
	for (size_t i = 0; i < l->config->upstreams_n; i++) {
		profile_apply(l, i);
		set_port(&l->config->upstreams[i]);
		check_host(l, i);
		check_names(l, i);
		rates_check(l, setting_near(l, "upstreams.[%zu].messages", i), "upstreams.messages",
			    &l->config->upstreams[i].messages);
		oauth_check(l, i);
		rates_check(l, setting_near(l, "upstreams.[%zu].recipients", i), "upstreams.recipients",
			    &l->config->upstreams[i].recipients);
		check_certificate(l, i);
		check_credentials(l, i);
		check_from(l, i);
		check_mechanisms(l, i);
		check_port(l, i);
		check_trust(l, i);
		secret_place_check(l, setting_exact(l, "upstreams.[%zu].password", i), "upstreams");
	}
}
