/* public_suffix.c - where the domain of an organisation begins. libpsl's own copy of the list: no file is read. */
#include "posthouse/dmarc.h"

#include <libpsl.h>

struct str organisational_domain(struct str name)
{
	struct arena a = { 0 };
	const char *text = arena_cstr(&a, name), *found = psl_registrable_domain(psl_builtin(), text);
	struct str domain = found ? str_from(name, (size_t)(found - text)) : name;

	arena_fini(&a);
	return domain;
}

bool domains_align(struct str one, struct str other, bool strict)
{
	if (strict)
		return str_ieq(one, other);
	return str_ieq(organisational_domain(one), organisational_domain(other));
}
