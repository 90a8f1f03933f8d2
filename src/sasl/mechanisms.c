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

static struct str add(struct arena *a, struct str names, const char *name)
{
	return arena_printf(a, "%.*s%s%s", STR_ARG(names), names.n ? " " : "", name);
}

struct str sasl_wanted(struct arena *a, const struct str_list *named, unsigned have)
{
	struct str names = S("");

	for (size_t i = 0; i < named->n; i++) {
		const struct sasl_mechanism *m = sasl_find(named->at[i]);

		if (m && !(m->needs & ~have))
			names = add(a, names, m->name);
	}
	for (size_t i = 0; i < SASL_MECHANISMS && named->n == 0; i++)
		if (!(mechanisms[i].needs & ~have) && !(mechanisms[i].traits & SASL_ON_REQUEST))
			names = add(a, names, mechanisms[i].name);
	return names;
}

struct str sasl_choose(struct str wanted, struct str offered, struct str refused)
{
	struct str mine, theirs;

	while (str_split(&wanted, ' ', &mine))
		for (struct str rest = offered; str_split(&rest, ' ', &theirs);)
			if (mine.n > 0 && str_ieq(mine, theirs) && !str_ieq(mine, refused))
				return mine;
	return S("");
}
