/* figures.c - the answer to `stats`, gathered row by row. */
#include "figures.h"

#include <stdlib.h>

#define FIGURES_BYTES_MAX ((size_t)2 * IPC_PAGE_MAX)
#define ROW_BYTES         (2 * sizeof(uint64_t) + 2 * sizeof(uint32_t)) /* of a row in the datagram, without its texts */

static void append(struct figures *f, struct rec_stat row)
{
	ARRAY_GROW(f->rows, f->n, f->capacity);
	f->rows[f->n++] = row;
}

void figures_add(struct figures *f, enum metric metric, struct str label, uint64_t value, struct str text)
{
	size_t bytes = ROW_BYTES + label.n + text.n;

	if (f->bytes + bytes > FIGURES_BYTES_MAX) {
		f->omitted++;
		return;
	}
	f->bytes += bytes;
	append(f, (struct rec_stat){ metric, arena_str(&f->arena, label), value, arena_str(&f->arena, text) });
}

void figures_send(struct figures *f, struct channel *ch, uint64_t call)
{
	struct msg_stats_are answer = { .call = call };

	if (f->omitted > 0)
		append(f, (struct rec_stat){ .metric = METRIC_ROLE_OMITTED, .value = f->omitted });
	answer.stats.at = f->rows;
	answer.stats.n = f->n;
	ipc_send_stats_are(ch, &answer, -1);
	arena_fini(&f->arena);
	free(f->rows);
	*f = (struct figures){ 0 };
}
