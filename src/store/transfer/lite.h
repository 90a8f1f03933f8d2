/* lite.h - the inside of the side that is in SQLite: for lite.c and lite_text.c. */
#ifndef STORE_TRANSFER_LITE_H
#define STORE_TRANSFER_LITE_H

#include "side.h"

#include "posthouse/list.h"

#include <sqlite3.h>

struct lite {
	struct side side;
	sqlite3 *db;
	int large_fd;       /* of the directory of large texts; -1: there is none */
	int text_fd;        /* of the text that is read or written */
	uint64_t text_id;   /* 0: none */
	struct arena words; /* of statements: of the transaction */
};
static inline struct lite *lite_of(struct side *s)
{
	return CONTAINER_OF(s, struct lite, side);
}

bool lite_piece(struct side *s, uint64_t id, uint64_t seq, struct arena *a, struct str *piece_out);
bool lite_put_piece(struct side *s, uint64_t id, uint64_t seq, struct str piece);
bool lite_end_text(struct side *s, uint64_t id);

#endif
