/* environment.h - what the parts of `--env` share: the variables of env.def that are set, each with its value in our form. */
#ifndef POSTHOUSE_CONFIG_ENVIRONMENT_H
#define POSTHOUSE_CONFIG_ENVIRONMENT_H

#include "loader.h"

#define ENVIRONMENT_SET "POSTHOUSE_SET_"

enum environment_kind { ENV_KEY, ENV_UPSTREAM, ENV_VALUE, ENV_PROCESS, ENV_OTHER, ENV_NONE, ENV_QUIET };

/* The variables that are not the value of one key. */
enum environment_value {
	ENV_NO_VALUE,
#define KEY(...)
#define UPSTREAM(...)
#define VALUE(name, ID, help) ENV_##ID,
#define PROCESS(...)
#define OTHER(...)
#define NONE(...)
#define QUIET(...)
#include "env.def"
};

/* How other images write a value: see env.def and environment_forms.c. */
enum environment_form {
	AS_IT_IS,
	SWITCH,
	RELAYHOST,
	TLS_LEVEL,
	SIZE,
	LOG_FORM,
	DEBUGGING,
	DAYS,
	HOURS,
	PROTOCOLS,
	ADDRESS_ALONE,
	DOMAIN_LIST
};

struct environment_row {
	enum environment_kind kind;
	const char *family, *names; /* family "": ours */
	const char *target;         /* a key, or (ENV_OTHER) the variable of ours */
	enum environment_value value;
	enum environment_form form;
	const char *remark;
};
extern const struct environment_row environment_rows[];
extern const size_t environment_rows_n;

struct variable {
	const struct environment_row *row; /* NULL: POSTHOUSE_SET_... */
	const char *ours;                  /* the name of ours that it stands for */
	struct str name;                   /* as it is set, with _FILE */
	struct str value;                  /* without line ends at its end; of a file, what is in it */
	struct str file;                   /* the path; "": the value was in the variable itself */
};

struct variables {
	struct loader *l;
	struct variable *at;
	size_t n, capacity;
};

/* ---- environment.c ---- */

/* The variables that are set. What is unknown, or has no equal, is reported. */
void environment_collect(struct variables *e);
/* That of this name of ours, or the first of other images that stands for it; NULL: not set. */
const struct variable *environment_get(const struct variables *e, const char *ours);

/* ---- environment_forms.c ---- */

/* The value in our form; "" means that nothing is set. */
void environment_convert(struct variables *e, struct variable *v);

/* ---- environment_text.c: variables as text of the configuration ---- */

/* A text in quotes. */
struct str environment_quoted(struct arena *a, struct str text);
/* The words of a list, with blanks or commas between. */
struct str_list environment_words(struct arena *a, struct str text);
/* [ "a", "b" ], with `before` in front of each. */
struct str environment_list(struct arena *a, const struct str_list *words, const char *before);
/* Add a line that comes from this variable; faults in it name the variable. */
__attribute__((format(printf, 3, 4))) void environment_add(struct variables *e, const struct variable *v, const char *format,
							   ...);
/* Text that a person has written: its brackets have to fit. Its first line is `line`. */
void environment_add_part(struct variables *e, const struct variable *v, unsigned line, struct str text);
/* The variables that are one key each: KEY, and POSTHOUSE_SET_... */
void environment_add_keys(struct variables *e);
/* "KEY = value;" */
struct str environment_member(struct variables *e, const struct variable *v, const struct key *k);

/* ---- environment_upstream.c ---- */
void environment_add_upstream(struct variables *e);

/* ---- environment_values.c: what is more than one key, and what follows from it ---- */
/* All that variables say. */
void environment_add_all(struct variables *e);
/* What nobody has said: names, paths in state_dir. */
void environment_add_defaults(struct variables *e);

#endif
