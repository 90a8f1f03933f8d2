/* plugin.c - an auxprop plug-in for Cyrus, within this process. It gives Cyrus the verifiers of the account file. With another
 * back-end it asks the plug-in of that back-end, and answers itself for names that this plug-in does not know. */
#include "internal.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdatomic.h>
#include <unistd.h>

#define VERIFIER "*authPassword" /* RFC 5803 */
#define PLAIN    "*userPassword"

/* For names that another back-end does not know: a password that nobody knows. SCRAM then takes its usual steps and time, with
 * salt and iterations as for a name that exists, and PLAIN compares as usual. HMAC uses a password of this length without
 * hashing it. */
#define DECOY_BYTES 20

#define SASLDB_DEFAULT "/etc/sasldb2" /* Cyrus' own */

static struct directory *plugin_directory;
static sasl_auxprop_plug_t asked; /* the plug-in of the back-end */
static atomic_bool has_known;     /* it has known at least one name since the start */

static int set(const sasl_utils_t *utils, struct propctx *context, const struct propval *property, struct arena *a,
	       struct str value)
{
	if (property->values)
		utils->prop_erase(context, property->name);
	return utils->prop_set(context, property->name, arena_cstr(a, value), (int)value.n);
}

/* Each name gets a verifier: for a name that does not exist, one that no password matches. */
static int hand_out_verifier(const sasl_utils_t *utils, struct propctx *context, const struct propval *wanted, unsigned flags,
			     struct str login)
{
	struct str name, device, verifier;
	struct arena a = { 0 };
	int result = SASL_OK;

	login_split(login, &name, &device);
	for (; wanted->name && result == SASL_OK; wanted++) {
		if (strcmp(wanted->name, VERIFIER) != 0 || (wanted->values && !(flags & SASL_AUXPROP_OVERRIDE)))
			continue;
		if (directory_verifier(plugin_directory, &a, name, device, &verifier).class == OK)
			result = set(utils, context, wanted, &a, verifier);
		else
			result = SASL_UNAVAIL;
	}
	arena_fini(&a);
	return result;
}

/* Has the back-end set one of the two? Then the name exists. */
static bool is_known(const struct propval *wanted)
{
	for (; wanted->name; wanted++)
		if ((strcmp(wanted->name, VERIFIER) == 0 || strcmp(wanted->name, PLAIN) == 0) && wanted->values &&
		    wanted->values[0])
			return true;
	return false;
}

/* The sasldb plug-in treats a missing database as one without users. */
static bool lost_sasldb(const sasl_utils_t *utils)
{
	const char *path = NULL;

	if (utils->getopt(utils->getopt_context, NULL, "sasldb_path", &path, NULL) != SASL_OK || !path)
		path = SASLDB_DEFAULT;
	if (access(path, R_OK) == 0)
		return false;
	utils->log(utils->conn, SASL_LOG_ERR, "%s cannot be read", path);
	return true;
}

/* With ldapdb BADAUTH is the directory's answer to ldapdb_id. A name that it does not know gives the same general failure as a
 * directory that is set up wrong: while no name at all was known, this is logged. */
static bool ldapdb_failed(const sasl_utils_t *utils, int result)
{
	if (result == SASL_BADAUTH || result == SASL_UNAVAIL)
		utils->log(utils->conn, SASL_LOG_ERR, "the directory %s",
			   result == SASL_BADAUTH ? "does not let ldapdb_id in" : "cannot be reached");
	else if (result == SASL_FAIL && !has_known)
		utils->log(utils->conn, SASL_LOG_WARN,
			   "the directory has not answered for any name yet: is ldapdb_id allowed to act for them "
			   "(authzTo, authz-regexp)?");
	return result == SASL_BADAUTH || result == SASL_UNAVAIL || result == SASL_NOMEM;
}

/* The back-end has found nothing: is a fault the reason? */
static bool backend_failed(const sasl_utils_t *utils, int result)
{
	struct str name = str_of(cyrus_backend()->name);

	if (str_eq(name, S("sasldb")))
		return lost_sasldb(utils) || (result != SASL_OK && result != SASL_NOUSER);
	if (str_eq(name, S("ldapdb")))
		return ldapdb_failed(utils, result);
	return result != SASL_OK && result != SASL_NOUSER;
}

static int stand_in(const sasl_utils_t *utils, struct propctx *context, const struct propval *wanted, struct str login)
{
	struct arena a = { 0 };
	int result = SASL_OK;

	for (; wanted->name && result == SASL_OK; wanted++) {
		struct str decoy;

		if (strcmp(wanted->name, PLAIN) != 0)
			continue;
		decoy = directory_decoy(plugin_directory, &a, login);
		if (decoy.n > DECOY_BYTES)
			result = set(utils, context, wanted, &a, str_from(decoy, decoy.n - DECOY_BYTES));
		else
			result = SASL_UNAVAIL;
	}
	arena_fini(&a);
	return result;
}

static int ask(sasl_server_params_t *parameters, unsigned flags, const struct propval *wanted, const char *user, unsigned length)
{
	int result = asked.auxprop_lookup(asked.glob_context, parameters, flags, user, length);

	if (is_known(wanted)) {
		has_known = true;
		return SASL_OK;
	}
	if (backend_failed(parameters->utils, result))
		return SASL_UNAVAIL;
	return stand_in(parameters->utils, parameters->propctx, wanted, str_make(user, length));
}

static int look_up(void *context, sasl_server_params_t *parameters, unsigned flags, const char *user, unsigned length)
{
	const sasl_utils_t *utils = parameters->utils;
	const struct propval *wanted = utils->prop_get(parameters->propctx);

	/* nobody can act for another user, so properties of the authorization id are not needed */
	if ((flags & SASL_AUXPROP_AUTHZID) || !wanted)
		return SASL_OK;
	if (backend_is_ours(cyrus_backend()))
		return hand_out_verifier(utils, parameters->propctx, wanted, flags, str_make(user, length));
	return asked.auxprop_lookup ? ask(parameters, flags, wanted, user, length) : SASL_OK;
}

static int init(const sasl_utils_t *utils, int max_version, int *version_out, sasl_auxprop_plug_t **plugin_out, const char *name)
{
	static char plugin_name[] = BACKEND_PLUGIN;
	static sasl_auxprop_plug_t plugin = { .auxprop_lookup = look_up, .name = plugin_name };

	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*version_out = SASL_AUXPROP_PLUG_VERSION;
	*plugin_out = &plugin;
	return SASL_OK;
}

void plugin_asks(const struct sasl_auxprop_plug *backend)
{
	asked = *backend;
}

int plugin_add(struct directory *d)
{
	plugin_directory = d;
	return sasl_auxprop_add_plugin(BACKEND_PLUGIN, init);
}
