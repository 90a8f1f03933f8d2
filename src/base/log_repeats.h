/* log_repeats.h - the same warning or error again and again, from something that is broken and is tried in a circle: the first
 * lines are written, and of those that follow only the last one, with their number. log.c alone uses this, under its lock. */
#ifndef BASE_LOG_REPEATS_H
#define BASE_LOG_REPEATS_H

#include "posthouse/log.h"

#define REPEATS_SHOWN     10    /* lines of the same content within … */
#define REPEATS_WINDOW_MS 10000 /* … this time are written */

struct repeated_line {
	enum log_level level;
	uint64_t count;
	char *text; /* of the last one, without its end */
};

/* True: `line` is not written now, but counted. `content` is the part of it that is compared. */
bool repeats_left_out(enum log_level level, struct str line, struct str content, uint64_t now_ms);

/* Take what was left out and whose time is over, or with `all` anything that was left out. The caller frees line_out->text. */
bool repeats_take(bool all, uint64_t now_ms, struct repeated_line *line_out);

#endif
