/* main.c - the doctor role: looks once a day at what can go wrong by itself, and has the postmaster told. */
#include "faults.h"

#include "posthouse/clock.h"
#include "posthouse/directory.h"
#include "posthouse/log.h"
#include "posthouse/machine.h"
#include "posthouse/role.h"
#include "posthouse/units.h"

#include <string.h>
#include <unistd.h>

#define FIRST_MS (5 * MINUTE_MS)  /* after the start */
#define AGAIN_MS (31 * MINUTE_MS) /* after a fault was seen for the first time */
#define APART_MS (30 * MINUTE_MS) /* how far two looks have to be apart that agree about it */

struct daily {
	struct role *role;
	uv_timer_t timer;
	struct doctor_run *run;
	struct arena arena; /* of the look that runs, and of what is told of it */
	struct faults faults;
	const char *path;
	struct faults_news news; /* that the postmaster is told of */
	uint64_t call;           /* to queue; 0: none */
	struct machine_facts machine;
	uint64_t looks; /* that have ended */
};

/* What can go wrong by itself; and what is a matter of time, which somebody has to count. The role has no private keys: the
 * records to publish come with its configuration. */
static struct str checks[] = { { "cert.expiry", 11 }, { "dkim.published", 14 }, { "dkim.match", 10 },
			       { "ptr.exists", 10 },  { "ptr.confirmed", 13 },  { "dnsbl.*", 7 },
			       { "port25.open", 11 }, { "domain.servers", 14 }, { "dmarc.policy", 12 } };

static uint64_t scaled(uint64_t ms)
{
	return clock_scaled(ms, "POSTHOUSE_DOCTOR_DAY_MS", DAY_MS);
}

static void on_timer(uv_timer_t *timer);

static void look_in(struct daily *d, uint64_t ms)
{
	uv_timer_start(&d->timer, on_timer, scaled(ms), 0);
}

static void keep(struct daily *d)
{
	int error;

	faults_told(&d->faults, d->news.known);
	d->news.known = NULL;
	error = faults_write(&d->faults, d->path);
	if (error)
		log_error(NULL, "doctor.unsaved", kv("path", d->path), kv("reason", strerror(error)));
}

/* What was not told is found again by the next look. */
static void on_told(void *ctx, struct verdict v, const struct msg_postmaster_told *m, int fd)
{
	struct daily *d = ctx;

	d->call = 0;
	if (v.class == OK) {
		keep(d);
		return;
	}
	json_decref(d->news.known);
	d->news.known = NULL;
	look_in(d, AGAIN_MS);
}

static void tell(struct daily *d)
{
	struct channel *queue = role_peer(d->role, ROLE_QUEUE, 0);
	const struct msg_tell_postmaster m = { .subject = d->news.subject, .words = d->news.words };

	if (queue)
		d->call = ipc_call_tell_postmaster(queue, &m, -1, on_told, d);
	else
		on_told(d, temp(0, S(""), S("queue is away")), NULL, -1);
}

static void on_done(void *ctx)
{
	struct daily *d = ctx;
	size_t n;
	const struct doctor_finding *findings = doctor_findings(doctor_of(d->run), &n);

	d->news =
		faults_compare(&d->faults, &d->arena, findings, doctor_is_deaf(d->run) ? 0 : n, clock_now_ms(), scaled(APART_MS));
	d->looks++;
	look_in(d, d->news.waits ? AGAIN_MS : DAY_MS);
	if (d->news.subject.n > 0)
		tell(d);
	else
		keep(d);
	doctor_end(d->run);
	d->run = NULL;
}

static void look(struct daily *d)
{
	const struct doctor_hooks hooks = { .ctx = d, .done = on_done };
	struct doctor_options o = { .only = { checks, sizeof checks / sizeof *checks },
				    .machine = &d->machine,
				    .now = clock_now_ms() };

	doctor_look_around(&d->arena, &o);
	d->run = doctor_start(role_loop(d->role), role_config(d->role), &o, &hooks, geteuid(), getegid());
}

static void on_reached(void *ctx, struct verdict v, const struct msg_reached_are *m, int fd)
{
	struct daily *d = ctx;

	d->call = 0;
	if (v.class == OK) {
		d->machine.reached.v4 = arena_str(&d->arena, m->v4);
		d->machine.reached.v6 = arena_str(&d->arena, m->v6);
	}
	look(d);
}

static void on_timer(uv_timer_t *timer)
{
	struct daily *d = timer->data;
	struct channel *queue = role_peer(d->role, ROLE_QUEUE, 0);
	const struct msg_reached m = { .port = (uint64_t)role_config(d->role)->delivery.port };

	if (d->run || d->call)
		return;
	arena_reset(&d->arena);
	d->machine = (struct machine_facts){ 0 };
	if (queue)
		d->call = ipc_call_reached(queue, &m, -1, on_reached, d);
	else
		look(d);
}

/* A look that runs has the old configuration. */
static void apply(struct role *r)
{
	struct daily *d = role_data(r);

	if (d->run)
		look_in(d, FIRST_MS);
	doctor_end(d->run);
	d->run = NULL;
}

static struct verdict start(struct role *r)
{
	struct daily *d = NEW(struct daily);
	struct str dir = role_config(r)->state_dir;

	d->role = r;
	d->path = str_dup(arena_printf(&d->arena, "%.*s/doctor.faults", STR_ARG(directory_of(&d->arena, dir, "doctor"))));
	faults_read(&d->faults, d->path);
	uv_timer_init(role_loop(r), &d->timer);
	d->timer.data = d;
	look_in(d, FIRST_MS);
	role_set_data(r, d);
	return ok();
}

static void stop(struct role *r, uint64_t grace_ms)
{
	struct daily *d = role_data(r);

	doctor_end(d->run);
	d->run = NULL;
	uv_timer_stop(&d->timer);
	faults_free(&d->faults);
	role_stopped(r);
}

static void stats(struct role *r)
{
	const struct daily *d = role_data(r);

	role_stat(r, METRIC_DOCTOR_LOOKS, d->looks);
	role_stat(r, METRIC_DOCTOR_FAULTS, json_object_size(d->faults.known));
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { 0 };
	static const struct role_ops ops = {
		.id = ROLE_DOCTOR, .start = start, .apply = apply, .stop = stop, .stats = stats, .handlers = &handlers
	};

	return role_main(argc, argv, &ops);
}
