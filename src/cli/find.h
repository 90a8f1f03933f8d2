/* find.h - what the parts of `posthouse find` share. */
#ifndef POSTHOUSE_CLI_FIND_H
#define POSTHOUSE_CLI_FIND_H

#include "cli.h"

#include <stdio.h>

/* What became of a recipient, in five words. */
enum fate { FATE_WAITING, FATE_HELD, FATE_DELIVERED, FATE_FAILED, FATE_REMOVED, FATES };
const char *fate_name(enum fate fate);
enum fate fate_of(uint64_t state); /* enum recipient_state */

/* A point in time: an age before `now` (2d, 90s), a date, a date with a time, a time of today, or one of the words today and
 * yesterday; local unless a Z is behind it or times are those of UTC. False: it is none of these. */
bool read_when(struct str text, uint64_t now, uint64_t *ms_out);

/* ---- find_print.c ---- */
void find_print_json(const struct rec_found_row *r);
void find_print_head(void);
void find_print_row(struct arena *a, const struct rec_found_row *r, uint64_t now);
void find_print_totals(const struct rec_found_row *rows, size_t n, bool truncated);

#endif
