/* internal.h - what the files of the accounts library share. */
#ifndef POSTHOUSE_ACCOUNTS_INTERNAL_H
#define POSTHOUSE_ACCOUNTS_INTERNAL_H

#include "posthouse/accounts.h"
#include "posthouse/names.h"

#include <sys/stat.h>

#define VERIFIER_SALT_MAX       64
#define VERIFIER_KEY_SIZE       32
#define VERIFIER_ITERATIONS_MIN 4096 /* RFC 7677 section 4 */
#define VERIFIER_ITERATIONS_MAX 1000000

/* ---- verifier.c ---- */
struct verifier {
	unsigned iterations;
	unsigned char salt[VERIFIER_SALT_MAX];
	size_t salt_n;
	unsigned char stored[VERIFIER_KEY_SIZE], server[VERIFIER_KEY_SIZE];
};
bool verifier_parse(struct str text, struct verifier *v_out);

/* The part that all passwords of an account share: "SCRAM-SHA-256$iterations:salt". */
struct str verifier_shared(struct str text);

/* ---- password_old.c ---- */
/* "" when the old preparation refused the password. */
void password_prepare_old(struct str password, struct secret *prepared_out);

/* ---- name.c ---- */
bool account_name_valid(struct str name);     /* with realm, lower case as far as ASCII goes */
bool account_device_valid(struct str device); /* "" is valid */

/* ---- content.c: one reading of the file ---- */
struct content {
	struct arena arena;
	struct account *at; /* sorted by name, then device */
	size_t n;
	bool is_copy;         /* see accounts_are_copied() */
	struct str shadowed;  /* the name of an account that no login finds, because another has its form; "": none */
	struct stat identity; /* of the file that was read; zero: there was none */
};

/* NULL: *why_out says why, with the number of the line at fault. *seen_out is the identity of what was read, zero when that was
 * not possible and is worth another try. */
struct content *content_read(const char *path, struct stat *seen_out, struct verdict *why_out);
/* The same of a text; the content has views of it. */
bool content_parse(struct content *c, struct str text, struct verdict *why_out);
void content_free(struct content *c);                    /* NULL is allowed */
int account_compare(const void *one, const void *other); /* two struct account, by name and device; for qsort() and bsearch() */

/* A text for a verdict about a file: lives until this thread's next one. */
struct str file_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct accounts {
	struct arena arena; /* of the paths */
	const char *directory, *path;
	struct content *content;
	struct stat seen; /* the file as last read, well-formed or not */
	bool broken;      /* that could not be used: */
	struct verdict why;
	uint64_t generation;
	struct arena why_arena;
};

/* ---- change.c ---- */

/* Is this change of `new` well-formed? / What the file would be after it, in the arena; sets times and lock of `new`. */
struct verdict account_change_check(enum account_operation operation, const struct account *new);
struct verdict account_change_compute(const struct accounts *a, enum account_operation operation, struct account *new,
				      struct arena *arena, struct content *changed_out);

/* The directory and the lock of the file, both to be closed; neither is open after a TEMP. */
struct verdict account_file_lock(const struct accounts *a, int *directory_out, int *lock_out);
struct verdict account_file_replace(int directory, bool is_copy, const struct content *c);

/* ---- copy.c ---- */
extern const struct str account_copy_heading;

#endif
