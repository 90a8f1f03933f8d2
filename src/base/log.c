/* log.c - one line per fact, logfmt or JSON, to standard error. */
#include "posthouse/log.h"
#include "log_repeats.h"

#include "posthouse/buf.h"
#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TIME_BYTES     24   /* 2026-01-31T23:59:59.999Z */
#define LINE_MAX_BYTES 4000 /* below PIPE_BUF: a line of several processes on one pipe is never torn */

static struct {
	const char *role;
	int index;
	bool json;
	bool priorities; /* the journal reads standard error */
	enum log_level level;
	uint64_t dropped;
} settings = { .role = "posthouse", .index = -1, .level = LOG_INFO };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *const level_names[] = { "debug", "info", "warning", "error" };

/* Is standard error what the service manager has connected to the journal, and not a pipe or file of somebody between?
 * systemd.exec(5), JOURNAL_STREAM. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat s;
	char here[64];

	if (!stream || fstat(STDERR_FILENO, &s) != 0)
		return false;
	snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino);
	return strcmp(stream, here) == 0;
}

/* What the journal takes off a line's start and sorts lines by: sd-daemon(3). */
static struct str priority(enum log_level level)
{
	static const struct str priorities[] = { S("<7>"), S("<6>"), S("<4>"), S("<3>") };

	return settings.priorities ? priorities[level] : S("");
}

void log_setup(const char *role, int index)
{
	settings.role = role;
	settings.index = index;
	settings.priorities = is_journal();
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
		else
			buf_add_escape(b, c);
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
		   second.text, (unsigned)(now % 1000), level_names[level], settings.role);
	if (settings.index >= 0)
		add_pair(b, &(struct kv){ .key = "index", .kind = KV_I64, .i64 = settings.index });
	add_pair(b, &(struct kv){ .key = "event", .kind = KV_STR, .str = str_of(event) });
}

/* A pipe with room for one byte takes PIPE_BUF bytes at once, so after the poll the write does not wait for the reader of the
 * log. */
static void put_bytes(enum log_level level, struct str line)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct str first = priority(level);
	struct iovec parts[] = { { (void *)(uintptr_t)first.p, first.n }, { (void *)(uintptr_t)line.p, line.n } };
	ssize_t n;

	if (poll(&room, 1, 0) == 0) {
		settings.dropped++;
		return;
	}
	do
		n = writev(STDERR_FILENO, parts, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		settings.dropped++;
}

static void put_line(enum log_level level, struct buf *b)
{
	buf_add(b, settings.json ? S("}\n") : S("\n"));
	put_bytes(level, buf_view(b));
}

/* The level of a line that add_start() of another process has begun. Any other line is the last word of a process that fails. */
static enum log_level level_of(struct str line)
{
	size_t at = settings.json ? strlen("{\"time\":\"\",\"level\":\"") : strlen("time= level=");

	line = str_from(line, at + TIME_BYTES);
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (str_starts(line, str_of(level_names[i])))
			return (enum log_level)i;
	return LOG_ERROR;
}

void log_forward(struct str line)
{
	pthread_mutex_lock(&lock);
	put_bytes(level_of(line), line);
	pthread_mutex_unlock(&lock);
}

/* ---- lines about lines ---- */

/* How many lines standard error could not take. */
static void put_dropped(struct buf *b)
{
	struct kv count = { .key = "lines", .kind = KV_U64, .u64 = settings.dropped };

	if (settings.dropped == 0)
		return;
	settings.dropped = 0;
	add_start(b, LOG_WARNING, "log.dropped");
	add_pair(b, &count);
	put_line(LOG_WARNING, b);
	if (settings.dropped)
		settings.dropped = count.u64; /* no room yet: the count is logged later, without this line */
	buf_clear(b);
}

/* The last of the lines that were left out, with their number. */
static void put_repeated(struct buf *b, bool all)
{
	struct repeated_line last;

	while (repeats_take(all, clock_mono_ms(), &last)) {
		buf_add(b, str_of(last.text));
		add_pair(b, &(struct kv){ .key = "repeated", .kind = KV_U64, .u64 = last.count });
		put_line(last.level, b);
		buf_clear(b);
		free(last.text);
	}
}

void log_settle(bool all)
{
	struct buf b;

	pthread_mutex_lock(&lock);
	buf_init(&b, 64 * 1024);
	put_repeated(&b, all);
	buf_fini(&b);
	pthread_mutex_unlock(&lock);
}

/* Only of warnings and errors: the steps of a message are the same again and again. */
static bool is_left_out(enum log_level level, struct str line)
{
	size_t time_end = (settings.json ? strlen("{\"time\":\"") : strlen("time=")) + TIME_BYTES;

	return level >= LOG_WARNING && repeats_left_out(level, line, str_from(line, time_end), clock_mono_ms());
}

void log_write(enum log_level level, const struct log *log, const char *event, const struct kv *pairs, size_t n)
{
	struct buf b;
	char id[ID_TEXT_MAX];

	if (level < settings.level)
		return;
	pthread_mutex_lock(&lock);
	buf_init(&b, 64 * 1024);
	put_dropped(&b);
	put_repeated(&b, false);
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
	if (!is_left_out(level, buf_view(&b)))
		put_line(level, &b);
	buf_fini(&b);
	pthread_mutex_unlock(&lock);
}

void log_words(enum log_level level, struct str line)
{
	if (settings.json) { /* whoever reads the log reads nothing else */
		log_at(level == LOG_ERROR     ? LOG_ERROR
		       : level == LOG_WARNING ? LOG_WARNING
					      : LOG_INFO,
		       NULL, "start.told", kv("text", line));
		return;
	}
	settings.priorities = is_journal();
	fprintf(stderr, "%s%.*s\n", priority(level).p, STR_ARG(line));
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
	for (const char *who = "posthouse: "; str_split(&rest, '\n', &line); who = "")
		log_words(LOG_ERROR, arena_printf(&a, "%s%.*s", who, STR_ARG(utf8_shown(&a, line))));
	exit(exit_code);
}
