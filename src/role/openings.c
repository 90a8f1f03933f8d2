/* openings.c - what the walls of a role leave open, and whether that is still enough. */
#include "openings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct opening *find_place(const struct openings *o, const char *path)
{
	for (size_t i = 0; i < o->places_n; i++)
		if (strcmp(o->places[i].path, path) == 0)
			return &o->places[i];
	return NULL;
}

static bool has_port(const struct openings *o, uint64_t port)
{
	for (size_t i = 0; i < o->ports_n; i++)
		if (o->ports[i] == port)
			return true;
	return false;
}

void openings_add(struct openings *o, struct opening place)
{
	struct stat st;

	if (find_place(o, place.path))
		return;
	if (stat(place.path, &st) == 0) {
		place.device = st.st_dev;
		place.inode = st.st_ino;
	}
	place.path = arena_cstr(&o->arena, str_of(place.path));
	ARENA_GROW(&o->arena, o->places, o->places_n, o->places_room);
	o->places[o->places_n++] = place;
}

void openings_add_port(struct openings *o, uint64_t port)
{
	if (has_port(o, port))
		return;
	ARENA_GROW(&o->arena, o->ports, o->ports_n, o->ports_room);
	o->ports[o->ports_n++] = port;
}

void openings_of(struct openings *o, enum role_id role, const struct config *c)
{
	*o = (struct openings){ 0 };
	openings_add_places(o, role, c);
	openings_add_ports(o, role, c);
}

struct str openings_lack(struct openings *o, struct arena *a, enum role_id role, const struct config *c)
{
	struct openings wanted;
	struct str lack = S("");

	openings_of(&wanted, role, c);
	for (size_t i = 0; i < wanted.places_n && lack.n == 0; i++)
		if (!find_place(o, wanted.places[i].path))
			lack = arena_printf(a, "it needs %s", wanted.places[i].path);
	for (size_t i = 0; i < wanted.ports_n && lack.n == 0; i++)
		if (!has_port(o, wanted.ports[i]))
			lack = arena_printf(a, "it connects to port %llu", (unsigned long long)wanted.ports[i]);
	arena_fini(&wanted.arena);
	return lack;
}

struct str openings_moved(const struct openings *o, struct arena *a)
{
	for (size_t i = 0; i < o->places_n; i++) {
		const struct opening *p = &o->places[i];
		struct stat st;

		if (p->watched && stat(p->path, &st) == 0 && (st.st_dev != p->device || st.st_ino != p->inode))
			return arena_printf(a, "%s was replaced", p->path);
	}
	return S("");
}
