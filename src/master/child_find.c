/* child_find.c - which of the processes that master has started is meant. */
#include "master.h"

struct child *child_find(struct master *m, enum role_id role, unsigned index)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].role == role && m->children[i].index == index)
			return &m->children[i];
	return NULL;
}

struct child *child_of(struct master *m, const struct channel *ch)
{
	return child_find(m, channel_peer(ch), channel_peer_index(ch));
}
