/* ascii.c - header fields in 7 bits. What can be encoded depends on the field: text anywhere in an unstructured one, display
 * names and comments in one with addresses, comments and parameters in one of MIME's. */
#include "ascii.h"

#include "encode.h"
#include "writer.h"
#include "encoded.h"
#include "field.h"
#include "fixup.h"

/* Of an address only the domain has another form. */
static void put_address(struct writer *w, struct str address)
{
	struct str trimmed = str_trim(address), ascii = trimmed;

	if ((w->what & ASCII_8BIT) && text_is_odd(address) && !mail_address_to_ascii(w->arena, trimmed, &ascii)) {
		w->address = arena_str(w->arena, trimmed);
		ascii = trimmed;
	}
	writer_put(w, ascii);
}

/* The end of the run of words that begins at `at`: before a comment, an address in angle brackets, or the end of an element. */
static size_t run_end(struct str s, size_t at, bool *has_at_out)
{
	*has_at_out = false;
	while (at < s.n && !strchr("(<,;:", s.p[at] ? s.p[at] : 'x')) {
		*has_at_out = *has_at_out || s.p[at] == '@';
		if (s.p[at] == '"')
			at = writer_quoted_end(s, at);
		else if (s.p[at] == '[')
			at += str_find(str_from(s, at), ']') + 1;
		else
			at++;
	}
	return at < s.n ? at : s.n;
}

/* A display name, or an address without brackets. */
static void put_run(struct writer *w, struct str run, bool is_address, bool is_last)
{
	size_t lead = writer_skip_wsp(run, 0), from = w->out.n;
	struct str text = str_trim(run);

	writer_put(w, str_head(run, lead));
	if (is_address)
		put_address(w, text);
	else
		writer_put_words(w, text, PHRASE);
	writer_put(w, str_from(run, lead + text.n));
	if (!is_address && !is_last && lead + text.n == run.n && text.n > 0 && w->out.n > from + run.n &&
	    str_ends(buf_view(&w->out), S("?=")))
		writer_put(w, S(" "));
}

static size_t angle_end(struct str s, size_t at)
{
	for (at++; at < s.n && s.p[at] != '>';)
		at = s.p[at] == '"' ? writer_quoted_end(s, at) : at + 1;
	return at < s.n ? at + 1 : s.n;
}

static void put_angle(struct writer *w, struct str angle)
{
	bool closed = str_ends(angle, S(">"));

	writer_put(w, S("<"));
	put_address(w, str_head(str_from(angle, 1), angle.n - 1 - closed));
	writer_put(w, closed ? S(">") : S(""));
}

static void put_addresses(struct writer *w, struct str s)
{
	bool has_at;

	for (size_t at = 0, end; at < s.n; at = end) {
		char c = s.p[at];
		if (c == '(') {
			end = writer_comment_end(s, at);
			writer_put_comment(w, str_head(str_from(s, at), end - at));
		} else if (c == '<') {
			end = angle_end(s, at);
			put_angle(w, str_head(str_from(s, at), end - at));
		} else if (c != '\0' && strchr(",;:", c)) {
			end = at + 1;
			writer_put(w, str_make(s.p + at, 1));
			/* a place to fold at, where there was none */
			if ((w->what & ASCII_LONG) && end < s.n && !is_wsp(s.p[end]))
				writer_put(w, S(" "));
		} else {
			end = run_end(s, at, &has_at);
			put_run(w, str_head(str_from(s, at), end - at), has_at && !(end < s.n && s.p[end] == '<'), end == s.n);
		}
	}
}

/* ---- the other structured fields ---- */

/* Comments are text; identifiers and URLs in angle brackets get RFC 3987 3.1's form, so that equal ones stay equal. */
static void put_trace(struct writer *w, struct str s)
{
	for (size_t at = 0, end; at < s.n; at = end) {
		if (s.p[at] == '(') {
			end = writer_comment_end(s, at);
			writer_put_comment(w, str_head(str_from(s, at), end - at));
		} else if (s.p[at] == '<') {
			end = angle_end(s, at);
			if (w->what & ASCII_8BIT)
				encoded_put_percent(&w->out, str_head(str_from(s, at), end - at));
			else
				writer_put(w, str_head(str_from(s, at), end - at));
			if ((w->what & ASCII_LONG) && end < s.n && s.p[end] == '<')
				writer_put(w, S(" "));
		} else {
			end = s.p[at] == '"' ? writer_quoted_end(s, at) : at + 1;
			writer_put(w, str_head(str_from(s, at), end - at));
		}
	}
}

/* The end of the type or parameter that begins at `at`: before a semicolon. */
static size_t parameter_end(struct str s, size_t at)
{
	while (at < s.n && s.p[at] != ';')
		at = s.p[at] == '"' ? writer_quoted_end(s, at) : s.p[at] == '(' ? writer_comment_end(s, at) : at + 1;
	return at;
}

static struct str parameter_name(struct str parameter)
{
	return str_trim(str_head(parameter, str_find(parameter, '=')));
}

/* Is the parameter also there in the form of RFC 2231, for readers that know it? */
static bool has_extended(struct str s, struct str name)
{
	for (size_t at = parameter_end(s, 0), end; at < s.n; at = end) {
		end = parameter_end(s, at + 1);
		struct str other = parameter_name(str_head(str_from(s, at + 1), end - at - 1));
		if (other.n > name.n && str_istarts(other, name) && other.p[name.n] == '*')
			return true;
	}
	return false;
}

static void put_parameter(struct writer *w, struct str parameter, struct str all)
{
	struct str name = parameter_name(parameter);
	struct str value = str_trim(str_from(parameter, str_find(parameter, '=') + 1));

	if (!writer_must_encode(w, parameter) || value.n == 0 || str_ieq(name, S("boundary"))) {
		writer_put(w, S(";"));
		writer_put(w, parameter);
	} else if (str_find(name, '*') < name.n) {
		writer_put(w, S(";"));
		encoded_put_percent(&w->out, parameter);
	} else if (!has_extended(all, name)) {
		if (*value.p == '"')
			value = str_head(value, writer_quoted_end(value, 0));
		encoded_put_parameter(&w->out, name, writer_unquote(w->arena, value, PHRASE));
	}
}

static void put_parameters(struct writer *w, struct str s)
{
	size_t at = parameter_end(s, 0), end;

	put_trace(w, str_head(s, at));
	for (; at < s.n; at = end) {
		end = parameter_end(s, at + 1);
		put_parameter(w, str_head(str_from(s, at + 1), end - at - 1), s);
	}
}

/* ---- the field ---- */

static bool has_long_line(struct str s)
{
	struct str line;

	while (str_split(&s, '\n', &line))
		if (line.n > TEXT_LINE_MAX + 1) /* with its CR */
			return true;
	return false;
}

/* RFC 5322 2.2.3; other CR and LF, which a part can have, are removed too. */
static struct str unfold(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			out[n++] = s.p[i];
	return str_trim(str_make(out, n));
}

static void put_value(struct writer *w, enum field_kind kind, struct str value)
{
	switch (kind) {
	case UNSTRUCTURED: writer_put_words(w, value, PLAIN); return;
	case ADDRESSES: put_addresses(w, value); return;
	case PARAMETERS: put_parameters(w, value); return;
	case TRACE: put_trace(w, value); return;
	}
}

/* The field rewritten, on one line; *kind_io can become UNSTRUCTURED. */
static struct str rewrite(struct writer *w, struct str name, struct str value, bool encapsulate, enum field_kind *kind_io)
{
	buf_printf(&w->out, "%.*s: ", STR_ARG(name));
	put_value(w, *kind_io, value);
	bool failed = *kind_io == TRACE ? text_is_odd(buf_view(&w->out)) : encapsulate && w->address.n > 0;
	if (failed && (w->what & ASCII_8BIT)) {
		*kind_io = UNSTRUCTURED;
		buf_clear(&w->out);
		buf_printf(&w->out, "Downgraded-%.*s: ", STR_ARG(name));
		writer_put_words(w, value, PLAIN);
	}
	buf_add(&w->out, S("\r\n"));
	return arena_str(w->arena, buf_view(&w->out));
}

bool field_is_odd(struct str whole)
{
	for (size_t i = 0; i < whole.n; i++) {
		if (whole.p[i] == '\r' && i + 1 < whole.n && whole.p[i + 1] == '\n')
			i++;
		else if (is_unfit(whole.p[i]))
			return true;
	}
	return false;
}

/* A long field as it is, folded. RFC 5322 3.2.4 allows that also within quoted strings, for which not all readers are
 * prepared. */
static struct str fold_long(struct arena *a, struct str whole, bool anywhere)
{
	struct str folded = fold_at(a, whole, TEXT_LINE_MAX, FOLD_OUTSIDE);

	return anywhere && has_long_line(folded) ? fold_at(a, whole, TEXT_LINE_MAX, FOLD_ANYWHERE) : folded;
}

bool field_to_ascii(struct arena *a, unsigned what, struct str name, struct str whole, struct str *field_out,
		    struct str *address_out)
{
	struct writer w = { .arena = a, .what = what };
	enum field_kind kind = field_find(name)->kind;
	bool odd = (what & ASCII_8BIT) && field_is_odd(whole);

	*field_out = whole;
	if (!odd && !((what & ASCII_LONG) && has_long_line(whole)))
		return false;
	if (!odd)
		*field_out = fold_long(a, whole, kind == UNSTRUCTURED);
	if (!odd && !has_long_line(*field_out))
		return true;
	struct str value = unfold(a, str_from(whole, str_find(whole, ':') + 1));
	buf_init(&w.out, SIZE_MAX / 2);
	struct str line = rewrite(&w, name, value, !address_out, &kind);
	buf_fini(&w.out);
	if (address_out && w.address.n > 0)
		*address_out = w.address;
	if (!odd && str_eq(line, arena_printf(a, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value))))
		*field_out = fold_long(a, whole, true);
	else
		*field_out = fold_at(a, line, WORDS_LINE, kind == UNSTRUCTURED ? FOLD_ANYWHERE : FOLD_COMMENTS);
	return field_out->p != whole.p;
}

bool fold_field(struct arena *a, struct header_field *f)
{
	struct str address, whole;

	if (f->whole.n <= TEXT_LINE_MAX + 2 || !field_to_ascii(a, ASCII_LONG, f->name, f->whole, &whole, &address))
		return false;
	f->whole = whole;
	f->name = str_head(whole, f->name.n);
	f->value = str_from(whole, str_find(whole, ':') + 1);
	f->value.n -= 2;
	return true;
}
