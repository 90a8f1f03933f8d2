/* conversation.c - one login with Cyrus SASL: a connection of the library, its call-backs into this program, and what its results
 * mean on the wire. */
#include "cyrus.h"
#include "gs2.h"
#include "internal.h"

#include <sasl/sasl.h>
#include <stdlib.h>
#include <string.h>

#define CALLBACKS 5

/* The first message of a SCRAM client names its channel binding. Cyrus must know the binding before it reads this message. */
enum scram { NOT_SCRAM, SCRAM_FIRST, SCRAM_PLUS_FIRST, SCRAM_BEGUN };

struct conversation {
	sasl_conn_t *sasl;
	sasl_callback_t callbacks[CALLBACKS];
	struct arena arena; /* as long as the conversation */
	struct arena step;  /* a step's results */
	struct conversation_config config;
	struct str fault, warning;
	struct str tried_name, tried_device; /* in their full form; "": not readable */
	enum scram scram;
	sasl_channel_binding_t binding;
	struct directory *directory;
	bool unavailable;    /* the account file could not be read */
	bool sql_asks_other; /* than the password */
};

void login_split(struct str login, struct str *name_out, struct str *device_out)
{
	size_t slash = str_find(login, '/');

	*name_out = str_head(login, slash);
	*device_out = str_from(login, slash + 1);
}

/* ---- what Cyrus asks ---- */
/* The full form of a name, so that Cyrus, the plug-in and this role mean the same account. A malformed name cannot exist. */
static int canonical_name(sasl_conn_t *sasl, void *context, const char *in, unsigned in_n, unsigned flags, const char *user_realm,
			  char *out, unsigned out_max, unsigned *out_n)
{
	struct conversation *c = context;
	struct str name, device, full;

	if (!account_parse_name(&c->step, str_trim(str_make(in, in_n)) /* some people paste a blank with it */, c->config.realm,
				&name, &device))
		return SASL_BADAUTH;
	if (flags & SASL_CU_AUTHID) {
		c->tried_name =
			arena_str(&c->arena, name); /* few mechanisms ask for it more than once, so the arena stays small */
		c->tried_device = arena_str(&c->arena, device);
	}
	if (!backend_may_know(cyrus_backend(), cyrus_realms(), c->config.realm, name, device))
		return SASL_BADAUTH;
	full = device.n ? arena_printf(&c->step, "%.*s/%.*s", STR_ARG(name), STR_ARG(device)) : name;
	if (full.n >= out_max)
		return SASL_BADAUTH;
	memcpy(out, full.p, full.n);
	out[full.n] = '\0';
	*out_n = (unsigned)full.n;
	return SASL_OK;
}

/* PLAIN's password, and LOGIN's. */
static int check_password(sasl_conn_t *sasl, void *context, const char *user, const char *password, unsigned password_n,
			  struct propctx *properties)
{
	struct conversation *c = context;
	struct str name, device, verifier;

	login_split(str_of(user), &name, &device);
	if (directory_verifier(c->directory, &c->step, name, device, &verifier).class != OK) {
		c->unavailable = true;
		return SASL_UNAVAIL;
	}
	return account_check(verifier, str_make(password, password_n)) ? SASL_OK : SASL_BADAUTH;
}

/* Nobody is allowed to act for another user; with a device's password, the authorization id can be the account of the device. */
static int may_act_for(sasl_conn_t *sasl, void *context, const char *requested, unsigned requested_n, const char *identity,
		       unsigned identity_n, const char *realm, unsigned realm_n, struct propctx *properties)
{
	struct str who, device;

	login_split(str_make(identity, identity_n), &who, &device);
	if (str_eq(str_make(requested, requested_n), str_make(identity, identity_n)) ||
	    str_eq(str_make(requested, requested_n), who))
		return SASL_OK;
	return SASL_BADAUTH;
}

/* The sql plug-in reports a database that does not work only by debugging messages, and then continues as if there were no such
 * user. Its queries for other properties than the password are allowed to fail: with %p in sql_select they ask for columns that
 * need not exist. */
static bool sql_failed(struct conversation *c, int level, struct str message)
{
	static const struct str asks = { "sql plugin create statement from ", 33 }, fault = { "sql plugin: ", 12 };

	if (str_starts(message, asks))
		c->sql_asks_other = !str_starts(str_from(message, asks.n), S("userPassword "));
	else if (str_starts(message, S("sql plugin Parse")))
		c->sql_asks_other = false;
	if (c->sql_asks_other)
		return false;
	return level == SASL_LOG_ERR ||
	       (str_starts(message, fault) && !str_starts(str_from(message, fault.n), S("no result found")));
}

/* Keep Cyrus' own description of a fault. Its more verbose levels contain names of users, which do not belong in the log. */
static int keep_fault(void *context, int level, const char *message)
{
	struct conversation *c = context;
	struct str text = str_trim(str_of(message));

	if (level == SASL_LOG_WARN && !cyrus_backend()->is_sql)
		c->warning = arena_str(&c->step, str_head(text, 512));
	else if (cyrus_backend()->is_sql ? sql_failed(c, level, text) : level == SASL_LOG_ERR)
		c->fault = arena_str(&c->step, str_head(text, 512));
	return SASL_OK;
}

/* ---- life ---- */
/* The last one but the end is for the account file alone. */
static void set_callbacks(struct conversation *c)
{
#define CALLBACK(id, function) { id, (int (*)(void))(void (*)(void))function, c }
	sasl_callback_t callbacks[CALLBACKS] = {
		CALLBACK(SASL_CB_CANON_USER, canonical_name),
		CALLBACK(SASL_CB_PROXY_POLICY, may_act_for),
		CALLBACK(SASL_CB_LOG, keep_fault),
		CALLBACK(SASL_CB_SERVER_USERDB_CHECKPASS, check_password),
		{ SASL_CB_LIST_END, NULL, NULL },
	};
#undef CALLBACK

	if (!backend_is_ours(cyrus_backend()))
		callbacks[CALLBACKS - 2].id = SASL_CB_LIST_END;
	memcpy(c->callbacks, callbacks, sizeof(callbacks));
}

/* No anonymous logins; no security layer of SASL, because TLS is in use. */
static bool set_properties(struct conversation *c)
{
	static const sasl_security_properties_t security = {
		.min_ssf = 0, .max_ssf = 0, .maxbufsize = 0, .security_flags = SASL_SEC_NOANONYMOUS
	};
	sasl_ssf_t bits = c->config.tls_bits;

	return sasl_setprop(c->sasl, SASL_SEC_PROPS, &security) == SASL_OK &&
	       sasl_setprop(c->sasl, SASL_SSF_EXTERNAL, &bits) == SASL_OK;
}

struct conversation *conversation_new(struct directory *d, const struct conversation_config *config)
{
	struct conversation *c = NEW(struct conversation);

	c->directory = d;
	c->config = *config;
	set_callbacks(c);
	if (sasl_server_new(config->service, config->hostname, NULL, NULL, NULL, c->callbacks, SASL_SUCCESS_DATA, &c->sasl) !=
		    SASL_OK ||
	    !set_properties(c)) {
		conversation_free(c);
		return NULL;
	}
	return c;
}

void conversation_free(struct conversation *c)
{
	if (!c)
		return;
	if (c->sasl)
		sasl_dispose(&c->sasl);
	arena_fini(&c->arena);
	arena_fini(&c->step);
	free(c);
}

/* ---- steps ---- */
static void begin_step(struct conversation *c)
{
	arena_reset(&c->step);
	c->fault = c->warning = str_of("");
	c->unavailable = false;
}

/* Get the name of the user. False: Cyrus does not give it, which is a fault of Cyrus. */
static bool read_identity(struct conversation *c, struct conversation_result *r)
{
	const void *identity = NULL;
	struct str name, device;

	if (sasl_getprop(c->sasl, SASL_AUTHUSER, &identity) != SASL_OK || !identity)
		return false;
	login_split(str_of(identity), &name, &device);
	r->name = arena_str(&c->step, name);
	r->device = arena_str(&c->step, device);
	return r->name.n > 0;
}

static struct verdict wrong(void)
{
	return perm(535, S("5.7.8"), S("authentication failed"));
}

/* Cyrus reports it as a protocol error; by RFC 5802 section 6 the login must fail. */
static bool binding_differs(struct conversation *c, int result)
{
	const char *detail = sasl_errdetail(c->sasl);

	return result == SASL_BADPROT && c->scram == SCRAM_BEGUN && detail && strstr(detail, "hannel binding");
}

/* Turn Cyrus' results into verdicts, with the codes of RFC 4954 section 6. */
static struct conversation_result conclude(struct conversation *c, int result, const char *out, unsigned out_n)
{
	struct conversation_result r = { .verdict = temp(454, S("4.7.0"), S("authentication is not possible at present")) };

	if (c->unavailable)
		return r; /* directory.c has logged the reason */
	if (binding_differs(c, result)) {
		r.misbound = S("the client is bound to another TLS connection");
		result = SASL_BADAUTH;
	}
	if (c->fault.n && result != SASL_OK && result != SASL_BADPROT && result != SASL_BADPARAM) {
		r.fault = c->fault; /* the back-end does not work, so the login is neither right nor wrong */
		return r;
	}
	switch (result) {
	case SASL_OK:
		if (!read_identity(c, &r)) {
			r.fault = S("Cyrus SASL accepted a login without a name");
			return r;
		}
		r.verdict = ok_text(235, S("2.7.0"), S("authentication successful"));
		r.challenge = arena_str(&c->step, str_make(out ? out : "", out_n));
		return r;
	case SASL_CONTINUE:
		r.verdict = ok_text(334, S(""), S(""));
		r.challenge = arena_str(&c->step, str_make(out ? out : "", out_n));
		return r;
	case SASL_BADAUTH:
	case SASL_NOUSER:
	case SASL_NOAUTHZ:
	case SASL_NOVERIFY:
	case SASL_BUFOVER:
		r.verdict = wrong();
		r.fault = c->warning;
		r.name = c->tried_name;
		r.device = c->tried_device;
		return r;
	case SASL_BADPROT:
	case SASL_BADPARAM: r.verdict = perm(501, S("5.5.2"), S("not an answer of this mechanism")); return r;
	case SASL_NOMECH: r.verdict = perm(504, S("5.5.4"), S("unrecognized authentication mechanism")); return r;
	default: r.fault = arena_str(&c->step, str_of(sasl_errdetail(c->sasl))); return r;
	}
}

/* ---- channel binding (RFC 5802 section 6) ---- */
/* Cyrus has one binding at a time and keeps the pointer: the binding can change until Cyrus reads the client's first message.
 * It is not marked as critical: that would hide every mechanism without channel binding. */
static bool bind_to(struct conversation *c, const char *type, struct str value)
{
	c->binding =
		(sasl_channel_binding_t){ .name = type, .critical = 0, .len = value.n, .data = (const unsigned char *)value.p };
	return value.n > 0 && sasl_setprop(c->sasl, SASL_CHANNEL_BINDING, &c->binding) == SASL_OK;
}

/* Read the channel binding from the client's first message. False: the login must fail; *why_out has the reason. */
static bool begin_scram(struct conversation *c, struct str first, struct conversation_result *why_out)
{
	bool plus = c->scram == SCRAM_PLUS_FIRST;
	struct str type;
	enum gs2_binding says;

	if ((c->scram != SCRAM_FIRST && !plus) || !first.p)
		return true;
	c->scram = SCRAM_BEGUN;
	says = gs2_read(first, &type);
	if (says == GS2_NOT_OFFERED && c->config.offers_binding) {
		*why_out =
			(struct conversation_result){ .verdict = wrong(),
						      .misbound = S("the client was not told that channel binding is offered") };
		return false;
	}
	if (says == GS2_MALFORMED || (says == GS2_BOUND) != plus) {
		*why_out = conclude(c, SASL_BADPROT, NULL, 0);
		return false;
	}
	if (!plus || (str_eq(type, S("tls-exporter")) && bind_to(c, "tls-exporter", c->config.exporter)) ||
	    (str_eq(type, S("tls-server-end-point")) && bind_to(c, "tls-server-end-point", c->config.end_point)))
		return true;
	*why_out = (struct conversation_result){ .verdict = wrong(),
						 .misbound = S("the client binds in a way that this connection does not have") };
	return false;
}

struct conversation_result conversation_start(struct conversation *c, const char *mechanism, struct str initial)
{
	struct conversation_result refused;
	const char *out = NULL;
	unsigned out_n = 0;
	int result;

	begin_step(c);
	if (strncmp(mechanism, "SCRAM-", 6) == 0)
		c->scram = str_iends(str_of(mechanism), S("-PLUS")) ? SCRAM_PLUS_FIRST : SCRAM_FIRST;
	/* without a binding Cyrus would not offer the mechanism; the right one is set when the client has named its type */
	if (c->scram == SCRAM_PLUS_FIRST && !bind_to(c, "tls-exporter", c->config.exporter) &&
	    !bind_to(c, "tls-server-end-point", c->config.end_point))
		return conclude(c, SASL_NOMECH, NULL, 0);
	if (!begin_scram(c, initial, &refused))
		return refused;
	result = sasl_server_start(c->sasl, mechanism, initial.p, (unsigned)initial.n, &out, &out_n);
	return conclude(c, result, out, out_n);
}

struct conversation_result conversation_step(struct conversation *c, struct str response)
{
	struct conversation_result refused;
	const char *out = NULL;
	unsigned out_n = 0;
	int result;

	begin_step(c);
	response.p = response.p ? response.p : "";
	if (!begin_scram(c, response, &refused))
		return refused;
	result = sasl_server_step(c->sasl, response.p, (unsigned)response.n, &out, &out_n);
	return conclude(c, result, out, out_n);
}

struct conversation_result conversation_check(struct conversation *c, struct str user, struct str password)
{
	struct str name, device;
	int result;

	begin_step(c);
	if (account_parse_name(&c->arena, user, c->config.realm, &name, &device)) {
		c->tried_name = name;
		c->tried_device = device;
	}
	/* Cyrus takes a length of 0 as "ends in NUL", and reads a name up to its first NUL. */
	if (user.n == 0 || password.n == 0 || str_find(user, '\0') < user.n || str_find(password, '\0') < password.n)
		return conclude(c, SASL_BADAUTH, NULL, 0);
	result = sasl_checkpass(c->sasl, user.p, (unsigned)user.n, password.p, (unsigned)password.n);
	return conclude(c, result, NULL, 0);
}
