/* loader.h - what the parts of the loader share: the text with its includes, the parsed tree, and the faults found so far. */
#ifndef POSTHOUSE_CONFIG_LOADER_H
#define POSTHOUSE_CONFIG_LOADER_H

#include "schema.h"

#include <libconfig.h>

#define FAULTS_MAX 100 /* more are not kept */

/* Who says something: an earlier layer replaces what later ones say. */
enum source_layer { LAYER_VARIABLES, LAYER_FILES, LAYER_DEFAULTS };

/* Where a run of lines of the assembled text comes from. */
struct source_run {
	unsigned first;  /* line of the assembled text */
	struct str file; /* or the name of a variable of the environment */
	unsigned line;   /* its line there; 0: all of it is one line */
	enum source_layer layer;
};

/* A setting of the outermost level, as it comes in the text: the second of a name is NAME*2 for libconfig. */
struct source_setting {
	struct str name;
	unsigned n;
};

struct loader {
	struct config *config;
	struct arena *arena; /* the config's */
	struct str file;     /* as given */
	struct str dir;      /* of the file: relative paths start there; ends in '/' */
	struct config_faults *faults;
	bool serious;       /* a fault that is no warning */
	bool local_known;   /* the places of local are as the text has them */
	size_t made_routes; /* the first ones of config->routes: routes.c has made them, they are not in the file */
	config_t tree;

	struct buf text; /* all files as one, includes in their place */
	struct source_run *runs;
	size_t runs_n, runs_max;
	unsigned lines;
	enum source_layer layer; /* of what is copied */
	unsigned brackets;       /* that are open there */
	struct source_setting *settings;
	size_t settings_n, settings_max;
};

/* ---- faults.c ---- */

/* Where a line of the assembled text comes from. */
struct source_run source_of(const struct loader *l, unsigned line);

/* "FILE:LINE", or "FILE". */
struct str fault_place(struct arena *a, const struct config_fault *f);

/* Record a fault at a line of a file; `warning` does not prevent a start. */
void fault_at(struct loader *l, struct str file, unsigned line, bool warning, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The same at a setting of the tree (NULL: the file as a whole). */
#define fault(l, where, ...)   fault_or_warning((l), false, (where), __VA_ARGS__)
#define warning(l, where, ...) fault_or_warning((l), true, (where), __VA_ARGS__)
void fault_or_warning(struct loader *l, bool is_warning, const config_setting_t *where, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The last fault, at this setting, is that a file is missing: where the setting is built in, `serve --env` makes the file. */
void fault_made_at_start(struct loader *l, const config_setting_t *where);

/* The setting at libconfig's path ("listen.[1].port"), which is a format; NULL when there is none. near: then its nearest parent
 * that exists. */
#define setting_near(l, ...)  setting_at((l), false, __VA_ARGS__)
#define setting_exact(l, ...) setting_at((l), true, __VA_ARGS__)
const config_setting_t *setting_at(struct loader *l, bool exact, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- source.c ---- */

/* Begin the text; add a piece of it that a variable of the environment makes (line 0: it has no lines of its own). */
void source_begin(struct loader *l);
void source_add(struct loader *l, struct str variable, unsigned line, struct str text);

/* Add the file and all that it includes to l->text. Problems of the files, and mistakes that libconfig accepts silently
 * (numbers that are too large, texts over line ends), become faults. */
void source_read(struct loader *l);

/* ---- include.c ---- */

/* The files that `@include "path"` stands for: the file itself; of a directory its *.conf, and of a pattern what it matches, in
 * the order of names. NULL, or why they cannot be listed. */
const char *include_files(struct loader *l, struct str path, struct str_list *files_out);

/* ---- merge.c ---- */

/* Parse the assembled text into a tree where each setting is once: groups have the members of all parts, lists of groups their
 * elements. NULL `faults_of`: what is said twice is not reported. False: a fault of syntax, which the tree knows. */
bool tree_read(config_t *tree, const char *text, const struct loader *places, struct loader *faults_of);

/* ---- files.c ---- */

/* A path of the configuration, relative to its file's directory; "credential:NAME" is one of the service manager's. */
struct str path_resolve(struct loader *l, struct str path);

/* Is it a secret that an orchestrator gives, where its mode says nothing? */
bool file_is_given(const char *path);

/* Read a whole regular file of at most `max` bytes into `b` (initialised here). NULL, or why not: the buffer is then empty. */
const char *file_read(const char *path, size_t max, struct buf *b, unsigned *mode_out);

/* ---- values.c ---- */

/* Unknown keys, wrong types; then every row's value, from the tree or its default. */
void values_load(struct loader *l);

/* Counts are kept by window, so two rates with one window are a mistake. `name` is the key as people write it, `s` its
 * setting. */
void rates_check(struct loader *l, const config_setting_t *s, const char *name, const struct rate_list *rates);

/* ---- secrets.c: values that can be passwords ---- */

/* Note that the file at `path` holds a secret. Can everybody read it, by its mode, where that counts? */
bool secret_note(struct loader *l, struct str path, unsigned mode);

/* The line that the file of KEY_file holds, with `before` in front, into *target; `shown` is KEY, as people write it. */
void secret_file_load(struct loader *l, const config_setting_t *s, struct str shown, struct str before, struct str *target);

/* Warn of a file that everybody can read, when the password `s` is in it (NULL: it is in none). */
void secret_place_check(struct loader *l, const config_setting_t *s, const char *group);

/* A group of any keys into an array of "name=value". */
void options_load(struct loader *l, const config_setting_t *s, const struct key *k, void *base);

/* ---- checks.c: rules that the table of keys cannot express ---- */
void checks_run(struct loader *l);

/* ---- clients.c: the clients that are allowed, and their logins ---- */
void clients_check(struct loader *l);
/* Is the key in the file (NULL: it is not), with a text that is not empty? An empty text is the same as no key. */
bool is_given(const config_setting_t *s);

/* ---- local_users.c: mail of programs on this machine; after the senders ---- */
void local_check(struct loader *l);
/* Of a text with faults, which local_check() has not seen: fill in where programs find the relay. */
void local_place(struct loader *l);

/* ---- gateways.c: this machine's default gateways, also from texts like those of the kernel ---- */
struct str_list gateways_read(struct arena *a);
struct str_list gateways_of(struct arena *a, struct str v4_table, struct str v6_table);

/* ---- upstreams.c: profiles filled in, then the rules for upstreams that the table of keys cannot express ---- */
void upstreams_check(struct loader *l);
/* Does the file say something for this key of element i of upstreams? */
bool upstream_has(struct loader *l, size_t i, const char *key);

/* ---- upstream_profile.c: fill in what the profile of element i of upstreams knows; warn of what does not fit it ---- */
void profile_apply(struct loader *l, size_t i);

/* ---- oauth.c: how the tokens of upstream `i` are obtained: the provider's values filled in, then the rules ---- */
void oauth_check(struct loader *l, size_t i);

/* ---- routes.c: the default route, then checks of all routes; after upstreams_check() ---- */
void routes_check(struct loader *l);

/* ---- tls_demands.c: what the TLS of the servers of domains must be; after routes_check() ---- */
void tls_check(struct loader *l);

/* ---- store.c: what keeps the queue, and the connection to a database ---- */
void store_keys_check(struct loader *l);
/* Take the next word KEY=VALUE off the front of a connection, as libpq reads them; the value is in `a`. False: there is none left
 * (*why_out NULL), or it is none: why. */
bool database_word_read(struct arena *a, struct str *rest, struct str *key_out, struct str *value_out, const char **why_out);
/* What is wrong with a connection; "": nothing. */
struct str database_judge(struct arena *a, struct str text, bool i_know);

/* ---- keys.c: files with keys and certificates; the only place that knows OpenSSL ---- */
void keys_load(struct loader *l);
bool key_is_rsa(struct str pem); /* a private key, without passphrase */

/* ---- loader.c ---- */

/* The strings that libconfig has copied can be secrets: overwrite them where they are. */
void wipe_tree(config_setting_t *s);

/* ---- environment.c ---- */

/* The variable that sets a key; NULL: none does, or the environment is not used. */
const char *environment_variable(const char *path);

/* ---- rescue.c: from a text with faults, the keys that the command line needs to reach the relay ---- */
void rescue(struct loader *l);
/* The first text of this name in the assembled text; "": there is none. */
struct str rescue_text(struct loader *l, const char *name);

#endif
