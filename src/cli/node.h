/* node.h - `posthouse node`: the nodes that share one queue. */
#ifndef POSTHOUSE_CLI_NODE_H
#define POSTHOUSE_CLI_NODE_H

#include "cli.h"

/* node_print.c: the rows for people; `width` as in columns.h. */
void node_print(FILE *out, struct arena *a, const struct rec_node_row *rows, size_t n, uint64_t now, unsigned width);
/* A row for programs, without its kind. */
json_t *node_json(const struct rec_node_row *r);

#endif
