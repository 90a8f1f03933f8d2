/* envelope.c - the columns of envelope.def in a row of the table of messages. */
#include "rows.h"

struct envelope stored_envelope(struct arena *a, struct db_rows *q, int column)
{
	struct envelope to;

#define READ_TEXT(name)                       to.name = db_keep(a, q, column++);
#define READ_INT(name)                        to.name = db_u64(q, column++);
#define READ_PRIORITY(name)                   to.name = stored_priority(q, column++);
#define FIELD(type, name, stored, seen, most) READ_##stored(name)
	ENVELOPE_FIELDS(FIELD)
	return to;
}
