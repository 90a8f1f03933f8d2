/* exchange.c - the client's responses in each mechanism. */
#include "scram.h"

#include "posthouse/sasl.h"

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

/* ---- PLAIN ---- */

/* RFC 4616: no authorization id, NUL, login, NUL, password. */
static struct verdict plain_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out)
{
	size_t n = 1 + c->login.n + 1 + c->password.n;
	char *p = xcalloc(n, 1);

	memcpy(p + 1, c->login.p, c->login.n);
	memcpy(p + 1 + c->login.n + 1, c->password.p, c->password.n);
	secret_set(response_out, str_make(p, n));
	wipe(p, n);
	free(p);
	x->done = true;
	return ok();
}

/* ---- LOGIN: the first challenge asks for the name, the second for the password; their words differ between servers ---- */

static struct verdict login_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out)
{
	secret_set(response_out, c->login);
	return ok();
}

static struct verdict login_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
				 struct secret *response_out)
{
	secret_set(response_out, c->password);
	x->done = true;
	return ok();
}

/* ---- SCRAM: see scram.h ---- */

static struct verdict scram_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out)
{
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

static const struct {
	struct verdict (*initial)(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out);
	struct verdict (*step)(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			       struct secret *response_out);
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

struct verdict sasl_initial(struct sasl_exchange *x, const struct sasl_credentials *c, struct secret *response_out)
{
	return functions[x->mechanism->id].initial(x, c, response_out);
}

struct verdict sasl_step(struct sasl_exchange *x, const struct sasl_credentials *c, struct str challenge,
			 struct secret *response_out)
{
	if (!functions[x->mechanism->id].step)
		return temp(454, S("4.7.0"),
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
