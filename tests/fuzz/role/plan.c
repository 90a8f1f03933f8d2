/* plan.c - see plan.h. */
#include "plan.h"
#include "world.h"

#include "posthouse/id.h"

/* A time after each start of the role: a message of that id cannot have been submitted before. */
#define LATER_MS UINT64_C(4102444800000)

static bool sent_by(unsigned type, struct str role, uint8_t *who_out)
{
	for (unsigned i = 0; type < MSG_COUNT && i < world_peers_n(); i++)
		if (can_send(world_role(), world_peer_role(i), type) &&
		    (role.n == 0 || str_eq(role, str_of(role_name(world_peer_role(i)))))) {
			*who_out = (uint8_t)i;
			return true;
		}
	return false;
}

/* A message is that of its id, in all that is said of it before it is stored. */
static void set_id(struct message *m, uint64_t id)
{
	if (m->type != MSG_envelope && m->type != MSG_spool_open)
		return;
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->at[i].field->name, "id") == 0)
			m->at[i].number = id;
}

void plan_add(struct acts *acts, const char *plan, struct dice *d, struct arena *a)
{
	static struct message message;
	uint64_t id = id_first_of(roll(d, 4) ? LATER_MS + roll(d, UINT64_C(1) << 30) : 1 + roll(d, 1000));
	struct str rest = str_of(plan), name;
	struct buf b;
	uint8_t who;

	while (str_split(&rest, ' ', &name)) {
		size_t colon = str_find(name, ':');
		bool named = colon < name.n;
		unsigned type = type_named(named ? str_from(name, colon + 1) : name);

		if (acts->n == ACTS_MAX || !sent_by(type, named ? str_head(name, colon) : S(""), &who))
			continue;
		message_make(&message, type, true, d, a);
		set_id(&message, id);
		buf_init(&b, 1 << 20);
		message_write(&message, &b);
		acts->at[acts->n++] = (struct act){ ACT_MESSAGE, who, PASS_AS_TABLE, arena_str(a, buf_view(&b)) };
		buf_fini(&b);
	}
}
