/* many.c - a statement about one message, asked of many: one after another. */
#include "rows.h"

struct db_rows *many_row(struct many *m)
{
	struct db_value values[2 + MANY_VALUES] = { { .kind = DB_NULL } }; /* the first is the place that db_query() fills */

	memcpy(values + 2, m->values, sizeof m->values);
	for (;;) {
		if (m->q && db_row(&m->e->db, m->q))
			return m->q;
		m->q = NULL;
		if (m->asked == m->n || m->e->db.rc != SQLITE_OK)
			return NULL;
		values[1] = INT(m->ids[m->asked++]);
		m->q = db_query_values(&m->e->db, m->statement, values, 2 + m->values_n);
	}
}
