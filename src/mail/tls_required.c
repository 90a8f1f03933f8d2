/* tls_required.c - the field TLS-Required (RFC 8689 section 3): the author wants the message to arrive even without TLS. */
#include "posthouse/mail.h"

bool mail_tls_optional(const struct header *h)
{
	const struct str name = S("TLS-Required");
	const struct header_field *first = header_find(h, name);

	if (!first || !str_ieq(str_trim(first->value), S("No")))
		return false;
	for (const struct header_field *f = first + 1; f < h->fields + h->n; f++)
		if (str_ieq(f->name, name))
			return false;
	return true;
}
