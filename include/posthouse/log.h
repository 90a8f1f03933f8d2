/* log.h - one line per fact: `event=noun.verb key=value…`, or the same as JSON, to standard error. Ids come from the
 * context, values are escaped, secrets have no kv. Where the journal reads standard error, a line begins with its
 * priority. Every event is a row of events.def, which tells an operator what it means. */
#ifndef POSTHOUSE_LOG_H
#define POSTHOUSE_LOG_H

#include "posthouse/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* What a line is about; 0 = not said. */
struct log {
	uint64_t session;
	uint64_t message; /* printed as queue=ID */
};

struct kv {
	const char *key;
	enum { KV_STR, KV_U64, KV_I64, KV_BOOL } kind;
	union {
		struct str str;
		uint64_t u64;
		int64_t i64;
	};
};

static inline struct kv kv_str(const char *key, struct str v)
{
	return (struct kv){ .key = key, .kind = KV_STR, .str = v };
}
static inline struct kv kv_cstr(const char *key, const char *v)
{
	return kv_str(key, str_of(v));
}
static inline struct kv kv_u64(const char *key, uint64_t v)
{
	return (struct kv){ .key = key, .kind = KV_U64, .u64 = v };
}
static inline struct kv kv_i64(const char *key, int64_t v)
{
	return (struct kv){ .key = key, .kind = KV_I64, .i64 = v };
}
static inline struct kv kv_bool(const char *key, bool v)
{
	return (struct kv){ .key = key, .kind = KV_BOOL, .u64 = v };
}
struct kv kv_id(const char *key, uint64_t id); /* a message id in its text form; uses a small ring of static buffers */

#define kv(key, value)                                                                                                           \
	_Generic((value), struct str: kv_str, char *: kv_cstr, const char *: kv_cstr, bool: kv_bool, int: kv_i64,     \
		 long: kv_i64, long long: kv_i64, unsigned: kv_u64, unsigned long: kv_u64, unsigned long long: kv_u64,   \
		 unsigned short: kv_u64, unsigned char: kv_u64)((key), (value))

#define log_at(level, log, event, ...)                                                                                           \
	log_write((level), (log), (event), (const struct kv[]){ { .key = NULL }, ##__VA_ARGS__ },                                \
		  sizeof((const struct kv[]){ { .key = NULL }, ##__VA_ARGS__ }) / sizeof(struct kv))
#define log_debug(log, event, ...)   log_at(LOG_DEBUG, log, event, ##__VA_ARGS__)
#define log_info(log, event, ...)    log_at(LOG_INFO, log, event, ##__VA_ARGS__)
#define log_warning(log, event, ...) log_at(LOG_WARNING, log, event, ##__VA_ARGS__)
#define log_error(log, event, ...)   log_at(LOG_ERROR, log, event, ##__VA_ARGS__)

/* `log` can be NULL. The first pair is a placeholder of the macros and is skipped. A line that standard error cannot take
 * at once is dropped and counted; the count is a line of its own as soon as there is room. */
void log_write(enum log_level level, const struct log *log, const char *event, const struct kv *pairs, size_t n);

/* Pass on a finished line (with its line end) of another process, under the same rule: never wait for standard error. */
void log_forward(struct str line);

/* Is this a whole line of the process with this name and index (-1: none), with nothing in it that a reader could take for a
 * line, or for the name, of another one? */
bool log_line_is_of(struct str line, const char *role, int index);

/* Write the lines that were left out because they repeat others, with their number: those whose time is over, which log_write()
 * does as well, or all of them, before the process ends. */
void log_settle(bool all);

/* The process's name and, for roles of which there are several, its index (-1: not shown); format and lowest level. */
void log_setup(const char *role, int index);
void log_configure(bool json, enum log_level level);

/* A line of words for people, without time and event: what is said before a log can be. Once the log is JSON, an event with the
 * words. */
void log_words(enum log_level level, struct str line);

/* A bad environment at the start of a program: one line on standard error, exit with this sysexits(3) code. */
_Noreturn void die(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
