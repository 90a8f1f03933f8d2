/* fuzz_convert.c - whatever comes, a conversion ends in lines of 7-bit text or is refused; the pieces in which it comes do not
 * matter, and what it gives needs no other conversion. */
#include "posthouse/mail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

/* Convert in pieces of 1 to `most` bytes, by a simple sequence. */
static struct verdict convert(struct str in, size_t most, bool with_look, struct buf *out)
{
	struct convert *c = convert_new();
	struct verdict v = ok();
	size_t step = most;

	buf_init(out, SIZE_MAX / 2);
	for (size_t at = 0; with_look && at < in.n; at += step, step = 1 + (step * 31 + 7) % most)
		convert_look(c, str_head(str_from(in, at), step));
	if (with_look)
		v = convert_again(c);
	for (size_t at = 0; v.class == OK && at < in.n; at += step, step = 1 + (step * 31 + 7) % most) {
		struct str piece = str_head(str_from(in, at), step);
		size_t before = out->n;
		v = convert_feed(c, piece, out);
		require(out->n - before <= 4 * piece.n + 512 * 1024);
	}
	if (v.class == OK)
		v = convert_end(c, out);
	require(v.class != OK || (str_starts(buf_view(out), convert_header(c)) && convert_header(c).p));
	convert_free(c);
	return v;
}

/* Header fields are left alone, so make everything that could be one a line of plain text first. */
static struct str prepare(struct arena *a, struct str in)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t used = 0;

	for (size_t at = 0; at < in.n;) {
		struct str line = str_from(in, at);
		line = str_head(line, str_search(line, S("\r\n")));
		at += line.n + 2;
		bool field = str_find(line, ':') < line.n || str_starts(line, S(" ")) || str_starts(line, S("\t")) ||
			     str_starts(line, S("From ")) || str_starts(line, S(">From "));
		for (size_t i = 0; i < line.n && (!field || i < 990); i++) {
			char c = line.p[i];
			bool odd = (unsigned char)c >= 0x80 || c == '\0' || c == '\r' || c == '\n';
			p[used++] = field && odd ? 'x' : c;
		}
		if (at <= in.n) {
			memcpy(p + used, "\r\n", 2);
			used += 2;
		}
	}
	return str_make(p, used);
}

static void check(struct str in, struct str out)
{
	for (size_t i = 0; i < out.n; i++) {
		char c = out.p[i];
		require((unsigned char)c < 0x80 && c != '\0');
		require(c != '\n' || (i > 0 && out.p[i - 1] == '\r'));
		require(c != '\r' || i + 1 == out.n || out.p[i + 1] == '\n');
	}
	/* a line that is too long may be left in what must not be touched */
	for (size_t at = 0; at < out.n;) {
		struct str line = str_from(out, at);
		line = str_head(line, str_search(line, S("\r\n")));
		require(line.n <= 998 || str_search(in, line) < in.n);
		at += line.n + 2;
	}
}

static void convert_all(struct str in, size_t most, bool with_look)
{
	struct buf once, pieces, again;
	struct verdict v = convert(in, in.n, with_look, &once);

	require(convert(in, most, with_look, &pieces).class == v.class);
	require(v.class == OK || v.class == PERM);
	if (v.class == OK) {
		require(str_eq(buf_view(&once), buf_view(&pieces)));
		check(in, buf_view(&once));
		if (with_look) {
			require(convert(buf_view(&once), 4096, true, &again).class == OK);
			require(str_eq(buf_view(&once), buf_view(&again)));
			buf_fini(&again);
		}
	}
	buf_fini(&once);
	buf_fini(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	size_t most = size > 0 ? 1 + data[size - 1] : 1;
	struct str in = prepare(&a, str_make(data, size));

	convert_all(in, most, true);
	convert_all(in, most, false);
	arena_fini(&a);
	return 0;
}
