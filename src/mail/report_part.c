/* report_part.c - what both parts of a report are written with: its parts begin, and foreign texts become clean lines. */
#include "report.h"

#include "lines.h"
#include "text.h"

#define TEXT_SHOWN 2000 /* bytes of a remote text that are passed on */

struct str report_shown_address(struct report *r, struct str address)
{
	return text_clean(r->arena, address, ADDRESS_SHOWN);
}

struct str report_answer(struct report *r, const struct verdict *v, bool ascii)
{
	struct str text = ascii ? text_clean_ascii(r->arena, v->text, TEXT_SHOWN) : text_clean(r->arena, v->text, TEXT_SHOWN);
	struct str enhanced = text_clean_ascii(r->arena, v->enhanced, 16);
	struct str out = arena_printf(r->arena, "%u", v->code);

	if (v->code == 0)
		out = S("");
	if (enhanced.n > 0 && !str_starts(text, enhanced))
		out = arena_printf(r->arena, "%.*s %.*s", STR_ARG(out), STR_ARG(enhanced));
	return str_trim(arena_printf(r->arena, "%.*s %.*s", STR_ARG(out), STR_ARG(text)));
}

/* The encoding is named only when it is not the usual one, as RFC 6522 3 prefers. */
void report_begin_part(struct report *r, const char *type, const char *description, bool is_8bit_part)
{
	lines_printf(&r->out, "--%.*s", STR_ARG(r->boundary));
	lines_printf(&r->out, "Content-Type: %s", type);
	lines_printf(&r->out, "Content-Description: %s", description);
	if (is_8bit_part)
		lines_printf(&r->out, "Content-Transfer-Encoding: 8bit");
	lines_printf(&r->out, "%s", "");
}

struct str report_original_line(struct report *r, struct str name, size_t max)
{
	const struct header_field *f = header_find(&r->original, name);

	if (!f || str_search(f->value, S("=?")) < f->value.n)
		return S("");
	return text_clean(r->arena, f->value, max);
}
