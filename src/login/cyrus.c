/* cyrus.c - Cyrus SASL as a whole: its configuration by call-backs, its locks, and the mechanisms and plug-ins that it must
 * have. */
#include "cyrus.h"
#include "internal.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdlib.h>
#include <uv.h>

/* Cyrus and its plug-ins keep pointers to the options, so these live as long as Cyrus runs. */
static struct {
	const struct backend *backend;
	struct arena arena; /* of the copies */
	struct option {
		const char *name, *value;
		size_t n;
	} * options;
	size_t options_n;
	struct str realms;
} started;

const struct backend *cyrus_backend(void)
{
	return started.backend;
}

struct str cyrus_realms(void)
{
	return started.realms;
}

/* ---- locks: Cyrus asks for them as soon as threads share it ---- */
static void *lock_new(void)
{
	uv_mutex_t *lock = NEW(uv_mutex_t);

	if (uv_mutex_init(lock)) {
		free(lock);
		return NULL;
	}
	return lock;
}

static int lock_take(void *lock)
{
	uv_mutex_lock(lock);
	return SASL_OK;
}

static int lock_release(void *lock)
{
	uv_mutex_unlock(lock);
	return SASL_OK;
}

static void lock_free(void *lock)
{
	uv_mutex_destroy(lock);
	free(lock);
}

/* ---- configuration ---- */
static void add_option(struct str name, struct str value)
{
	struct option *o = &started.options[started.options_n++];

	*o = (struct option){ arena_cstr(&started.arena, name), arena_cstr(&started.arena, value), value.n };
}

/* The options of this program come first, so that the configuration cannot override them. */
static void keep_options(const struct cfg_auth *auth)
{
	const struct backend *b = started.backend;
	struct str realms = auth_option(auth, S("realms"));

	started.options = ARENA_ARRAY(&started.arena, struct option, auth->options.n + 3);
	add_option(S("auxprop_plugin"), S(BACKEND_PLUGIN)); /* which asks the plug-in of the back-end */
	add_option(S("pwcheck_method"), str_of(b->method));
	add_option(S("log_level"), b->is_sql ? S("5") : S("3"));
	for (size_t i = 0; i < auth->options.n; i++) {
		struct str option = auth->options.at[i], name = str_head(option, str_find(option, '='));

		add_option(name, str_from(option, name.n + 1));
	}
	started.realms = arena_str(&started.arena, realms);
}

/* Some plug-ins read the result although the return value says that there is none. */
static int get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *length)
{
	*result = NULL;
	if (length)
		*length = 0;
	for (size_t i = 0; i < started.options_n; i++) {
		const struct option *o = &started.options[i];

		if (strcmp(option, o->name) != 0)
			continue;
		*result = o->value;
		if (length)
			*length = (unsigned)o->n;
		return SASL_OK;
	}
	return SASL_FAIL;
}

static bool begins(const char *name, const char *prefix)
{
	return prefix && strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Cyrus loads only the needed plug-ins of its directory, and reads no other files. */
static int verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;

	if (type == SASL_VRFY_PLUGIN &&
	    (begins(name, "libplain.") || begins(name, "libscram.") || begins(name, started.backend->plugin)))
		return SASL_OK;
	return SASL_CONTINUE;
}

/* Messages before the first login are not logged: the result of the start has what an administrator needs. */
static int log_nothing(void *context, int level, const char *message)
{
	return SASL_OK;
}

/* ---- what is there ---- */
static struct arena *text_arena(void)
{
	static struct arena a;

	arena_reset(&a);
	return &a;
}

static void note_plugin(sasl_auxprop_plug_t *plugin, sasl_info_callback_stage_t stage, void *found)
{
	if (stage != SASL_INFO_LIST_MECH || !plugin)
		return;
	plugin_asks(plugin);
	*(bool *)found = true;
}

/* A plug-in that is not installed, or that refuses its options, is not in Cyrus' list. */
static struct verdict check_plugin(const struct backend *b)
{
	bool found = false;

	if (!b->plugin)
		return ok();
	auxprop_plugin_info(b->name, note_plugin, &found);
	if (found)
		return ok();
	return perm(0, S(""),
		    arena_printf(text_arena(),
				 "auth.backend: Cyrus SASL has no working plug-in for %s: is %s installed (Debian's name), "
				 "and are auth.options right?",
				 b->name, b->package));
}

struct verdict cyrus_start(struct directory *d, const struct cfg_auth *auth)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT, (int (*)(void))(void (*)(void))get_option, NULL },
		{ SASL_CB_VERIFYFILE, (int (*)(void))(void (*)(void))verify_file, NULL },
		{ SASL_CB_LOG, (int (*)(void))(void (*)(void))log_nothing, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	static char nowhere[] = "/dev/null"; /* Cyrus looks for its configuration file here, and cannot find one */
	struct verdict v = backend_check(text_arena(), auth);
	int result;

	if (v.class != OK)
		return v;
	started.backend = backend_find(auth->backend);
	keep_options(auth);
	sasl_set_mutex(lock_new, lock_take, lock_release, lock_free);
	result = sasl_set_path(SASL_PATH_TYPE_CONFIG, nowhere);
	if (result == SASL_OK)
		result = sasl_server_init(callbacks, "posthouse");
	if (result == SASL_OK)
		result = plugin_add(d);
	if (result != SASL_OK)
		return temp(454, S("4.7.0"), str_of(sasl_errstring(result, NULL, NULL)));
	return check_plugin(started.backend);
}

/* SCRAM-SHA-256-PLUS is the same plug-in with channel binding. */
static bool has_mechanism(struct str mechanism)
{
	const char **known = sasl_global_listmech();

	if (str_iends(mechanism, S("-PLUS")))
		mechanism = str_head(mechanism, mechanism.n - 5);
	for (; known && *known; known++)
		if (str_ieq(str_of(*known), mechanism))
			return true;
	return false;
}

static bool is_built(struct str mechanism)
{
	static const struct str built[] = { S("PLAIN"), S("LOGIN"), S("SCRAM-SHA-256"), S("SCRAM-SHA-256-PLUS") };

	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (str_ieq(mechanism, built[i]))
			return true;
	return false;
}

struct verdict cyrus_can(const struct cfg_auth *auth)
{
	struct arena *a = text_arena();
	struct verdict v = backend_check(a, auth);

	for (size_t i = 0; v.class == OK && i < auth->mechanisms.n; i++) {
		struct str wanted = auth->mechanisms.at[i];

		if (!is_built(wanted))
			v = perm(0, S(""), arena_printf(a, "auth.mechanisms: %.*s is not built", STR_ARG(wanted)));
		else if (!str_ieq(wanted, S("LOGIN")) && !has_mechanism(wanted))
			v = perm(0, S(""),
				 arena_printf(a,
					      "auth.mechanisms: Cyrus SASL has no plug-in for %.*s; on Debian it is in "
					      "libsasl2-modules",
					      STR_ARG(wanted)));
	}
	return v;
}

/* Options can contain passwords. */
void cyrus_stop(void)
{
	sasl_server_done();
	for (size_t i = 0; i < started.options_n; i++)
		wipe((char *)started.options[i].value, started.options[i].n);
	started.options_n = 0;
	arena_fini(&started.arena);
}
