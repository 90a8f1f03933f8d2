/* schema.h - the one table of configuration keys. Loader, defaults, slices, restart comparison, dump, sample check and manual
 * walk it. */
#ifndef POSTHOUSE_CONFIG_SCHEMA_H
#define POSTHOUSE_CONFIG_SCHEMA_H

#include "posthouse/config.h"

enum key_type {
	CFG_TEXT,   /* struct str */
	CFG_SECRET, /* struct str, wiped by config_free(); the file can name it as KEY_file = "path" */
	CFG_INT,    /* uint64_t */
	CFG_SIZE,   /* uint64_t, bytes */
	CFG_TIME,   /* uint64_t, milliseconds */
	CFG_BOOL,   /* bool */
	CFG_ENUM,   /* unsigned, one of `choices` */
	CFG_RATE,   /* struct rate */
	CFG_TEXTS,  /* array of struct str */
	CFG_TIMES,  /* array of uint64_t */
	CFG_RATES,  /* array of struct rate */
	/* Array of struct str, "name=value" each, from a group of any keys; NAME_file = "path" as in CFG_SECRET. Wiped, and not
	 * dumped: passwords can be among them. */
	CFG_OPTIONS,
	CFG_GROUP, /* nothing of its own: its members are rows with their full path */
	/* Array of a struct; the member rows follow at once: their paths begin with PATH[], their targets are in the struct. */
	CFG_LIST,
};

enum key_flag {
	RELOADABLE = 1, /* a reload can change it; without: only a restart */
	REQUIRED = 2,   /* no default that could do */
	FILLED = 4,     /* no key of the file: the loader fills it in */
	PATH = 8,       /* a relative path is taken from the configuration file's directory */
	LOWER_CASE = 16,
	BYTES = 32, /* the amount of a rate is a size */
	EMPTY = 64, /* a list with a default can be empty: then there are none, instead of the default */
};

/* What a text must look like. */
struct text_format {
	const char *expected; /* "a host name", for messages and the manual */
	bool (*valid)(struct str text);
	struct str (*canonical)(struct arena *a,
				struct str text); /* its one form, which is what is judged and kept; NULL: as it is */
};

struct choice {
	const char *name; /* NULL ends the array */
	unsigned value;
};

struct key {
	const char *path;
	enum key_type type;
	size_t offset;       /* in struct config, or in the list's struct */
	size_t count_offset; /* arrays: where the number of elements is */
	/* The default as text: words apart by spaces for arrays, the file's syntax for CFG_LIST; NULL: zero or empty. */
	const char *fallback;
	const char *lower, *upper; /* bounds, as text; NULL: none */
	unsigned roles;            /* bit 1 << enum role_id: whose slice has it */
	unsigned flags;
	const char *help;
	const struct text_format *format; /* texts: NULL = any printable text */
	const struct choice *choices;
	const char *example; /* for the manual, where there is no default */
	const char *hint;    /* what to do instead, after "expected …" */
	size_t element_size; /* CFG_LIST */
};

extern const struct key config_keys[];
extern const size_t config_keys_n;

/* The rows after list row `i` that are its members: i + 1 .. result (exclusive). For other rows i + 1. */
size_t schema_end(size_t i);

/* The row with this path, or config_keys_n. */
size_t schema_find(struct str path);

/* The last component of a path; the path as people write it ("listen.port" for "listen[].port"). */
struct str schema_leaf(const struct key *k);
struct str schema_shown(struct arena *a, struct str path);

/* Changes whenever the table does: two builds recognise by it that they must not exchange slices. */
uint64_t schema_hash(void);

/* Where a row's value is, given the config or the list's element. */
static inline void *key_at(const struct key *k, void *base)
{
	return (char *)base + k->offset;
}

/* The elements of an array row: pointer, number, bytes of one. */
size_t key_element_size(const struct key *k);
void *key_array(const struct key *k, const void *base, size_t *n_out);
void key_set_array(const struct key *k, void *base, void *elements, size_t n);

bool key_is_array(const struct key *k); /* TEXTS, TIMES, RATES, OPTIONS, LIST */

/* The type of one element of an array of scalars; the type itself for the others. */
enum key_type key_scalar(const struct key *k);

/* ---- choices.c: an array for each key that takes one of a few words; a NULL name ends it ---- */
extern const struct choice listen_tls_choices[], upstream_tls_choices[], tls_require_choices[], route_tls_choices[],
	delivery_tls_choices[], tls_version_choices[], mechanism_choices[], upstream_mechanism_choices[], avoid_choices[],
	backend_choices[], over_choices[], breaker_choices[], user_over_choices[], user_breaker_choices[],
	oauth_provider_choices[], oauth_grant_choices[], profile_choices[], device_tls_choices[], sandbox_choices[],
	log_format_choices[], log_level_choices[], bare_newline_choices[], dkim_choices[], sign_state_choices[], engine_choices[],
	durability_choices[];

/* ---- text.c: formats ---- */
extern const struct text_format format_fqdn, format_domain, format_host, format_address, format_mailbox, format_pattern,
	format_destination, format_sender_pattern, format_via, format_login, format_any_login, format_device_login,
	format_rewritten, format_user, format_name, format_selector, format_network, format_source, format_resolver, format_path,
	format_socket, format_endpoint, format_https, format_instant, format_local_user, format_fingerprint;
bool text_is_printable(struct str s); /* UTF-8 without characters that cannot be seen */

/* ---- value.c: single values as text ---- */
bool value_rate(struct str text, bool bytes, struct rate *rate_out);

/* Parse `text` (outliving the target, or in `a`) by the row's type, bounds, format and choices into a scalar target. False: the
 * text is no such value. */
bool value_set(const struct key *k, struct arena *a, struct str text, void *target);

/* Is the number within the row's bounds? For what comes as a number. */
bool value_in_bounds(const struct key *k, uint64_t value);

/* The word for a value; NULL when it has none. */
const char *choice_name(const struct choice *choices, unsigned value);

/* What a row takes, for messages: "a duration from 1s to 1h, such as "5m"". */
struct str value_expected(const struct key *k, struct arena *a);

/* Print the value of a row in the file's syntax; secrets as "(hidden)". */
void value_print(struct buf *b, const struct key *k, const void *base);

/* ---- dump.c ---- */

/* A hash of the keys that several nodes are to have the same, without what is each machine's own, and without secrets. */
uint64_t config_agreement(const struct config *c);

/* The table as rows of the manual, and those of profiles.def and foreign.def (man(7) macros). */
enum manual_part { MANUAL_KEYS, MANUAL_PROFILES, MANUAL_FOREIGN };
bool config_manual(enum manual_part part, struct buf *b);

/* ---- foreign.c: names and values that people bring from other programs ---- */
enum foreign_program { POSTFIX, OPENDKIM, EXIM, MSMTP, NULLMAILER };
struct foreign {
	enum foreign_program program;
	char relation; /* see foreign.def */
	const char *names, *ours, *remark;
};
extern const struct foreign foreign_names[];
extern const size_t foreign_names_n;
extern const char *const foreign_programs[];

/* What was expected in place of a value of their form ("[host]:587", "$name", "hash:/..."); "": it is none. */
struct str foreign_value_hint(struct arena *a, struct str value);

#endif
