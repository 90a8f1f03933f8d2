/* cyrus.c - the library as a whole: its configuration by call-backs, its locks, the plug-in that hands out verifiers. */
#include "cyrus.h"
#include "internal.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PLUGIN "posthouse"

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
static const struct {
	const char *option, *value;
} options[] = {
	{ "auxprop_plugin", PLUGIN },
	{ "pwcheck_method",
	  "auxprop" }, /* asked after our own check has said no; our plug-in has no plain text, so it says no too */
	{ "log_level", "1" },
};

static int get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *length)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(option, options[i].option) == 0) {
			*result = options[i].value;
			if (length)
				*length = (unsigned)strlen(*result);
			return SASL_OK;
		}
	}
	return SASL_FAIL;
}

/* Of all that lies in the plug-in directory only what is needed is loaded, and no file but a plug-in is read. */
static int verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	static const char *const wanted[] = { "libplain.", "libscram." };
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;

	for (size_t i = 0; type == SASL_VRFY_PLUGIN && i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strncmp(name, wanted[i], strlen(wanted[i])) == 0)
			return SASL_OK;
	return SASL_CONTINUE;
}

/* Before there is a conversation nothing is said that an operator would need: the start's own result says it. */
static int log_nothing(void *context, int level, const char *message)
{
	return SASL_OK;
}

/* ---- the plug-in ---- */
/* Fill in what SCRAM asks for (RFC 5803's authPassword). Everybody has a verifier: unknown names get one that nothing fits. */
static int look_up(void *context, sasl_server_params_t *parameters, unsigned flags, const char *user, unsigned length)
{
	const sasl_utils_t *utils = parameters->utils;
	const struct propval *wanted = utils->prop_get(parameters->propctx);
	struct arena a = { 0 };
	struct str name, device, verifier;
	int result = SASL_OK;

	if ((flags & SASL_AUXPROP_AUTHZID) || !wanted)
		return SASL_OK;
	for (; wanted->name && result == SASL_OK; wanted++) {
		if (strcmp(wanted->name, "*authPassword") != 0 || (wanted->values && !(flags & SASL_AUXPROP_OVERRIDE)))
			continue;
		login_split(str_make(user, length), &name, &device);
		if (directory_verifier(context, &a, name, device, &verifier).class != OK) {
			result = SASL_UNAVAIL;
			break;
		}
		if (wanted->values)
			utils->prop_erase(parameters->propctx, wanted->name);
		result = utils->prop_set(parameters->propctx, wanted->name, arena_cstr(&a, verifier), (int)verifier.n);
	}
	arena_fini(&a);
	return result;
}

static struct directory *plugin_directory;

static int plugin_init(const sasl_utils_t *utils, int max_version, int *version_out, sasl_auxprop_plug_t **plugin_out,
		       const char *name)
{
	static char plugin_name[] = PLUGIN;
	static sasl_auxprop_plug_t plugin = { .auxprop_lookup = look_up, .name = plugin_name };

	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	plugin.glob_context = plugin_directory;
	*version_out = SASL_AUXPROP_PLUG_VERSION;
	*plugin_out = &plugin;
	return SASL_OK;
}

struct verdict cyrus_start(struct directory *d)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT, (int (*)(void))(void (*)(void))get_option, NULL },
		{ SASL_CB_VERIFYFILE, (int (*)(void))(void (*)(void))verify_file, NULL },
		{ SASL_CB_LOG, (int (*)(void))(void (*)(void))log_nothing, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	static char nowhere[] = "/dev/null"; /* no configuration file can be in there */
	int result;

	plugin_directory = d;
	sasl_set_mutex(lock_new, lock_take, lock_release, lock_free);
	result = sasl_set_path(SASL_PATH_TYPE_CONFIG, nowhere);
	if (result == SASL_OK)
		result = sasl_server_init(callbacks, "posthouse");
	if (result == SASL_OK)
		result = sasl_auxprop_add_plugin(PLUGIN, plugin_init);
	if (result != SASL_OK)
		return temp(454, S("4.7.0"), str_of(sasl_errstring(result, NULL, NULL)));
	return ok();
}

/* SCRAM-SHA-256-PLUS is the same plug-in with channel binding. */
static bool has_plugin(struct str mechanism)
{
	const char **known = sasl_global_listmech();

	if (str_iends(mechanism, S("-PLUS")))
		mechanism = str_head(mechanism, mechanism.n - 5);
	for (; known && *known; known++)
		if (str_ieq(str_of(*known), mechanism))
			return true;
	return false;
}

struct verdict cyrus_can(const struct str_list *mechanisms)
{
	static const struct str ours[] = {
		{ "PLAIN", 5 }, { "LOGIN", 5 }, { "SCRAM-SHA-256", 13 }, { "SCRAM-SHA-256-PLUS", 18 }
	};
	static struct arena a;

	arena_reset(&a);
	for (size_t i = 0; i < mechanisms->n; i++) {
		struct str wanted = mechanisms->at[i];
		bool built = false;

		for (size_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
			built = built || str_ieq(wanted, ours[k]);
		if (!built)
			return perm(0, S(""), arena_printf(&a, "auth.mechanisms: %.*s is not built", STR_ARG(wanted)));
		if (!str_ieq(wanted, S("LOGIN")) && !has_plugin(wanted))
			return perm(
				0, S(""),
				arena_printf(
					&a,
					"auth.mechanisms: Cyrus SASL has no plug-in for %.*s; on Debian it is in libsasl2-modules",
					STR_ARG(wanted)));
	}
	return ok();
}

void cyrus_stop(void)
{
	sasl_server_done();
}
