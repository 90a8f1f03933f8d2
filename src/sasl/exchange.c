/* exchange.c - the client's responses in each mechanism. */
#include "scram.h"

#include "posthouse/sasl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ITERATIONS_SHORT 20000 /* 7 ms */

struct sasl_exchange {
	const struct sasl_mechanism *mechanism;
	struct arena arena; /* texts of verdicts */
	bool done;
	enum sasl_work_left work_left;
	/* SCRAM */
	struct scram scram;
	struct scram_work work;
	bool proved, salted; /* proved: the client's proof was sent, and that of the server is expected */
};

/* The client's last response. It is written once, into memory of its own that is wiped. */
__attribute__((format(printf, 3, 4))) static struct verdict respond(struct sasl_exchange *x, struct secret *response_out,
								    const char *format, ...)
{
	va_list arguments;
	char *text;
	int n;

	va_start(arguments, format);
	n = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = xmalloc((size_t)n + 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)n + 1, format, arguments);
	va_end(arguments);
	secret_set(response_out, str_make(text, (size_t)n));
	wipe(text, (size_t)n);
	free(text);
	x->done = true;
	return ok();
}

/* ---- EXTERNAL (RFC 4422 appendix A): the certificate of the TLS session says who we are, the login for which we send ---- */

static struct verdict external_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				       struct secret *response_out)
{
	return respond(x, response_out, "%.*s", STR_ARG(c->login));
}

/* ---- tokens: OAUTHBEARER (RFC 7628), and XOAUTH2, which Google and Microsoft had before ---- */

/* RFC 6750 section 2.1 has fewer characters; none else can end a field of the response. */
static struct verdict check_token(struct str token)
{
	if (token.n == 0)
		return temp(454, S("4.7.0"), S("no token yet"));
	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] <= ' ' || token.p[i] > '~')
			return temp(454, S("4.7.8"), S("the token has characters that no token can have"));
	return ok();
}

static struct verdict oauthbearer_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
					  struct secret *response_out)
{
	struct verdict v = check_token(c->token);
	struct str login = scram_escape(&x->arena, c->login);

	if (v.class != OK)
		return v;
	return respond(x, response_out, "n,a=%.*s,\001host=%.*s\001port=%u\001auth=Bearer %.*s\001\001", STR_ARG(login),
		       STR_ARG(c->host), c->port, STR_ARG(c->token));
}

/* RFC 7628 section 3.2.3: the challenge says in JSON why the token is refused; the answer to it lets the server end the
 * exchange. */
static struct verdict oauthbearer_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				       struct secret *response_out)
{
	return respond(x, response_out, "\001");
}

static struct verdict xoauth2_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				      struct secret *response_out)
{
	struct verdict v = check_token(c->token);

	if (v.class != OK)
		return v;
	return respond(x, response_out, "user=%.*s\001auth=Bearer %.*s\001\001", STR_ARG(c->login), STR_ARG(c->token));
}

/* The same as in OAUTHBEARER, but the answer is an empty line. */
static struct verdict xoauth2_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				   struct secret *response_out)
{
	return respond(x, response_out, "%s", "");
}

/* ---- PLAIN ---- */

/* RFC 4616: no authorization id, NUL, login, NUL, password. */
static struct verdict plain_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				    struct secret *response_out)
{
	return respond(x, response_out, "%c%.*s%c%.*s", '\0', STR_ARG(c->login), '\0', STR_ARG(c->password));
}

/* ---- LOGIN: the first challenge asks for the name, the second for the password; their words differ between servers ---- */

static struct verdict login_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				    struct secret *response_out)
{
	secret_set(response_out, c->login);
	return ok();
}

static struct verdict login_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				 struct secret *response_out)
{
	return respond(x, response_out, "%.*s", STR_ARG(c->password));
}

/* ---- CRAM-MD5 (RFC 2195) ---- */

static struct verdict cram_md5_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				       struct secret *response_out)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned n = 0;

	if (challenge.n == 0)
		return temp(454, S("4.7.8"), S("the upstream's CRAM-MD5 challenge is empty"));
	if (!HMAC(EVP_md5(), c->password.p, (int)c->password.n, (const unsigned char *)challenge.p, challenge.n, mac, &n))
		return temp(454, S("4.7.8"), S("OpenSSL does not compute MD5 here"));
	for (unsigned i = 0; i < n; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", mac[i]);
	return respond(x, response_out, "%.*s %s", STR_ARG(c->login), hex);
}

/* ---- SCRAM: see scram.h ---- */

static struct verdict scram_sha_256_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
					    struct secret *response_out)
{
	return scram_first(&x->scram, c->login, S(""), response_out);
}

static struct verdict scram_sha_1_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
					  struct secret *response_out)
{
	x->scram.hash = SCRAM_SHA1;
	return scram_first(&x->scram, c->login, S(""), response_out);
}

static struct verdict scram_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				 struct secret *response_out)
{
	struct verdict v;

	if (x->proved) {
		v = scram_verify(&x->scram, challenge);
		x->done = v.class == OK;
		return v;
	}
	v = scram_challenge(&x->scram, challenge, c->password, &x->work);
	if (v.class == OK)
		x->work_left = x->work.iterations <= ITERATIONS_SHORT ? SASL_SHORT_WORK : SASL_LONG_WORK;
	return v;
}

static void scram_work(struct sasl_exchange *x)
{
	x->salted = scram_salt(&x->work);
}

static struct verdict scram_worked(struct sasl_exchange *x, struct secret *response_out)
{
	struct verdict v = temp(454, S("4.7.0"), S("OpenSSL could not hash the password"));

	if (x->salted)
		v = scram_proof(&x->scram, &x->work, response_out);
	scram_work_fini(&x->work);
	x->proved = v.class == OK;
	return v;
}

/* ---- the functions of sasl.h ---- */

typedef struct verdict (*respond_fn)(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				     struct secret *response_out);

static const struct {
	respond_fn initial, step;
	void (*work)(struct sasl_exchange *x);
	struct verdict (*worked)(struct sasl_exchange *x, struct secret *response_out);
} functions[] = {
#define SASL(id, name, needs, traits, initial, step, work, worked) { initial, step, work, worked },
#include "posthouse/sasl.def"
};

struct sasl_exchange *sasl_new(const struct sasl_mechanism *m)
{
	struct sasl_exchange *x = NEW(struct sasl_exchange);

	x->mechanism = m;
	return x;
}

void sasl_free(struct sasl_exchange *x)
{
	if (!x)
		return;
	scram_work_fini(&x->work);
	scram_fini(&x->scram);
	arena_fini(&x->arena);
	free(x);
}

struct verdict sasl_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			    struct secret *response_out)
{
	return functions[x->mechanism->id].initial(x, c, challenge, response_out);
}

struct verdict sasl_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			 struct secret *response_out)
{
	if (!functions[x->mechanism->id].step)
		return temp(454, S("4.7.8"),
			    arena_printf(&x->arena, "the upstream asks for more than %s has", x->mechanism->name));
	return functions[x->mechanism->id].step(x, c, challenge, response_out);
}

enum sasl_work_left sasl_work_left(const struct sasl_exchange *x)
{
	return x->work_left;
}

void sasl_work(struct sasl_exchange *x)
{
	functions[x->mechanism->id].work(x);
}

struct verdict sasl_worked(struct sasl_exchange *x, struct secret *response_out)
{
	x->work_left = SASL_NO_WORK;
	return functions[x->mechanism->id].worked(x, response_out);
}

bool sasl_is_done(const struct sasl_exchange *x)
{
	return x->done;
}
