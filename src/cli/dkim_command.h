/* dkim_command.h - what the verbs of `posthouse dkim` share. */
#ifndef POSTHOUSE_CLI_DKIM_COMMAND_H
#define POSTHOUSE_CLI_DKIM_COMMAND_H

#include "cli.h"
#include "dkim.h"

#include "posthouse/doctor.h"

/* ---- dkim.c ---- */

/* The first argument in its one form; "": it was not given. Dies with 64 when it is no domain. */
struct str dkim_domain(struct arena *a, const struct options *o);
enum records_format dkim_format(const struct options *o, enum records_format otherwise);
void dkim_print_by_hand(struct dkim_store *s);
/* New keys were added: save them, print their records, and what comes next. */
void dkim_added(struct dkim_store *s, struct str domain, enum records_format format);

/* ---- dkim_look.c ---- */

/* Ask DNS for all keys of the domain; it can take some seconds. resolver NULL: the configured one. */
struct dkim_look *dkim_look_begin(const struct config *c, struct str domain, const char *resolver);
struct dkim_sight dkim_look_key(struct dkim_look *l, const struct cfg_sign *key);
void dkim_look_end(struct dkim_look *l); /* NULL is allowed */

/* ---- dkim_list.c, dkim_rotate.c ---- */
command_fn dkim_list, dkim_rotate, dkim_retire;

/* dkim_list.c: why the record of a retired key has to stay; "": nothing needs it any more. */
struct str dkim_needed(struct dkim_store *s, const struct cfg_sign *key);

#endif
