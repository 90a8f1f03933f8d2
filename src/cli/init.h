/* init.h - what the parts of `posthouse init` share. */
#ifndef POSTHOUSE_CLI_INIT_H
#define POSTHOUSE_CLI_INIT_H

#include "cli.h"

#include "posthouse/profiles.h"
#include "posthouse/secret.h"
#include "posthouse/users.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

#define CREATED_MAX 16
#define INIT_KEYS   2 /* RSA first, then Ed25519 */

struct lookup;      /* lookup.h */
struct smtp_called; /* smtp_call.h */

struct init_key {
	struct str selector;
	const char *path;
	EVP_PKEY *key;
};

struct init {
	struct arena arena;
	struct str domain;   /* of the logins; where it is ours, also of the mail */
	struct str personal; /* `init ADDRESS`: the mailbox by which everything is sent; "": the domain is ours */
	struct str hostname, name;
	const char *config, *directory, *chain, *key, *zone, *state_dir, *accounts, *control;
	const char *rsa_chain, *rsa_key; /* a second certificate, for old devices, beside one that is made here; else NULL */
	bool has_certificate;            /* chain and key were given, and are not made here */
	struct init_key keys[INIT_KEYS];
	const char *address, *upstream_tls, *login, *password_file, *ca, *run_as;
	struct str upstream_host, upstream_port;
	const struct profile *profile;                                /* of the provider that takes the mail; NULL: none */
	const char *region, *client_id, *client_secret_file, *tenant; /* client_id: the login there is by OAuth */
	struct secret typed;       /* the password or the client secret, when a person has typed it; it goes into a file */
	bool run_as_default;       /* run_as was not given */
	bool mx;                   /* the option for direct delivery was given */
	bool tls_reports;          /* with direct delivery: to the domains that ask for them */
	bool asks;                 /* a person is at the terminal, and has not decided everything by options */
	bool tries;                /* log in at the provider before anything is written */
	struct smtp_called *tried; /* NULL: that was not done */
	enum records_format format;
	bool only_records; /* a format was asked for: it is the only thing that is printed of the records */
	const char *port_starttls, *port_implicit;
	bool has_user; /* `users` have been found, as whom the relay runs when root starts it */
	struct users users;
	struct secret password;
	bool password_given;
	/* ---- DNS ---- */
	struct str_list addresses; /* of this machine, as the world sees them */
	bool addresses_given;
	const char *resolver;
	bool offline; /* ask nobody */
	struct lookup *answers;
	struct dns_entries records;
	/* ---- files ---- */
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
/* The user that the relay runs as; dies when there is no such user, unless it is the one of packages. */
void init_find_user(struct init *t);
/* Make the user of packages, where it is wanted and missing. */
void init_make_user(struct init *t);
/* HOST, HOST:PORT or [ADDRESS]:PORT; false: it is none of these. */
bool init_read_upstream(struct init *t, const char *text);
/* A domain or host name in its one form; dies when it is none. `what` names it for people. */
struct str init_read_domain(struct init *t, const char *what, const char *text);
/* The first account, in the domain. False: it is no name. */
bool init_read_user(struct init *t, const char *user);
/* The same; dies when it is no name. */
void init_need_user(struct init *t, const char *user);
/* Does another server take all mail? */
bool init_has_upstream(const struct init *t);

/* ---- init_personal.c: `init ADDRESS` ---- */
/* The address, the names that follow from it, and the provider's profile if it is known. */
void init_read_personal(struct init *t, const struct options *o);
/* Nothing is known of the address's provider: say what is needed, and exit. */
_Noreturn void init_tell_no_provider(struct init *t);
/* Log in at the provider, of a domain's mail too; dies with its words when that fails. */
void init_try_login(struct init *t);

/* ---- init_questions.c: what a person at a terminal is asked ---- */
/* A line; NULL: nothing was typed. */
const char *init_ask(struct init *t, const char *question);
void init_ask_questions(struct init *t, const struct options *o);

/* ---- init_profile.c: the options of --profile ---- */
void init_take_profile(struct init *t, const struct options *o);
/* What to say of the name of no profile: it names those that are near. */
struct str init_no_profile(struct init *t, const char *name);
/* Check what was given, and get what is missing; dies when there is nobody to ask. */
void init_complete_profile(struct init *t);
/* What a person has typed goes into a file beside the configuration. */
void init_write_typed(struct init *t);

/* ---- init_guide.c: instructions for people ---- */
/* The provider of its tokens, as the configuration names it. */
const char *init_provider(const struct init *t);
/* The name of the file for a password or a client secret, beside the configuration. */
struct str init_secret_name(struct init *t);
/* "posthouse", with the option for this configuration. */
const char *init_program(struct init *t);
/* Say how to get what is needed to log in at the provider, and exit. */
_Noreturn void init_tell_missing(struct init *t);
void init_print_steps(struct init *t);

/* ---- init_keys.c ---- */
/* Dies when the certificate that was given cannot be used. */
void init_check_certificate(struct init *t);
void init_make_keys(struct init *t);

/* ---- init_records.c: DNS ---- */
/* What the records are now, and the selectors of the keys. */
void init_look_up(struct init *t);
/* The records, from the keys and what was looked up. */
void init_make_records(struct init *t);

/* ---- init_config.c, init_summary.c: the file, and what remains to be done by people ---- */
void init_write_config(struct init *t);
void init_write_zone(struct init *t);
void init_print_summary(struct init *t);

#endif
