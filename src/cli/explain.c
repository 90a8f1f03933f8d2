/* explain.c - `posthouse explain`: what would become of a message, and which rules decide. The configuration is that of the file;
 * a running relay says how limits and next hops stand. */
#include "explain.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/metrics.h"
#include "posthouse/names.h"
#include "posthouse/smtp_server.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define WITHIN_MS 5000

/* ---- what is asked of the running relay ---- */

/* Whatever the rules say: does the relay take mail now? */
static void look_at_queue(struct explain *e)
{
	for (size_t i = 0; e->queue && i < e->queue->stats.n; i++) {
		const struct rec_stat *t = &e->queue->stats.at[i];

		if (t->metric == METRIC_QUEUE_TAKES_MAIL && t->value == 0)
			explain_step(e, "relay", EXPLAINED_REFUSED, S(""),
				     arena_printf(&e->arena, "takes no mail now: %.*s", STR_ARG(t->text)));
	}
}

static void connect_relay(struct explain *e)
{
	struct msg_limits_page page = { .user = e->login };
	union ipc_message *m;
	const char *why;

	e->control = control_open(e->c->control, WITHIN_MS, &why);
	if (!e->control)
		return;
	if (control_call(e->control, MSG_status, &(struct msg_status){ 0 }, MSG_status_is, &e->arena, &m, &why) &&
	    !str_eq(m->status_is.source, config_fingerprint(e->c, &e->arena)))
		explain_step(e, "file", EXPLAINED_UNKNOWN, S(""),
			     S("was changed since the relay has read it: explained is the file.\n"
			       "`posthouse reload` puts it in force"));
	if (control_call(e->control, MSG_limits_page, &page, MSG_limits_rows, &e->arena, &m, &why) &&
	    m->limits_rows.verdict.class == OK)
		e->limits = &m->limits_rows;
	if (control_call(e->control, MSG_stats, &(struct msg_stats){ .role = ROLE_QUEUE }, MSG_stats_are, &e->arena, &m, &why) &&
	    m->stats_are.verdict.class == OK)
		e->queue = &m->stats_are;
	look_at_queue(e);
}

/* ---- the command ---- */

static struct str read_address(struct explain *e, const char *option, const char *text)
{
	struct str s = str_of(text);

	if (str_starts(s, S("<")) && str_ends(s, S(">")))
		s = str_make(s.p + 1, s.n - 2);
	if (s.n == 0 && strcmp(option, "--from") == 0)
		return s;
	if (e->local && s.n > 0 && str_find(s, '@') == s.n)
		s = arena_printf(&e->arena, "%.*s@localhost", STR_ARG(s));
	if (str_find(s, '@') == s.n || !smtp_address_valid(s, true))
		die(EX_USAGE, "%s wants an address such as alice@example.org, not \"%s\"", option, text);
	return address_with_canonical_domain(&e->arena, s);
}

static void read_recipients(struct explain *e, const struct options *o)
{
	e->recipients.at = ARENA_ARRAY(&e->arena, struct str, o->given_n + 1);
	for (size_t i = 0; i < o->given_n; i++)
		if (strcmp(o->given[i].name, "to") == 0)
			e->recipients.at[e->recipients.n++] = read_address(e, "--to", o->given[i].value);
}

static uint64_t read_size(const char *text)
{
	uint64_t n, unit = 1;
	struct str s = str_of(text);

	if (s.n > 1 && strchr("kKmM", s.p[s.n - 1])) {
		unit = ascii_lower(s.p[s.n - 1]) == 'k' ? KIB : MIB;
		s.n--;
	}
	if (!str_to_u64(s, &n) || n > UINT64_MAX / MIB)
		die(EX_USAGE, "--size wants a number of bytes, such as 500k or 20M, not \"%s\"", text);
	return n * unit;
}

static void conclude(struct explain *e)
{
	static const char *const ends[] = { [EXPLAINED_OK] = "Would be accepted and sent now",
					    [EXPLAINED_NONE] = "Would be accepted and sent now",
					    [EXPLAINED_UNKNOWN] = "Would be accepted, as far as can be known",
					    [EXPLAINED_WAITS] = "Would be accepted, and waits",
					    [EXPLAINED_HELD] = "Would be accepted, and held for you",
					    [EXPLAINED_REFUSED] = "Would be refused" };
	struct str why = e->worst > EXPLAINED_NONE ? e->why : S("");

	if (e->json)
		explain_step(e, "result", e->worst == EXPLAINED_NONE ? EXPLAINED_OK : e->worst, S(""), why);
	else
		print_words(stdout,
			    arena_printf(&e->arena, "%s%s%.*s%s", ends[e->worst], why.n ? ": " : "",
					 STR_ARG(utf8_shown(&e->arena, why)), why.n ? "" : "."),
			    0, 0);
	if (e->json)
		json_end(e->steps, false);
}

static void explain_recipients(struct explain *e)
{
	for (size_t i = 0; i < e->recipients.n; i++)
		explain_path(e, e->recipients.at[i]);
	if (!e->anybody)
		conclude(e);
	else if (e->json)
		json_end(e->steps, false);
}

static void explain_all(struct explain *e, const struct options *o)
{
	const char *from = options_value(o, "header-from");
	struct str sender, author;

	if (options_given(o, "local-user"))
		explain_local_user(e, options_value(o, "local-user"));
	sender = options_given(o, "from") ? read_address(e, "--from", options_value(o, "from")) : e->user_here.name;
	if (e->local)
		sender = explain_local_sender(e, sender);
	author = from ? read_address(e, "--header-from", from) : sender;
	if (!from && sender.n == 0 && !e->anybody)
		die(EX_USAGE, "without a sender the author decides: --header-from is missing");
	read_recipients(e, o);
	e->size = options_value(o, "size") ? read_size(options_value(o, "size")) : 0;
	connect_relay(e);
	if (e->anybody) {
		explain_recipients(e);
		return;
	}
	explain_login(e);
	e->sender = explain_rewrite(e, "rewrite", true, false, sender);
	explain_sender(e, e->sender, "sender");
	e->author = explain_rewrite(e, from ? "From" : NULL, true, true, author);
	if (from || e->sender.n == 0 || !str_eq(e->author, e->sender))
		explain_sender(e, e->author, "From");
	for (size_t i = 0; i < e->recipients.n; i++)
		e->recipients.at[i] = e->local ? explain_local_recipient(e, e->recipients.at[i])
					       : explain_rewrite(e, "recipient", false, false, e->recipients.at[i]);
	explain_limits(e);
	explain_signature(e);
	explain_recipients(e);
}

int command_explain(const struct options *o, const char *config_path)
{
	struct explain e = { .json = options_given(o, "json"),
			     .offline = options_given(o, "offline"),
			     .wish = options_given(o, "requiretls")     ? TLS_WISH_REQUIRE
				     : options_given(o, "tls-optional") ? TLS_WISH_OPTIONAL
									: TLS_WISH_NONE,
			     .anybody =
				     !options_given(o, "user") && !options_given(o, "local-user") && !options_given(o, "from") };
	struct config_faults faults = { 0 };
	struct config *c;
	int code;

	if ((options_given(o, "local-user") == options_given(o, "user") && !e.anybody) || !options_given(o, "to") ||
	    (options_given(o, "user") && !options_given(o, "from")))
		die(EX_USAGE,
		    "explain wants --user, --from and --to, or --local-user and --to, or --to alone; `posthouse explain "
		    "--help` says more");
	c = config_load(config_path, &faults);
	e.c = c;
	if (faults_serious(&faults)) {
		faults_print(&faults);
		die(EX_CONFIG, "a configuration with faults explains nothing");
	}
	if (options_given(o, "user"))
		e.login = login_complete(&e.arena, str_of(options_value(o, "user")), c->auth.realm);
	explain_all(&e, o);
	code = e.worst == EXPLAINED_REFUSED ? EX_DATAERR : EX_OK;
	control_close(e.control);
	arena_fini(&e.arena);
	config_free(c);
	return code;
}
