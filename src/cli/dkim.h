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

/* Replace a file, or make a new one with this mode: a reader sees the old text or the new, whatever happens. NULL, or what went
 * wrong, with errno. An existing file keeps its mode, and its owner where that is allowed. */
const char *file_replace(const char *path, struct str text, mode_t mode);

/* ---- dkim_keys.c ---- */

/* A new key; `bits` are for RSA. NULL: OpenSSL could not make it. */
EVP_PKEY *dkim_key_make(enum dkim_algorithm algorithm, unsigned bits);
/* "p202703r", "p202703e": the month, and the algorithm. A selector that the domain has had is not taken twice: "p202703r2". */
struct str dkim_selector(struct arena *a, const struct cfg_sign *keys, size_t n, struct str domain, enum dkim_algorithm algorithm,
			 uint64_t now_ms);
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
