/* choices.c - the words that keys of the table take, with the values that they stand for. */
#include "schema.h"

#include "posthouse/log.h"
#include "posthouse/mail.h"

const struct choice listen_tls_choices[] = { { "starttls", LISTEN_STARTTLS }, { "implicit", LISTEN_IMPLICIT }, { NULL } };
const struct choice upstream_tls_choices[] = {
	{ "implicit", UPSTREAM_IMPLICIT }, { "starttls", UPSTREAM_STARTTLS }, { "opportunistic", UPSTREAM_OPPORTUNISTIC },
	{ "none", UPSTREAM_NONE },         { "dane", UPSTREAM_DANE },         { NULL }
};
const struct choice tls_require_choices[] = { { "none", TLS_REQUIRE_NONE },
					      { "encrypted", TLS_REQUIRE_ENCRYPTED },
					      { "verified", TLS_REQUIRE_VERIFIED },
					      { "dane", TLS_REQUIRE_DANE },
					      { NULL } };
const struct choice route_tls_choices[] = {
	{ "", TLS_REQUIRE_DEFAULT },          { "none", TLS_REQUIRE_NONE }, { "encrypted", TLS_REQUIRE_ENCRYPTED },
	{ "verified", TLS_REQUIRE_VERIFIED }, { "dane", TLS_REQUIRE_DANE }, { NULL }
};
const struct choice delivery_tls_choices[] = { { "opportunistic", TLS_REQUIRE_DEFAULT },
					       { "encrypted", TLS_REQUIRE_ENCRYPTED },
					       { "verified", TLS_REQUIRE_VERIFIED },
					       { NULL } };
const struct choice tls_version_choices[] = { { "1.2", TLS_1_2 }, { "1.3", TLS_1_3 }, { NULL } };
const struct choice mechanism_choices[] = { { "PLAIN" }, { "LOGIN" }, { "SCRAM-SHA-256" }, { "SCRAM-SHA-256-PLUS" }, { NULL } };
const struct choice upstream_mechanism_choices[] = {
#define SASL(id, name, ...) { name },
#include "posthouse/sasl.def"
	{ NULL }
};
const struct choice avoid_choices[] = { { "PIPELINING" }, { "DSN" }, { "CHUNKING" }, { "8BITMIME" }, { "SMTPUTF8" }, { NULL } };
const struct choice backend_choices[] = { { "accounts" }, { "sasldb" }, { "saslauthd" }, { "ldapdb" }, { "sql" }, { NULL } };
const struct choice over_choices[] = { { "reject", OVER_REJECT }, { "hold", OVER_HOLD }, { NULL } };
const struct choice breaker_choices[] = { { "on", BREAKER_ON }, { "off", BREAKER_OFF }, { NULL } };
const struct choice user_over_choices[] = { { "", OVER_UNSET }, { "reject", OVER_REJECT }, { "hold", OVER_HOLD }, { NULL } };
const struct choice user_breaker_choices[] = { { "", BREAKER_UNSET }, { "on", BREAKER_ON }, { "off", BREAKER_OFF }, { NULL } };
const struct choice device_tls_choices[] = {
	{ "modern", DEVICE_TLS_MODERN }, { "legacy", DEVICE_TLS_LEGACY }, { "none", DEVICE_TLS_NONE }, { NULL }
};
const struct choice oauth_provider_choices[] = { { "", OAUTH_NONE },
#define OAUTH(ID, name, ...) { name, OAUTH_##ID },
#include "posthouse/oauth.def"
						 { NULL } };
const struct choice oauth_grant_choices[] = { { "refresh_token", GRANT_REFRESH_TOKEN },
					      { "client_credentials", GRANT_CLIENT_CREDENTIALS },
					      { "service_account", GRANT_SERVICE_ACCOUNT },
					      { "command", GRANT_COMMAND },
					      { NULL } };
const struct choice sandbox_choices[] = { { "on", SANDBOX_ON }, { "off", SANDBOX_OFF }, { NULL } };
const struct choice log_format_choices[] = { { "logfmt", LOG_FORMAT_LOGFMT }, { "json", LOG_FORMAT_JSON }, { NULL } };
const struct choice log_level_choices[] = {
	{ "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "warning", LOG_WARNING }, { "error", LOG_ERROR }, { NULL }
};
const struct choice bare_newline_choices[] = { { "normalize", BARE_NEWLINE_NORMALIZE },
					       { "refuse", BARE_NEWLINE_REFUSE },
					       { NULL } };
const struct choice sign_state_choices[] = {
	{ "active", SIGN_ACTIVE }, { "pending", SIGN_PENDING }, { "retired", SIGN_RETIRED }, { NULL }
};
const struct choice engine_choices[] = { { "sqlite", ENGINE_SQLITE }, { "postgresql", ENGINE_POSTGRESQL }, { NULL } };
const struct choice durability_choices[] = { { "standby", DURABILITY_STANDBY }, { "local", DURABILITY_LOCAL }, { NULL } };
const struct choice dkim_choices[] = {
	{ "(no key)", 0 }, { "rsa-sha256", DKIM_RSA_SHA256 }, { "ed25519-sha256", DKIM_ED25519_SHA256 }, { NULL }
};
