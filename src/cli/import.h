/* import.h - what the parts of `posthouse import postfix` share. Texts are in the arena. */
#ifndef POSTHOUSE_CLI_IMPORT_H
#define POSTHOUSE_CLI_IMPORT_H

#include "cli.h"

/* One `name = value` of main.cf, or one row of a map. */
struct imported {
	struct str name, value;
	unsigned line;
	bool used;
};

struct imported_list {
	struct imported *at;
	size_t n, capacity;
};

enum loss { LOSS_ROUTE, LOSS_MAIL, LOSS_OTHER }; /* mail would go elsewhere; mail is refused or looks different; the rest */

struct import {
	struct arena arena;
	const char *dir;
	struct imported_list settings;
	struct buf config; /* what is printed */
	struct buf losses[LOSS_OTHER + 1];
	unsigned expanded; /* names of the value that is being read */
	bool unclear;      /* something that decides where mail goes was not understood */
};

/* ---- import_read.c ---- */

/* A logical line is continued by lines that begin with white space; false: the file cannot be read. `separator` is between name
 * and value: '=' or ' '. */
bool import_read(struct import *t, const char *path, char separator, struct imported_list *rows_out);
/* The value of a setting with all $names replaced; "" when it is not set. It is marked as used. */
struct str import_value(struct import *t, const char *name);
/* The rows of a map ("hash:/etc/postfix/x", "inline:{ a=b }"); false and a loss when it is of another kind or cannot be read. */
bool import_map(struct import *t, const char *name, enum loss loss, struct imported_list *rows_out);
/* What is printed as lost, in the order of enum loss; LOSS_ROUTE makes the import unclear. */
__attribute__((format(printf, 3, 4))) void import_lost(struct import *t, enum loss loss, const char *format, ...);
/* "# main.cf:12: relayhost" in front of what it becomes. */
void import_origin(struct import *t, const char *name);

/* ---- import_routes.c: where mail goes; import_numbers.c: limits, times, addresses to send from ---- */
void import_routes(struct import *t);
void import_numbers(struct import *t);

#endif
