/* dkim.h - what the parts of `posthouse dkim` share: the file dkim.conf, which holds the whole of `sign` and belongs to this
 * command (and to `init`, which writes the first one), keys, and the rules of a rotation. */
#ifndef POSTHOUSE_CLI_DKIM_H
#define POSTHOUSE_CLI_DKIM_H

#include "posthouse/config.h"
#include "posthouse/mail.h"

#include <openssl/types.h>
#include <sys/types.h>

#define DKIM_FILE "dkim.conf" /* beside the configuration, which has @include "dkim.conf" */

/* ---- dkim_file.c ---- */

/* The file's text: `sign = ( … );`. Paths of keys within `directory` (with the slash at its end) are written relative to it. */
void dkim_file_format(struct buf *out, const struct cfg_sign *keys, size_t n, struct str directory);

#define SECRETS_GROUP "posthouse-secrets"

/* Root has made this file, mode 0600, with a secret in it: the group of the relay as a service gets to read it, where the machine
 * has that group. Otherwise nothing is done. */
void secret_made(int fd);

/* Replace a file, or make a new one with this mode: a reader sees the old text or the new, whatever happens. NULL, or what went
 * wrong, with errno. An existing file keeps its mode, and its owner where that is allowed. */
const char *file_replace(const char *path, struct str text, mode_t mode);

/* ---- dkim_store.c: the keys of the configuration, and their change ---- */

struct dkim_store {
	struct arena arena;
	struct config *config;
	const char *config_path, *path; /* the configuration; dkim.conf beside it */
	struct str directory;           /* of both, with the slash */
	bool ours;                      /* dkim.conf is a part of the configuration, so `sign` is in it */
	bool by_hand;                   /* `sign` is elsewhere: nothing is changed, lines are printed */
	struct cfg_sign *keys;
	size_t n, capacity;
	int lock;
	uint64_t now;           /* ms UTC, when it was opened */
	struct dkim_look *look; /* what DNS has; NULL: nobody has asked */
};

/* Load the configuration; dies with 78 when it has faults. `to_change`: no other command can change it until dkim_close(). */
void dkim_open(struct dkim_store *s, const char *config_path, bool to_change);
void dkim_close(struct dkim_store *s);
/* NULL: there is none. */
struct cfg_sign *dkim_find(struct dkim_store *s, struct str domain, struct str selector);
/* Make a key and its file; it is pending. selector "": by the month. Dies when that cannot be. The pointer is good until
 * the next call. */
struct cfg_sign *dkim_add(struct dkim_store *s, struct str domain, struct str selector, enum dkim_algorithm algorithm,
			  unsigned bits);
/* Write dkim.conf. Dies when that cannot be. */
void dkim_save(struct dkim_store *s);
/* Have the relay that runs here load the configuration. False: none runs, which is said. Dies with the reason when it refuses. */
bool dkim_reload(struct dkim_store *s);
/* An entry of `sign`, as a person writes it. */
struct str dkim_entry_text(struct dkim_store *s, const struct cfg_sign *key);
const char *dkim_state_name(const struct cfg_sign *key);

/* ---- dkim_keys.c ---- */

/* A new key; `bits` are for RSA. NULL: OpenSSL could not make it. */
EVP_PKEY *dkim_key_make(enum dkim_algorithm algorithm, unsigned bits);
/* "p202703r", "p202703e": the month, and the algorithm; the second of a month is "p202703r2". */
struct str dkim_selector(struct arena *a, enum dkim_algorithm algorithm, uint64_t now_ms, unsigned nth);
/* The name of a key's file. */
struct str dkim_key_file(struct arena *a, struct str domain, struct str selector);
struct str dkim_key_pem(struct arena *a, EVP_PKEY *key);

/* ---- dkim_rotation.c: pure functions ---- */

#define DKIM_LOOKS_APART_MS (3600 * 1000ull)          /* between the two looks before a key signs */
#define DKIM_RETIRED_MS     (7 * 24 * 3600 * 1000ull) /* after which a retired record is of no use to anybody */

/* A look at the domain's own servers found the record of a pending key, or did not. True: `seen` has changed. */
bool dkim_looked(struct arena *a, struct cfg_sign *key, bool found, uint64_t now_ms);
/* Was it found by two looks that are far enough apart? 0, or how long (ms) until a look can say so. */
uint64_t dkim_wait_ms(const struct cfg_sign *key, uint64_t now_ms);
/* The pending key signs from now on; active ones of its domain and algorithm retire. */
void dkim_activate(struct arena *a, struct cfg_sign *keys, size_t n, struct cfg_sign *key, uint64_t now_ms);
struct str dkim_time(struct arena *a, uint64_t now_ms); /* as since and seen have it */

#endif
