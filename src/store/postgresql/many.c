/* many.c - a statement about many messages, which gets their ids as an array. */
#include "array.h"
#include "rows.h"

static void ask(struct many *m)
{
	struct db_value values[2 + MANY_VALUES] = { { .kind = DB_NULL } }; /* the first is the place that db_query() fills */
	struct array ids = { 0 };

	for (size_t i = 0; i < m->n; i++)
		array_add_number(&ids, m->ids[i]);
	values[1] = array_value(&ids, 'i');
	memcpy(values + 2, m->values, sizeof m->values);
	m->q = db_query_values(&m->e->db, m->statement, values, 2 + m->values_n);
	m->asked = m->n;
	array_fini(&ids);
}

struct db_rows *many_row(struct many *m)
{
	if (m->asked < m->n)
		ask(m);
	if (m->q && !db_row(&m->e->db, m->q))
		m->q = NULL;
	return m->q;
}
