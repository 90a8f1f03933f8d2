/* log_repeats.c - lines that say the same as lines shortly before. A few contents are remembered by their hash; when more lines
 * than that repeat at once, the others are written as usual. */
#include "log_repeats.h"

#include "posthouse/arena.h"
#include "posthouse/hash.h"

#include <stdlib.h>

#define CONTENTS_MAX 64

static struct content {
	uint64_t hash, since_ms;
	uint64_t shown;
	struct repeated_line left_out;
} contents[CONTENTS_MAX];

static uint64_t waiting; /* contents of which lines were left out */

static bool is_over(const struct content *c, uint64_t now_ms)
{
	return now_ms - c->since_ms >= REPEATS_WINDOW_MS;
}

/* The content with this hash, or a place for it. NULL: there is none. */
static struct content *find(uint64_t hash, uint64_t now_ms)
{
	struct content *rested = NULL, *own = &contents[hash % CONTENTS_MAX];

	for (struct content *c = contents; c < contents + CONTENTS_MAX; c++) {
		if (c->hash == hash)
			return c;
		if (c->left_out.count == 0 && is_over(c, now_ms))
			rested = c;
	}
	return rested ? rested : own->left_out.count == 0 ? own : NULL;
}

bool repeats_left_out(enum log_level level, struct str line, struct str content, uint64_t now_ms)
{
	uint64_t hash = hash_text(content);
	struct content *c = find(hash, now_ms);

	if (!c)
		return false;
	if (c->hash != hash || (is_over(c, now_ms) && c->left_out.count == 0))
		*c = (struct content){ .hash = hash, .since_ms = now_ms };
	if (++c->shown <= REPEATS_SHOWN)
		return false;
	waiting += c->left_out.count == 0;
	free(c->left_out.text);
	c->left_out = (struct repeated_line){ .level = level, .count = c->left_out.count + 1, .text = str_dup(line) };
	return true;
}

bool repeats_take(bool all, uint64_t now_ms, struct repeated_line *line_out)
{
	for (struct content *c = contents; waiting > 0 && c < contents + CONTENTS_MAX; c++) {
		if (c->left_out.count == 0 || !(all || is_over(c, now_ms)))
			continue;
		*line_out = c->left_out;
		*c = (struct content){ .hash = c->hash, .since_ms = now_ms };
		waiting--;
		return true;
	}
	return false;
}
