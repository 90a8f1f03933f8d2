/* events.c - adds events to the history of a message. */
#include "rows.h"

/* Of several nodes the event names the one that has written it. */
static struct str with_node(struct engine *e, struct str fields)
{
	uint64_t node = own_node(e);

	if (node == 0)
		return fields;
	return arena_printf(&e->host->arena, "%.*s%snode=%llu", STR_ARG(fields), fields.n ? " " : "", (unsigned long long)node);
}

void add_event(struct engine *e, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields)
{
	db_run(&e->db, Q_event_add, INT(id), INT(n), INT(at), TEXT(name), TEXT(with_node(e, fields)));
}

bool has_event(struct engine *e, uint64_t id, uint64_t n, uint64_t at, struct str name, struct str fields)
{
	return db_exists(&e->db, db_query(&e->db, Q_event_has, INT(id), INT(n), INT(at), TEXT(name), TEXT(with_node(e, fields))));
}

/* Quotes and backslashes are escaped; control characters become spaces. */
struct str reason_field(struct arena *a, struct str reason)
{
	char *p = arena_alloc(a, reason.n * 2 + 1);
	size_t n = 0;

	if (reason.n == 0)
		return S("");
	for (size_t i = 0; i < reason.n; i++) {
		unsigned char c = (unsigned char)reason.p[i];

		if (c == '"' || c == '\\')
			p[n++] = '\\';
		p[n++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	return arena_printf(a, "reason=\"%.*s\"", (int)n, p);
}
