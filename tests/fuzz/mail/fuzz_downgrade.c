/* fuzz_downgrade.c - whatever comes, a conversion ends in lines of 7-bit text or is refused; the pieces in which it comes do not
 * matter, and what it gives can be converted again. */
#include "posthouse/mail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

/* Convert in pieces of 1 to `most` bytes, by a simple sequence. */
static struct verdict convert(struct str in, size_t most, bool whole, unsigned what, struct buf *out)
{
	struct downgrade *c = downgrade_new(what, whole ? SIZE_MAX / 2 : DOWNGRADE_SAMPLE);
	struct verdict v = ok();
	size_t step = most;

	buf_init(out, SIZE_MAX / 2);
	for (size_t at = 0; v.class == OK && at < in.n; at += step, step = 1 + (step * 31 + 7) % most) {
		struct str piece = str_head(str_from(in, at), step);
		size_t before = out->n;
		v = downgrade_feed(c, piece, out);
		require(whole || out->n - before <= 16 * piece.n + 1024 * 1024);
	}
	if (v.class == OK)
		v = downgrade_end(c, out);
	require(v.class != OK || (str_starts(buf_view(out), downgrade_header(c)) && downgrade_header(c).p));
	downgrade_free(c);
	return v;
}

static void check(struct str in, unsigned what, struct str out)
{
	for (size_t i = 0; what == DOWNGRADE_7BIT && i < out.n; i++) {
		char c = out.p[i];
		require((unsigned char)c < 0x80 && c != '\0');
		require(c != '\n' || (i > 0 && out.p[i - 1] == '\r'));
		require(c != '\r' || i + 1 == out.n || out.p[i + 1] == '\n');
	}
	/* a line that is too long may be left in what must not be touched, and a word that means something whole in a field */
	for (size_t at = 0; at < out.n;) {
		struct str line = str_from(out, at);
		line = str_head(line, str_search(line, S("\r\n")));
		require(line.n <= 998 || what == DOWNGRADE_HEADERS || str_search(in, str_from(line, line.n - 100)) < in.n);
		at += line.n + 2;
	}
}

static void convert_all(struct str in, size_t most, bool whole, unsigned what)
{
	struct buf once, pieces, again;
	struct verdict v = convert(in, in.n, whole, what, &once);

	require(convert(in, most, whole, what, &pieces).class == v.class);
	require(v.class == OK || v.class == PERM);
	if (v.class == OK) {
		require(str_eq(buf_view(&once), buf_view(&pieces)));
		check(in, what, buf_view(&once));
		if (whole) {
			require(convert(buf_view(&once), 4096, true, what, &again).class == OK);
			check(buf_view(&once), what, buf_view(&again));
			buf_fini(&again);
		}
	}
	buf_fini(&once);
	buf_fini(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t most = size > 0 ? 1 + data[size - 1] : 1;
	struct str in = str_make(data, size);

	for (unsigned what = DOWNGRADE_7BIT; what <= DOWNGRADE_LINES; what *= 2) {
		convert_all(in, most, true, what);
		convert_all(in, most, false, what);
	}
	return 0;
}
