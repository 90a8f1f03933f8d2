/* fixture.h - what the tests of the loader share: a temporary directory with keys and certificates, and loading of texts. */
#ifndef POSTHOUSE_TEST_CONFIG_FIXTURE_H
#define POSTHOUSE_TEST_CONFIG_FIXTURE_H

#include "unit.h"

#include "posthouse/config.h"

#include <libconfig.h>

/* What every good configuration has; files are those of the fixture. */
#define BASICS                                                                                                                   \
	"hostname = \"relay.example.org\";\n"                                                                                    \
	"postmaster = \"postmaster@example.org\";\n"                                                                             \
	"certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"                                                    \
	"upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; } );\n"

/* A configuration that is to have a fault, and which. */
struct row {
	const char *text;
	unsigned line;
	const char *words; /* what the fault's text has in it; NULL: neither fault nor warning */
	bool warning;
};
#define HOST "hostname = \"relay.example.org\"; postmaster = \"p@example.org\"; "
#define CERT "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } ); "

/* Group set-up and tear-down: the directory, with chain.pem, key.pem (EC), other.key (EC, of no certificate), old.pem (expired), soon.pem (nearly), ca.pem (of other.key), rsa.key
 * (2048), weak.key (RSA 1024), tiny.key (RSA 512), ed25519.key, locked.key (with passphrase), password. */
int fixture_open(void **state);
int fixture_close(void **state);

const char *fixture_dir(void);

/* A file of the directory; its path is static until the next call. */
const char *fixture_path(const char *name);
void fixture_write(const char *name, const char *text, unsigned mode);

void fixture_make_dir(const char *name);

/* Write `text` as posthouse.conf there and load it. */
struct config *fixture_load(const char *text, struct config_faults *faults_out);

/* The same for a text that must be good (warnings are allowed); fails the test otherwise. */
struct config *fixture_good(const char *text);

/* All faults as lines "line: text", for messages of failed tests; warnings begin with "line: warning: ". Static. */
const char *fixture_faults(const struct config_faults *faults);

/* All keys below the value at `path` ("" = the whole file) are rows of the table; fails the test otherwise. */
void fixture_check_members(const config_setting_t *value, struct str path);

/* A whole file into memory of malloc(), with a NUL. */
char *fixture_slurp(const char *path);

#endif
