/* init.h - what the parts of `posthouse init` share. */
#ifndef POSTHOUSE_CLI_INIT_H
#define POSTHOUSE_CLI_INIT_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"

#include <openssl/evp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#define CERTIFICATE_DAYS 825
#define CREATED_MAX      8

struct init {
	struct arena arena;
	struct str domain, hostname, selector, name;
	const char *config, *directory, *chain, *key, *dkim_key, *state_dir, *accounts, *control;
	const char *address, *upstream_tls, *upstream_login, *upstream_password_file, *ca, *run_as;
	struct str upstream_host, upstream_port;
	bool mx; /* the option for direct delivery was given */
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
void init_read_options(struct init *t, int *argc, char **argv, const char *config_path);
/* The user that the relay runs as; dies when there is no such user. */
void init_find_user(struct init *t);

/* ---- init_keys.c ---- */
void init_make_keys(struct init *t);

/* ---- init_config.c: the file, and what remains to be done by people ---- */
void init_write_config(struct init *t);
void init_print_summary(struct init *t);

#endif
