/* exchange_step.c - handles one answer of the client: looks for it in the cache, or lets a worker check it within the time limit,
 * and asks for the client's next answer (exchange_end.c: when there is none).
 *
 * No standard describes LOGIN: this program has its own dialogue for it, and Cyrus checks the name and the password. */
#include "exchange.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#define CLIENT_MS       (10 * MINUTE_MS) /* submission closes the session long before */
#define FAULT_REPEAT_MS MINUTE_MS        /* the same fault is logged once in this time */

/* Other back-ends need a little more or less time when they do not know the name: one look-up less, no hash. An answer that is
 * given at the next multiple of this time does not show the difference. */
#define GRAIN_MS 50

static void on_worked(struct job *job, bool ran);
static void on_time_limit(uv_timer_t *timer);
static void on_grain(uv_timer_t *timer);

static const struct verdict unable = { TEMP, 454, S("4.7.0"), S("authentication is not possible at present") };

/* ---- the log ---- */
/* Log a fault on this side, once a minute while it is the same. */
static void log_fault(struct login *l, struct str reason)
{
	uint64_t now = clock_mono_ms();

	if (reason.n == 0)
		return;
	if (str_eq(reason, secret_view(&l->fault)) && now - l->fault_logged_at < FAULT_REPEAT_MS)
		return;
	log_error(NULL, "login.faulted", kv("reason", reason));
	secret_set(&l->fault, reason);
	l->fault_logged_at = now;
}

/* ---- the cache ---- */
/* RFC 4616: authorization id, NUL, name, NUL, password. False: it has another form, or acts for another
 * user; Cyrus then finds the fault. */
static bool read_plain(struct exchange *e, struct str response, struct str *name_out, struct str *device_out,
		       struct str *password_out)
{
	struct str acts_for = str_head(response, str_find(response, '\0'));
	struct str rest = str_from(response, acts_for.n + 1);
	struct str user = str_head(rest, str_find(rest, '\0')), name, device;

	*password_out = str_from(rest, user.n + 1);
	if (!account_parse_name(&e->arena, user, e->config.realm, name_out, device_out))
		return false;
	if (acts_for.n == 0)
		return true;
	return account_parse_name(&e->arena, acts_for, e->config.realm, &name, &device) && str_eq(name, *name_out) &&
	       (device.n == 0 || str_eq(device, *device_out));
}

/* Get name and password from the response, when the mechanism sends a password and is not SCRAM. */
static bool read_password(struct exchange *e, struct str *name_out, struct str *device_out, struct str *password_out)
{
	struct str response = secret_view(&e->response);

	if (e->expects == EXPECT_PASSWORD) {
		*password_out = response;
		return account_parse_name(&e->arena, secret_view(&e->user), e->config.realm, name_out, device_out);
	}
	return strcmp(e->mechanism, "PLAIN") == 0 && read_plain(e, response, name_out, device_out, password_out);
}

/* Was this password right a short time ago, and is it not locked or expired? Then no worker is needed. Other back-ends do
 * not report that a password has changed, so their results are not kept. */
static bool in_cache(struct exchange *e)
{
	struct str name, device, password;
	struct login *l = e->login;

	e->key.usable = false;
	if (!read_password(e, &name, &device, &password))
		return false;
	e->key = cache_key_of(l->cache, name, device, password);
	if (!backend_is_ours(l->backend) || !cache_has(l->cache, &e->key, clock_mono_ms()) ||
	    directory_end(l->directory, name, device) != PASSWORD_GOOD)
		return false;
	e->result = (struct conversation_result){ .verdict = ok_text(235, S("2.7.0"), S("authentication successful")),
						  .name = name,
						  .device = device };
	l->from_cache++;
	return true;
}

/* ---- steps ---- */
/* On a worker thread: uses no field of the exchange that the loop can use meanwhile. */
static void work_step(struct job *job)
{
	struct exchange *e = CONTAINER_OF(job, struct exchange, job);
	struct str response = secret_view(&e->response);

	if (!e->conversation)
		e->conversation = conversation_new(e->login->directory, &e->config);
	if (!e->conversation)
		e->result = (struct conversation_result){ .verdict = unable, .fault = S("Cyrus SASL cannot open a connection") };
	else if (e->expects == EXPECT_PASSWORD)
		e->result = conversation_check(e->conversation, secret_view(&e->user), response);
	else if (e->expects == EXPECT_START)
		e->result = conversation_start(e->conversation, e->mechanism, response);
	else
		e->result = conversation_step(e->conversation, response);
}

/* 334: ask the client for more. */
static void ask(struct exchange *e)
{
	e->expects = EXPECT_STEP;
	ipc_send_login_reply(
		e->ch,
		&(struct msg_login_reply){ .call = e->call, .verdict = e->result.verdict, .challenge = e->result.challenge }, -1);
	exchange_enter(e, EXCHANGE_WAITING);
	uv_timer_start(&e->timer, on_time_limit, CLIENT_MS, 0);
}

/* A step is done, by a worker or from the cache. */
static void end_step(struct exchange *e)
{
	const struct conversation_result *r = &e->result;

	secret_fini(&e->response);
	log_fault(e->login, r->fault);
	if (r->verdict.class == OK && r->verdict.code == 334)
		ask(e);
	else
		exchange_conclude(e);
}

void exchange_take_response(struct exchange *e, struct str response)
{
	secret_set(&e->response, response);
	if (in_cache(e)) {
		end_step(e);
		return;
	}
	exchange_enter(e, EXCHANGE_WORKING);
	e->step_began_at = clock_mono_ms();
	e->job = (struct job){ .work = work_step, .done = on_worked };
	uv_timer_start(&e->timer, on_time_limit, e->step_ms, 0);
	workers_run(e->login->workers, &e->job);
}

static void on_worked(struct job *job, bool ran)
{
	struct exchange *e = CONTAINER_OF(job, struct exchange, job);

	if (e->state == EXCHANGE_ORPHANED) {
		exchange_close(e);
		return;
	}
	uv_timer_stop(&e->timer);
	if (!ran)
		e->result = (struct conversation_result){ .verdict = unable, .fault = S("the system gives no more threads") };
	if (e->result.verdict.class == OK && e->result.verdict.code == 235 &&
	    e->generation == directory_generation(e->login->directory))
		cache_put(e->login->cache, &e->key, clock_mono_ms());
	if (backend_is_ours(e->login->backend) || (e->result.verdict.class == OK && e->result.verdict.code == 235))
		end_step(e);
	else
		uv_timer_start(&e->timer, on_grain, GRAIN_MS - (clock_mono_ms() - e->step_began_at) % GRAIN_MS, 0);
}

static void on_grain(uv_timer_t *timer)
{
	end_step(timer->data);
}

/* The worker has not finished in time, or submission has forgotten the client. */
static void on_time_limit(uv_timer_t *timer)
{
	struct exchange *e = timer->data;

	if (e->state == EXCHANGE_WORKING) {
		struct verdict late = temp(454, S("4.7.0"), S("authentication takes too long, try again later"));

		log_fault(e->login, S("a login took longer than auth.timeout"));
		count_login(e->login, late);
		answer_verdict(e->ch, e->call, late);
	}
	exchange_leave(e);
}

void exchange_step(struct login *l, struct channel *ch, const struct msg_login_step *m)
{
	struct exchange *e = exchange_find(l, ch, m->session);

	if (!e) {
		answer_verdict(ch, m->call, temp(454, S("4.7.0"), S("the login was interrupted, begin again")));
		return;
	}
	if (e->state != EXCHANGE_WAITING) {
		answer_verdict(ch, m->call, perm(503, S("5.5.1"), S("the last answer is still being checked")));
		return;
	}
	e->call = m->call;
	login_refresh(l); /* on a fault the accounts from before stay in use */
	exchange_take_response(e, m->response);
}
