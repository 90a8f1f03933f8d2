/* doctor.c - `posthouse doctor [DOMAIN]`: a run of doctor, and what it has found. */
#include "doctor.h"
#include "headers.h"

#include "doctor_machine.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/tls_result.h"
#include "posthouse/users.h"

#include <fnmatch.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define THREADS "32" /* dialogues at once: they only wait */

struct command {
	struct config *config;
	struct arena arena;
	struct doctor_options options;
	uv_loop_t loop;
	struct doctor_run *run;
	bool done;
};

/* ---- what is asked of the running relay ---- */

/* On a thread of the pool, with a connection of its own. `name` can have a sender behind a blank. */
static void test_upstream(void *ctx, struct arena *a, struct str name, struct fact_upstream *answer)
{
	const struct command *k = ctx;
	struct str upstream = str_head(name, str_find(name, ' '));
	const struct msg_upstream_test ask = { .upstream = upstream, .sender = str_from(name, upstream.n + 1), .cautious = 1 };
	const char *why = NULL;
	struct control *control = control_open(k->config->control, k->options.deep ? 55000 : 18000, &why);
	union ipc_message *reply = NULL;

	*answer = (struct fact_upstream){ .state = FACT_UNKNOWN };
	if (control && control_call(control, MSG_upstream_test, &ask, MSG_upstream_tested, a, &reply, &why)) {
		const struct msg_upstream_tested *m = &reply->upstream_tested;
		bool tested = m->verdict.class == OK || m->transcript.n > 0;

		*answer = (struct fact_upstream){ .state = tested ? FACT_THERE : FACT_UNKNOWN,
						  .verdict = verdict_keep(a, m->verdict),
						  .step = (unsigned)m->step,
						  .meaning = (unsigned)m->meaning,
						  .remote = m->remote,
						  .tls = m->tls,
						  .mechanism = m->mechanism,
						  .extensions = m->extensions,
						  .size = m->size };
	} else {
		answer->verdict = temp(0, S(""), arena_printf(a, "%s: %s", control ? "the relay" : "no relay runs here", why));
	}
	control_close(control);
}

/* On a thread too. */
static void take_sample(void *ctx, struct arena *a, struct str domain, struct str selector, struct fact_sample *answer)
{
	const struct command *k = ctx;
	const struct msg_dkim_sample ask = { .domain = domain, .selector = selector };
	const char *why = NULL;
	struct control *control = control_open(k->config->control, 18000, &why);
	union ipc_message *reply = NULL;

	*answer = (struct fact_sample){ .state = FACT_UNKNOWN };
	if (control && control_call(control, MSG_dkim_sample, &ask, MSG_dkim_sampled, a, &reply, &why)) {
		answer->state = reply->dkim_sampled.verdict.class == OK ? FACT_THERE : FACT_EMPTY;
		answer->why = reply->dkim_sampled.verdict.text;
		answer->signature = reply->dkim_sampled.signature;
	} else {
		answer->why = str_of(why);
	}
	control_close(control);
}

/* A fault in what the domain publishes is told from one of the way there. */
static void take_policy(void *ctx, struct arena *a, struct str domain, struct fact_policy *answer)
{
	const struct command *k = ctx;
	const struct msg_sts_find ask = { .domain = domain };
	const char *why = NULL;
	struct control *control = control_open(k->config->control, 18000, &why);
	union ipc_message *reply = NULL;

	*answer = (struct fact_policy){ .state = FACT_UNKNOWN };
	if (control && control_call(control, MSG_sts_find, &ask, MSG_sts_found, a, &reply, &why)) {
		const struct msg_sts_found *m = &reply->sts_found;

		answer->why = m->verdict.class != OK ? m->verdict.text : m->why;
		answer->mode = (unsigned)m->mode;
		answer->mx.at = ARENA_ARRAY(a, struct str, m->mx.n + 1);
		while (answer->mx.n < m->mx.n) {
			answer->mx.at[answer->mx.n] = m->mx.at[answer->mx.n].pattern;
			answer->mx.n++;
		}
		if (m->verdict.class == OK && m->fault != TLS_RESULT_STS_POLICY_FETCH_ERROR)
			answer->state = m->fault == TLS_RESULT_NONE ? FACT_THERE : FACT_EMPTY;
	} else {
		answer->why = control ? str_of(why) : S("only a running relay can, and there is none");
	}
	control_close(control);
}

/* ---- options ---- */

static bool any_matches(struct str pattern)
{
	struct arena a = { 0 };
	const char *z = arena_cstr(&a, str_find(pattern, '.') < pattern.n || str_find(pattern, '*') < pattern.n
					       ? pattern
					       : arena_printf(&a, "%.*s.*", STR_ARG(pattern)));
	bool matches = false;

	for (int i = 0; i < DOCTOR_CHECKS; i++)
		matches = matches || fnmatch(z, doctor_check_id((enum doctor_check)i), 0) == 0;
	arena_fini(&a);
	return matches;
}

static void read_only(struct command *k, const struct options *o)
{
	struct str_list *only = &k->options.only;

	only->at = ARENA_ARRAY(&k->arena, struct str, o->given_n + 1);
	for (size_t i = 0; i < o->given_n; i++) {
		if (strcmp(o->given[i].name, "only") != 0)
			continue;
		if (!any_matches(str_of(o->given[i].value)))
			die(EX_USAGE, "--only: no check is called \"%s\"; posthouse doctor --all names them", o->given[i].value);
		only->at[only->n++] = str_of(o->given[i].value);
	}
}

/* "9.9.9.9", "127.0.0.1@5353" */
static struct str read_resolver(struct command *k, const char *text)
{
	return str_of(arena_cstr(&k->arena, str_of(text)));
}

/* "example.org", also as zones have it: "example.org." */
static bool read_domain(struct command *k, struct str domain)
{
	if (str_ends(domain, S(".")))
		domain.n--;
	return domain_to_ascii(&k->arena, domain, &k->options.domain) && host_name_valid(k->options.domain);
}

static void read_options(struct command *k, const struct options *o)
{
	k->options = (struct doctor_options){ .deep = options_given(o, "deep"),
					      .offline = options_given(o, "offline"),
					      .now = clock_now_ms() };
	read_only(k, o);
	if (options_value(o, "resolver"))
		k->options.resolver = read_resolver(k, options_value(o, "resolver"));
	if (o->arguments_n > 0 && !read_domain(k, str_of(o->arguments[0])))
		die(EX_USAGE, "\"%s\" is no domain", o->arguments[0]);
}

/* ---- the run ---- */

static void on_done(void *ctx)
{
	struct command *k = ctx;

	k->done = true;
	uv_stop(&k->loop);
}

/* The user whose file the cache is: that of the relay's roles. */
static void owner(const struct command *k, uid_t *uid, gid_t *gid)
{
	struct arena a = { 0 };
	struct users users;

	(void)users_find(&users, &a, k->config->run_as); /* without that user as ourselves */
	*uid = users.of[AS_RUN_AS].uid;
	*gid = users.of[AS_RUN_AS].gid;
	arena_fini(&a);
}

static void run(struct command *k)
{
	const struct doctor_hooks hooks = { k, test_upstream, on_done, take_sample, take_policy };
	uid_t uid;
	gid_t gid;

	owner(k, &uid, &gid);
	setenv("UV_THREADPOOL_SIZE", THREADS, 1);
	uv_loop_init(&k->loop);
	doctor_look_around(&k->arena, &k->options);
	k->options.machine = machine_gather(&k->arena, k->config);
	k->run = doctor_start(&k->loop, k->config, &k->options, &hooks, uid, gid);
	while (!k->done)
		uv_run(&k->loop, UV_RUN_DEFAULT);
}

static void end(struct command *k)
{
	doctor_end(k->run);
	uv_run(&k->loop, UV_RUN_DEFAULT);
	uv_loop_close(&k->loop);
	config_free(k->config);
	arena_fini(&k->arena);
}

static int exit_code(const struct command *k, bool strict)
{
	size_t counts[DOCTOR_RESULTS];

	if (doctor_is_deaf(k->run))
		return EX_TEMPFAIL;
	doctor_count(doctor_of(k->run), counts);
	return counts[DOCTOR_FAILURE] > 0 || (strict && counts[DOCTOR_WARNING] > 0);
}

int command_doctor(const struct options *o, const char *config_path)
{
	struct command k = { 0 };
	struct config_faults faults;
	int code;

	if (options_given(o, "send"))
		return doctor_send(o, config_path, options_value(o, "send"));
	if (options_given(o, "headers"))
		return doctor_headers(o, config_path, options_value(o, "headers"));
	k.config = config_load(config_path, &faults);
	if (faults_print(&faults) > 0) {
		config_free(k.config);
		return EX_CONFIG;
	}
	read_options(&k, o);
	run(&k);
	if (options_given(o, "json"))
		doctor_print_json(k.run, k.config);
	else
		doctor_print(k.run, k.config, options_given(o, "all"));
	code = exit_code(&k, options_given(o, "strict"));
	if (code == EX_TEMPFAIL)
		fprintf(stderr,
			"posthouse: no question to DNS was answered: is this machine connected, and delivery.resolver right?\n");
	end(&k);
	return code;
}
