/* mechanisms.c - the table of sasl.def without its functions, for roles that only choose a mechanism. */
#include "posthouse/sasl.h"

static const struct sasl_mechanism mechanisms[] = {
#define SASL(id, name, needs, traits, ...) { SASL_##id, name, needs, traits },
#include "posthouse/sasl.def"
};

const struct sasl_mechanism *sasl_find(struct str name)
{
	for (size_t i = 0; i < SASL_MECHANISMS; i++)
		if (str_ieq(name, str_of(mechanisms[i].name)))
			return &mechanisms[i];
	return NULL;
}

struct str sasl_names(struct arena *a, unsigned have)
{
	struct str names = S("");

	for (size_t i = 0; i < SASL_MECHANISMS; i++)
		if (!(mechanisms[i].needs & ~have))
			names = arena_printf(a, "%.*s%s%s", STR_ARG(names), names.n ? " " : "", mechanisms[i].name);
	return names;
}
