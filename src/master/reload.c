/* reload.c - sends configurations to the roles in two phases: each role says whether it can use the new one; then all apply it,
 * or none. */
#include "master.h"

#include "posthouse/file.h"
#include "posthouse/log.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define SLICE_MAX       (64 * MIB)
#define SETTLE_MS       500
#define FAULTS_TEXT_MAX (32 * KIB)
#define WATCH_MAX       64
#define WATCH_MS        5000

struct reload {
	struct master *master;
	struct config *next;
	struct channel *ch; /* gets the answer; NULL: nobody waits for it */
	uint64_t call;
	bool by_itself; /* a certificate file has changed; nobody asked, so nobody would repeat a failed reload */
	size_t waiting;
	struct verdict refused; /* the first refusal; class OK: there is none */
	struct str warnings;    /* for the asker */
	struct arena arena;
};

/* The certificate files: another program renews them at any time. */
static struct {
	uv_fs_poll_t polls[WATCH_MAX];
	size_t n;
	uv_timer_t settle; /* chain and key are replaced one after the other: the reload waits for both */
} watch;
static void on_files_settled(uv_timer_t *timer);

/* The role's slice as a sealed memfd; -1 and a log line when that fails. */
static int slice_fd(const struct config *c, enum role_id role)
{
	int fd = memfd_create("posthouse-slice", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct buf b;
	bool good;

	buf_init(&b, SLICE_MAX);
	good = fd >= 0 && config_slice_encode(c, role, &b) && file_write(fd, buf_view(&b));
	buf_wipe(&b);
	if (good && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	log_error(NULL, "master.failed", kv("what", "configuration slice"), kv("error", strerror(errno)));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- a role that starts ---- */
static void on_child_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct child *c = ctx;
	struct verdict answer = m ? m->verdict : v;

	c->configuring = 0;
	if (answer.class == OK) {
		if (c->state == CHILD_CONFIGURED) /* it can have been told to stop meanwhile */
			c->state = CHILD_APPLYING;
		ipc_send_apply(c->ch, &(struct msg_apply){ .generation = m->generation }, -1);
		return;
	}
	if (!m) { /* it has died and will be restarted, or it is silent */
		if (c->ch && c->state == CHILD_CONFIGURED)
			child_kill(c, SIGABRT, "no answer to its configuration");
		return;
	}
	log_error(NULL, "role.refused", kv("refused", role_name(c->role)), kv("reason", answer.text));
	if (answer.code == CONFIGURED_OTHER_BUILD)
		master_outdated(c->master, c, "its configuration keys are those of another build");
	if (!c->master->all_ready)
		master_stop(c->master, answer.class == PERM ? EX_CONFIG : EX_TEMPFAIL);
	else
		child_kill(c, SIGKILL, "it cannot use the configuration");
}

void configure_child(struct child *c)
{
	struct msg_configure m = { .generation = c->generation = c->master->generation };
	int fd = slice_fd(c->master->config, c->role);

	if (fd < 0) {
		child_kill(c, SIGKILL, "no configuration for it");
		return;
	}
	c->configuring = ipc_call_configure(c->ch, &m, fd, on_child_configured, c);
	close(fd);
}

/* ---- a reload ---- */
/* Log all of them. Returns the first one that is no warning; NULL: there is none. */
static const struct config_fault *log_faults(const struct config_faults *faults)
{
	const struct config_fault *first = NULL;

	for (size_t i = 0; i < faults->n; i++) {
		const struct config_fault *f = &faults->at[i];

		log_at(f->warning ? LOG_WARNING : LOG_ERROR, NULL, "config.fault", kv("file", f->file), kv("line", f->line),
		       kv("text", f->text));
		if (!f->warning && !first)
			first = f;
	}
	return first;
}

/* Each on a line of its own, for the person who asked. */
static struct str faults_text(struct arena *a, const struct config_faults *faults)
{
	struct str text, line;
	struct buf b;

	buf_init(&b, FAULTS_TEXT_MAX);
	for (size_t i = 0; i < faults->n; i++) {
		line = fault_text(a, &faults->at[i]);
		if (b.n + line.n + 1 > FAULTS_TEXT_MAX)
			break;
		buf_printf(&b, "%s%.*s", i ? "\n" : "", STR_ARG(line));
	}
	text = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return text;
}

/* The asker gets the verdict, with the lines in place of its text where there are any. */
static void answer_asker(struct channel *ch, uint64_t call, struct verdict v, struct str lines)
{
	if (v.class == OK)
		log_info(NULL, "config.reloaded");
	else
		log_error(NULL, "config.refused", kv("reason", v.text));
	if (lines.n > 0)
		v.text = lines;
	if (ch)
		ipc_send_reloaded(ch, &(struct msg_reloaded){ .call = call, .verdict = v }, -1);
}

/* All roles have answered: all of them apply the new configuration, or none does. */
static void finish(struct reload *r)
{
	struct master *m = r->master;
	struct config *old = NULL;

	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];

		if (c->state != CHILD_READY || !c->ch)
			continue; /* it gets the configuration in force when it starts */
		if (r->refused.class != OK && c->offered == m->offers)
			ipc_send_abandon(c->ch, &(struct msg_abandon){ .generation = m->offers }, -1);
		else if (r->refused.class == OK && c->offered == m->offers)
			ipc_send_apply(c->ch, &(struct msg_apply){ .generation = m->offers }, -1);
		else if (r->refused.class == OK)
			child_renew(c, S("the configuration was reloaded while it started"));
	}
	if (r->refused.class == OK) {
		m->generation = m->offers;
		old = m->config;
		m->config = r->next;
		log_configure(m->config->log.format == LOG_FORMAT_JSON, (enum log_level)m->config->log.level);
		reload_watch_certificates(m);
		children_follow_config(m);
	} else {
		old = r->next;
	}
	m->reload = NULL;
	notify("READY=1");
	answer_asker(r->ch, r->call, r->refused, r->refused.class == OK ? r->warnings : S(""));
	if (r->by_itself && r->refused.class == TEMP) /* the files will not change again, so the reload is repeated here */
		uv_timer_start(&watch.settle, on_files_settled, WATCH_MS, 0);
	config_free(old);
	arena_fini(&r->arena);
	free(r);
}

/* PERM: the configuration is at fault; TEMP: the cause will pass. Only the first refusal is reported. */
static void refuse(struct reload *r, enum verdict_class class, struct str who, struct str why)
{
	if (r->refused.class == OK)
		r->refused = (struct verdict){ .class = class,
					       .text = arena_printf(&r->arena, "%.*s: %.*s", STR_ARG(who), STR_ARG(why)) };
}

static void on_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct child *c = ctx;
	struct reload *r = c->master->reload;

	if (!m && !c->renewed) /* one that is renewed gets the configuration that is in force when it starts */
		refuse(r, TEMP, str_of(role_name(c->role)), v.text);
	else if (m && m->verdict.class != OK)
		refuse(r, m->verdict.class, S("refused"), m->verdict.text);
	if (--r->waiting == 0)
		finish(r);
}

void reload_child_lost(struct master *m, struct child *c)
{
	if (m->reload && m->reload->ch && c->role == ROLE_CONSOLE)
		m->reload->ch = NULL;
}

static void offer(struct reload *r)
{
	struct master *m = r->master;

	m->offers++;
	r->waiting = 1; /* one for this function: no answer can finish the reload before all roles have been asked */
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		int fd;

		if (c->state != CHILD_READY && !child_is_needed(c))
			continue;
		if (c->renewed)
			continue; /* an earlier reload has it started: it gets the configuration that is in force then */
		if (c->state != CHILD_READY || !c->ch) {
			refuse(r, TEMP, str_of(role_name(c->role)), S("is being restarted, try again"));
			continue;
		}
		fd = slice_fd(r->next, c->role);
		if (fd < 0) {
			refuse(r, TEMP, str_of(role_name(c->role)), S("its slice could not be written"));
			continue;
		}
		r->waiting++;
		c->offered = m->offers;
		ipc_call_configure(c->ch, &(struct msg_configure){ .generation = m->offers }, fd, on_configured, c);
		close(fd);
	}
	if (--r->waiting == 0)
		finish(r);
}

/* queue gave tickets that a later queue must know. */
static void keep_ticket_secret(const struct config *now, struct config *next)
{
	if (now->ticket_secret.n == next->ticket_secret.n)
		memcpy((char *)(uintptr_t)next->ticket_secret.p, now->ticket_secret.p, now->ticket_secret.n);
}

/* Offer a new configuration to all roles. Takes `next`. */
static void begin(struct master *m, struct config *next, const struct config_faults *faults, const struct reload *asked)
{
	const struct config_fault *fault = log_faults(faults);
	struct reload *r;
	const char *key;

	if (fault) {
		answer_asker(asked->ch, asked->call, perm(0, S(""), fault_text(&next->arena, fault)),
			     faults_text(&next->arena, faults));
		config_free(next);
		return;
	}
	key = config_needs_restart(m->config, next);
	if (key) {
		answer_asker(asked->ch, asked->call,
			     perm(0, S(""), arena_printf(&next->arena, "a change of %s needs a restart", key)), S(""));
		config_free(next);
		return;
	}
	keep_ticket_secret(m->config, next);
	notify_reloading();
	r = NEW(struct reload);
	*r = (struct reload){ .master = m, .next = next, .ch = asked->ch, .call = asked->call, .by_itself = asked->by_itself };
	r->warnings = faults_text(&r->arena, faults);
	m->reload = r;
	offer(r);
}

static bool may_reload(const struct master *m)
{
	return !m->reload && m->all_ready && !m->stopping;
}

void reload_begin(struct master *m, struct channel *ch, uint64_t call, const char *why)
{
	struct config_faults faults;
	struct config *next;

	log_info(NULL, "config.reloading", kv("reason", why));
	if (!may_reload(m)) {
		answer_asker(ch, call, temp(0, S(""), S("a reload, start or stop is going on: try again")), S(""));
		return;
	}
	if (ch && !allowance_take(&m->reloads)) {
		answer_asker(ch, call, temp(0, S(""), S("the configuration was reloaded too often: try again")), S(""));
		return;
	}
	next = config_load(m->config_path, &faults);
	begin(m, next, &faults, &(struct reload){ .ch = ch, .call = call });
}

/* ---- certificates ---- */
/* Only the certificates are read: edits of the configuration file wait until an administrator asks for a reload. */
static void on_files_settled(uv_timer_t *timer)
{
	struct master *m = timer->data;
	struct config_faults faults;
	struct config *next;

	if (!may_reload(m)) {
		uv_timer_start(&watch.settle, on_files_settled, WATCH_MS, 0);
		return;
	}
	log_info(NULL, "config.reloading", kv("reason", "a certificate file has changed"));
	next = config_load_again(m->config, &faults);
	begin(m, next, &faults, &(struct reload){ .by_itself = true });
}

static void on_file_changed(uv_fs_poll_t *poll, int status, const uv_stat_t *before, const uv_stat_t *now)
{
	if (status == 0) /* a file that is being replaced can be absent for a moment; the next poll finds it */
		uv_timer_start(&watch.settle, on_files_settled, SETTLE_MS, 0);
}

void reload_watch_certificates(struct master *m)
{
	struct config *c = m->config;

	if (!watch.settle.data) {
		uv_timer_init(m->loop, &watch.settle);
		watch.settle.data = m;
	}
	for (size_t i = 0; i < watch.n; i++)
		uv_fs_poll_stop(&watch.polls[i]); /* the new configuration can name other files */
	for (size_t i = 0; i < c->certificates_n * 2 && i < WATCH_MAX; i++) {
		struct str path = i % 2 ? c->certificates[i / 2].key : c->certificates[i / 2].chain;
		uv_fs_poll_t *poll = &watch.polls[i];

		if (i == watch.n) {
			uv_fs_poll_init(m->loop, poll);
			poll->data = m;
			uv_unref((uv_handle_t *)poll);
			watch.n++;
		}
		uv_fs_poll_start(poll, on_file_changed, arena_cstr(&c->arena, path), WATCH_MS);
	}
}
