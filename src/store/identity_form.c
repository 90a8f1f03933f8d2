#include "identity_form.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_uuid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (s.p[i] == '-') || (!dash && !memchr("0123456789abcdef", s.p[i], 16)))
			return false;
	}
	return s.n == 36;
}

/* A line with the UUID, and one with generation, history, epoch and timeline, which a node of before has not. */
size_t identity_form(const struct identity *i, char text_out[static IDENTITY_BYTES_MAX])
{
	int n = snprintf(text_out, IDENTITY_BYTES_MAX, "%s\n", i->instance);

	if (i->generation > 0)
		n = snprintf(text_out, IDENTITY_BYTES_MAX, "%s\n%" PRIu64 " %s %" PRIu64 " %" PRIu32 "\n", i->instance,
			     i->generation, i->history[0] ? i->history : "-", i->epoch, i->timeline);
	return (size_t)n;
}

static bool scan_number(struct str *rest, uint64_t max, uint64_t *number_out)
{
	struct str word;

	return str_split(rest, ' ', &word) && str_to_u64(word, number_out) && *number_out <= max;
}

/* What an older version has written ends behind the epoch. */
static bool scan_seen(struct str line, struct identity *out)
{
	uint64_t timeline = 0;
	struct str history;

	if (!scan_number(&line, UINT64_MAX, &out->generation) || !str_split(&line, ' ', &history) || history.n == 0 ||
	    history.n >= sizeof out->history || memchr(history.p, 0, history.n) || !scan_number(&line, UINT64_MAX, &out->epoch) ||
	    (line.n > 0 && !scan_number(&line, UINT32_MAX, &timeline)) || line.n > 0)
		return false;
	if (!str_eq(history, S("-")))
		memcpy(out->history, history.p, history.n);
	out->timeline = (uint32_t)timeline;
	return out->generation > 0;
}

bool identity_scan(struct str text, struct identity *out)
{
	struct str line;

	*out = (struct identity){ 0 };
	if (!str_ends(text, S("\n")) || !str_split(&text, '\n', &line) || !is_uuid(line))
		return false;
	memcpy(out->instance, line.p, line.n);
	return text.n == 0 || (str_split(&text, '\n', &line) && text.n == 0 && scan_seen(line, out));
}
