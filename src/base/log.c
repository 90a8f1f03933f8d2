/* log.c - one line per fact, logfmt or JSON, to standard error. */
#include "posthouse/log.h"
#include "posthouse/buf.h"
#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4000 /* below PIPE_BUF: a line of several processes on one pipe is never torn */

static struct {
	const char *role;
	int index;
	bool json;
	enum log_level level;
	uint64_t dropped;
} settings = { .role = "posthouse", .index = -1, .level = LOG_INFO };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void log_setup(const char *role, int index)
{
	settings.role = role;
	settings.index = index;
}

void log_configure(bool json, enum log_level level)
{
	settings.json = json;
	settings.level = level;
}

struct kv kv_id(const char *key, uint64_t id)
{
	static _Thread_local char ring[8][ID_TEXT_MAX];
	static _Thread_local unsigned next;
	char *text = ring[next++ % 8];

	return kv_cstr(key, id_format(id, text));
}

/* Does it read as one word without quotes? */
static bool is_plain(struct str s)
{
	uint32_t c = 0;

	for (size_t i = 0, n; i<s.n; i += n> 0 ? n : 1) {
		n = utf8_char(str_from(s, i), &c);
		if (n > 0 && (c == ' ' || c == '"' || c == '=' || c == '\\' || utf8_is_hidden(c)))
			return false;
	}
	return s.n > 0;
}

/* As \uXXXX, beyond U+FFFF as the pair that JSON has for it (RFC 8259 7). */
static void add_code(struct buf *b, uint32_t c)
{
	if (c > 0xffff)
		buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
	else
		buf_printf(b, "\\u%04x", c);
}

/* What is within quotes: the same escapes serve logfmt and JSON. A terminal that shows the log acts on nothing of it. Bytes that
 * are not UTF-8 become U+FFFD. */
static void add_escaped(struct buf *b, struct str s)
{
	size_t added = 0; /* what is in front of it is in the buffer */
	uint32_t c = 0;

	for (size_t i = 0, n; i<s.n; i += n> 0 ? n : 1) {
		n = utf8_char(str_from(s, i), &c);
		if (n > 0 && c != '"' && c != '\\' && !utf8_is_hidden(c))
			continue;
		buf_add(b, str_make(s.p + added, i - added));
		added = i + (n > 0 ? n : 1);
		if (n == 0)
			buf_add(b, S("\xef\xbf\xbd"));
		else if (c == '"')
			buf_add(b, S("\\\""));
		else if (c == '\\')
			buf_add(b, S("\\\\"));
		else if (c == '\n')
			buf_add(b, S("\\n"));
		else if (c == '\r')
			buf_add(b, S("\\r"));
		else if (c == '\t')
			buf_add(b, S("\\t"));
		else
			add_code(b, c);
	}
	buf_add(b, str_from(s, added));
}

static void add_pair(struct buf *b, const struct kv *pair)
{
	bool quoted = pair->kind == KV_STR && (settings.json || !is_plain(pair->str));

	buf_add(b, settings.json ? S(",\"") : S(" "));
	buf_add(b, str_of(pair->key));
	buf_add(b, settings.json ? S("\":") : S("="));
	switch (pair->kind) {
	case KV_STR:
		if (quoted)
			buf_add_char(b, '"');
		add_escaped(b, pair->str);
		if (quoted)
			buf_add_char(b, '"');
		break;
	case KV_U64: buf_add_number(b, pair->u64); break;
	case KV_I64: buf_printf(b, "%lld", (long long)pair->i64); break;
	case KV_BOOL: buf_add(b, pair->u64 ? S("true") : S("false")); break;
	}
}

/* time=… level=… role=… event=…: the same on every line. */
static void add_start(struct buf *b, enum log_level level, const char *event)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };
	static struct {
		time_t at;
		char text[96];
	} second = { .at = -1 }; /* many lines are of the same second */
	uint64_t now = clock_now_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;

	if (seconds != second.at) {
		gmtime_r(&seconds, &tm);
		strftime(second.text, sizeof second.text, "%Y-%m-%dT%H:%M:%S", &tm);
		second.at = seconds;
	}
	buf_printf(b,
		   settings.json ? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"role\":\"%s\"" : "time=%s.%03uZ level=%s role=%s",
		   second.text, (unsigned)(now % 1000), names[level], settings.role);
	if (settings.index >= 0)
		add_pair(b, &(struct kv){ .key = "index", .kind = KV_I64, .i64 = settings.index });
	add_pair(b, &(struct kv){ .key = "event", .kind = KV_STR, .str = str_of(event) });
}

/* A pipe with room for one byte takes PIPE_BUF bytes at once, so after the poll the write does not wait for the reader of the
 * log. */
static void put_bytes(struct str line)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	if (poll(&room, 1, 0) == 0) {
		settings.dropped++;
		return;
	}
	do
		n = write(STDERR_FILENO, line.p, line.n);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		settings.dropped++;
}

static void put_line(struct buf *b)
{
	buf_add(b, settings.json ? S("}\n") : S("\n"));
	put_bytes(buf_view(b));
}

void log_forward(struct str line)
{
	pthread_mutex_lock(&lock);
	put_bytes(line);
	pthread_mutex_unlock(&lock);
}

void log_write(enum log_level level, const struct log *log, const char *event, const struct kv *pairs, size_t n)
{
	struct buf b;
	char id[ID_TEXT_MAX];

	if (level < settings.level)
		return;
	pthread_mutex_lock(&lock);
	buf_init(&b, 64 * 1024);
	if (settings.dropped) {
		struct kv count = { .key = "lines", .kind = KV_U64, .u64 = settings.dropped };

		settings.dropped = 0;
		add_start(&b, LOG_WARNING, "log.dropped");
		add_pair(&b, &count);
		put_line(&b);
		if (settings.dropped)
			settings.dropped = count.u64; /* no room yet: the count is logged later, without this line */
		buf_clear(&b);
	}
	add_start(&b, level, event);
	if (log && log->session) {
		snprintf(id, sizeof id, "%llx", (unsigned long long)(log->session & 0xffffffffffffull));
		add_pair(&b, &(struct kv){ .key = "session", .kind = KV_STR, .str = str_of(id) });
	}
	if (log && log->message)
		add_pair(&b, &(struct kv){ .key = "queue", .kind = KV_STR, .str = str_of(id_format(log->message, id)) });
	for (size_t i = 1; i < n; i++) {
		struct kv pair = pairs[i];

		/* six times: the longest escape. What does not fit is cut visibly, never the line's end. */
		if (pair.kind == KV_STR && b.n + strlen(pair.key) + pair.str.n * 6 + 16 > LINE_MAX_BYTES) {
			if (b.n + 200 > LINE_MAX_BYTES)
				break;
			pair.str = str_head(pair.str, (LINE_MAX_BYTES - b.n - strlen(pair.key) - 16) / 6);
		}
		add_pair(&b, &pair);
	}
	put_line(&b);
	buf_fini(&b);
	pthread_mutex_unlock(&lock);
}

void die(int exit_code, const char *format, ...)
{
	struct arena a = { 0 };
	struct str rest, line;
	va_list arguments;
	char text[2048];

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	rest = str_of(text);
	fprintf(stderr, "posthouse:");
	for (const char *before = " "; str_split(&rest, '\n', &line); before = "\n") {
		line = utf8_shown(&a, line);
		fprintf(stderr, "%s%.*s", before, STR_ARG(line));
	}
	fprintf(stderr, "\n");
	exit(exit_code);
}
