/* shared.c - accounts that several nodes share: a table of the database, of which our account file is a copy. Logins go by the
 * file, whether the database is there or not. queue tells which version the table has; when it is another one than that of the
 * file, the lines are read and the file follows. A change is made in the table first, on condition that this still has the
 * version of our file: no node undoes the change of another one. A table that nobody has filled gets what our file has.
 *
 * One step is made at a time; next() begins it, and it goes on in the order of this file. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/file.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <assert.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS   2000
#define PERSIST_MS 4000 /* so long a change is begun again when other nodes were quicker; who ordered it waits for 15 s */

static void next(struct login *l);
static void on_lines(void *ctx, struct verdict v, const struct msg_accounts_lines *m, int fd);
static void on_planned(uv_work_t *work, int status);
static void on_committed(void *ctx, struct verdict v, const struct msg_accounts_committed *m, int fd);
static void on_followed(uv_work_t *work, int status);

/* ---- what asks for a step ---- */

static void on_retry(uv_timer_t *timer)
{
	struct login *l = timer->data;

	l->shared.news = true;
	next(l);
}

void shared_init(struct login *l)
{
	l->shared.version = VERSION_UNKNOWN;
	uv_timer_init(l->loop, &l->shared.retry);
	uv_unref((uv_handle_t *)&l->shared.retry); /* the timer does not keep the loop alive */
	l->shared.retry.data = l;
}

void shared_close(struct login *l)
{
	uv_close((uv_handle_t *)&l->shared.retry, NULL);
}

void shared_version(struct login *l, struct channel *ch, const struct msg_accounts_version *m)
{
	if (l->config->store.engine != ENGINE_POSTGRESQL)
		return; /* this queue has nothing to say about accounts */
	l->shared.news = l->shared.news || m->version != l->shared.version;
	next(l);
}

void shared_change(struct change *c)
{
	struct shared *s = &c->login->shared;

	s->change = c;
	s->committed = false;
	s->give_up_at = clock_mono_ms() + PERSIST_MS;
	next(c->login);
}

/* ---- its beginning and its end ---- */

static void begin_work(struct login *l, uv_work_cb work, uv_after_work_cb done)
{
	int status;

	l->shared.step.work.data = l;
	status = uv_queue_work(l->loop, &l->shared.step.work, work, done);
	assert(status == 0); /* it can fail only without a callback */
}

static void work_plan(uv_work_t *work);

static void next(struct login *l)
{
	struct shared *s = &l->shared;
	bool reads = s->news || s->version == VERSION_UNKNOWN;

	if (s->step.kind != STEP_NONE || !(s->news || s->change))
		return;
	s->step = (struct shared_step){ .kind = reads ? STEP_READ : STEP_CHANGE, .fd = -1 };
	accounts_plan_init(&s->step.plan);
	s->news = false;
	if (reads)
		ipc_call_accounts_read(role_peer(l->role, ROLE_QUEUE, 0), &(struct msg_accounts_read){ 0 }, -1, on_lines, l);
	else
		begin_work(l, work_plan, on_planned);
}

static void end_step(struct login *l)
{
	struct shared_step *step = &l->shared.step;

	if (step->fd >= 0)
		close(step->fd);
	accounts_plan_fini(&step->plan);
	arena_fini(&step->arena);
	step->kind = STEP_NONE;
	next(l);
}

static void end_change(struct shared *s, struct verdict v)
{
	struct change *c = s->change;

	s->change = NULL;
	if (!c)
		return;
	c->verdict = verdict_keep(&c->arena, v);
	c->made(c);
}

/* The step has failed, and the file is perhaps behind: it is tried again. */
static void fail_step(struct login *l, struct verdict v)
{
	struct shared *s = &l->shared;

	if (s->change && s->committed)
		v = temp(451, S("4.3.0"),
			 arena_printf(&s->step.arena, "it is changed, but this node does not follow so far: %.*s",
				      STR_ARG(v.text)));
	s->version = VERSION_UNKNOWN;
	uv_timer_start(&s->retry, on_retry, RETRY_MS, 0);
	end_change(s, v);
	end_step(l);
}

/* Something is wrong that does not pass with an outage: the log has it once. */
static void fail_and_tell(struct login *l, struct verdict v)
{
	if (!l->shared.told)
		log_error(NULL, "accounts.behind", kv("reason", v.text));
	l->shared.told = true;
	fail_step(l, v);
}

/* ---- reading the table ---- */

static void work_follow(uv_work_t *work);

/* Nobody has filled the table: our file does. */
static void begin_to_fill(struct login *l)
{
	const struct accounts *accounts;

	l->shared.version = 0;
	login_refresh(l); /* it logs a file that cannot be read, which fills nothing */
	accounts = directory_accounts(l->directory);
	if (!accounts || accounts_count(accounts) == 0) {
		end_step(l);
		return;
	}
	l->shared.step.kind = STEP_FILL;
	begin_work(l, work_plan, on_planned);
}

static void on_lines(void *ctx, struct verdict v, const struct msg_accounts_lines *m, int fd)
{
	struct login *l = ctx;
	struct shared_step *step = &l->shared.step;

	step->fd = fd;
	if (v.class != OK || m->verdict.class != OK) {
		fail_step(l, v.class != OK ? v : m->verdict);
	} else if (m->version == 0) {
		begin_to_fill(l);
	} else {
		step->version = m->version;
		begin_work(l, work_follow, on_followed);
	}
}

/* ---- changing the table ---- */

static struct verdict plan(const struct login *l, struct accounts *accounts, struct accounts_plan *p)
{
	const struct msg_account_change *m = &l->shared.change->wanted;
	struct account what = {
		.name = m->name, .device = m->device, .verifier = m->verifier, .expires_at = m->expires_at, .reason = m->reason
	};

	return accounts_plan(accounts, (enum account_operation)m->operation, &what, p);
}

/* An empty table gets all lines, also by a change. */
static bool write_lines(const struct shared *s, int fd)
{
	return file_write(fd, buf_view(s->version == 0 ? &s->step.plan.file : &s->step.plan.changes));
}

static void work_plan(uv_work_t *work)
{
	struct login *l = work->data;
	struct shared_step *step = &l->shared.step;
	struct verdict v;
	struct accounts *accounts = accounts_open(directory_state_dir(l->directory), &v);

	if (accounts)
		v = step->kind == STEP_FILL ? accounts_plan_all(accounts, &step->plan) : plan(l, accounts, &step->plan);
	step->verdict = verdict_keep(&step->arena, v);
	accounts_close(accounts);
	if (v.class != OK)
		return;
	if (step->fd >= 0)
		close(step->fd);
	step->fd = memfd_create("accounts", MFD_CLOEXEC);
	if (step->fd < 0 || !write_lines(&l->shared, step->fd))
		step->verdict = temp(451, S("4.3.0"), S("there is no room for a copy of the accounts"));
}

static void on_planned(uv_work_t *work, int status)
{
	struct login *l = work->data;
	struct shared *s = &l->shared;
	struct msg_accounts_commit m = { .version = s->version };

	if (s->step.verdict.class == OK) {
		ipc_call_accounts_commit(role_peer(l->role, ROLE_QUEUE, 0), &m, s->step.fd, on_committed, l);
	} else if (s->step.kind == STEP_FILL) {
		fail_and_tell(l, s->step.verdict);
	} else {
		end_change(s, s->step.verdict);
		end_step(l);
	}
}

/* The table has another version than our file: read it, then go on from that. */
static void begin_again(struct login *l, struct verdict v)
{
	struct shared *s = &l->shared;

	s->version = VERSION_UNKNOWN;
	s->news = true;
	if (s->step.kind == STEP_CHANGE && !s->committed && clock_mono_ms() >= s->give_up_at)
		end_change(s, v);
	end_step(l);
}

static void on_committed(void *ctx, struct verdict v, const struct msg_accounts_committed *m, int fd)
{
	struct login *l = ctx;
	struct shared *s = &l->shared;

	if (v.class != OK) {
		fail_step(l, temp(451, S("4.3.0"),
				  S("queue has not answered, and perhaps it is changed: see `posthouse user list`")));
	} else if (m->verdict.class == PERM && s->step.kind == STEP_FILL) {
		fail_and_tell(l, m->verdict);
	} else if (m->verdict.class == PERM) {
		end_change(s, m->verdict);
		end_step(l);
	} else if (m->verdict.class == TEMP && m->version == 0) {
		fail_step(l, m->verdict);
	} else if (m->verdict.class == TEMP) {
		begin_again(l, m->verdict);
	} else {
		s->committed = s->step.kind == STEP_CHANGE;
		s->step.version = m->version;
		if (m->version == s->version + 1)
			begin_work(l, work_follow, on_followed);
		else
			begin_again(l, ok()); /* the table had the change before, and has another one too */
	}
}

/* ---- the file follows ---- */

static struct verdict read_lines(int fd, struct buf *lines)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > ACCOUNTS_BYTES_MAX)
		return temp(451, S("4.3.0"), S("queue has sent no file of accounts"));
	if (file_read_at(fd, buf_reserve(lines, (size_t)st.st_size), (size_t)st.st_size, 0) != st.st_size)
		return temp(451, S("4.3.0"), S("the file of accounts from queue cannot be read"));
	buf_claim(lines, (size_t)st.st_size);
	return ok();
}

/* What the first line says. */
static struct str key_of(struct arena *a, struct str lines)
{
	static const struct str begin = { "# login_key=", 12 };

	if (!str_starts(lines, begin))
		return S("");
	lines = str_from(lines, begin.n);
	return arena_str(a, str_head(lines, str_find(lines, '\n')));
}

/* The lines are those of the table, or of the plan that is in the table now. */
static void work_follow(uv_work_t *work)
{
	struct login *l = work->data;
	struct shared_step *step = &l->shared.step;
	struct accounts *accounts = NULL;
	struct verdict v = ok();

	if (step->kind == STEP_READ)
		v = read_lines(step->fd, &step->plan.file);
	step->key = key_of(&step->arena, buf_view(&step->plan.file));
	if (v.class == OK)
		accounts = accounts_open(directory_state_dir(l->directory), &v);
	if (accounts)
		v = accounts_follow(accounts, buf_view(&step->plan.file), &step->lost);
	step->verdict = verdict_keep(&step->arena, v);
	accounts_close(accounts);
}

static void on_followed(uv_work_t *work, int status)
{
	struct login *l = work->data;
	struct shared *s = &l->shared;

	if (s->step.verdict.class != OK) {
		fail_and_tell(l, s->step.verdict);
		return;
	}
	s->version = s->step.version;
	s->told = false;
	directory_share_key(l->directory, s->step.key);
	if (s->step.kind != STEP_READ && s->version == 1)
		s->news = true; /* the table is new, and we have not read the key so far */
	login_refresh(l);
	if (s->step.lost > 0)
		log_warning(NULL, "accounts.set_aside", kv("passwords", s->step.lost));
	log_info(NULL, s->step.kind == STEP_FILL ? "accounts.filled" : "accounts.followed", kv("version", s->version));
	if (s->change && s->committed)
		end_change(s, ok());
	else
		watch_look(l);
	end_step(l);
}
