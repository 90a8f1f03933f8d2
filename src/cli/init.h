/* init.h - what the parts of `posthouse init` share. */
#ifndef POSTHOUSE_CLI_INIT_H
#define POSTHOUSE_CLI_INIT_H

#include "cli.h"

#include "posthouse/profiles.h"
#include "posthouse/secret.h"

#include <openssl/evp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#define CERTIFICATE_DAYS 825
#define CREATED_MAX      9

struct init {
	struct arena arena;
	struct str domain, hostname, selector, name;
	const char *config, *directory, *chain, *key, *dkim_key, *state_dir, *accounts, *control;
	const char *address, *upstream_tls, *login, *password_file, *ca, *run_as;
	struct str upstream_host, upstream_port;
	const struct profile *profile;                                /* of the provider that takes the mail; NULL: none */
	const char *region, *client_id, *client_secret_file, *tenant; /* client_id: the login there is by OAuth */
	struct secret typed; /* the password or the client secret, when a person has typed it; it goes into a file */
	bool mx;             /* the option for direct delivery was given */
	enum records_format format;
	const char *port_starttls, *port_implicit;
	const struct passwd *user; /* the user that the relay runs as; NULL: the user that starts it */
	struct secret password;
	bool password_given;
	EVP_PKEY *tls_pkey, *dkim_pkey;
	const char *created[CREATED_MAX]; /* to be removed when a later step fails */
	size_t created_n;
};

/* ---- init_files.c ---- */

/* Remove the files that were created, print the reason, and exit. */
__attribute__((format(printf, 3, 4))) _Noreturn void init_fail(struct init *t, int code, const char *format, ...);

/* Create a file, which is removed when a later step fails; and close it, with its content on the disk. */
FILE *init_create(struct init *t, const char *path, mode_t mode);
void init_finish(struct init *t, FILE *file, const char *path, bool written);
/* A file or directory that was created in another way. The path must live as long as `t`. */
void init_made(struct init *t, const char *path);
/* The exit code when a file or directory could not be created. */
int init_exit_code(int error);
const char *init_path_in(struct init *t, const char *directory, struct str name);

/* ---- init_options.c: all that is asked for, before anything is made ---- */
void init_read_options(struct init *t, const struct options *o, const char *config_path);
/* The user that the relay runs as; dies when there is no such user. */
void init_find_user(struct init *t);

/* ---- init_profile.c: the options of --profile ---- */
void init_take_profile(struct init *t, const struct options *o);
/* Check what was given, and get what is missing; dies when there is nobody to ask. */
void init_complete_profile(struct init *t);
/* What a person has typed goes into a file beside the configuration. */
void init_write_typed(struct init *t);

/* ---- init_guide.c: instructions for people ---- */
/* The provider of its tokens, as the configuration names it. */
const char *init_provider(const struct init *t);
/* The name of the file for a password or a client secret, beside the configuration. */
struct str init_secret_name(struct init *t);
/* Say how to get what is needed to log in at the provider, and exit. */
_Noreturn void init_tell_missing(struct init *t);
void init_print_steps(struct init *t);

/* ---- init_keys.c ---- */
void init_make_keys(struct init *t);

/* ---- init_config.c: the file, and what remains to be done by people ---- */
void init_write_config(struct init *t);
void init_print_summary(struct init *t);

#endif
