/* fuzz_log.c - values of peers in the log: one line, in which each value ends where it has to, as logfmt and as JSON. The first
 * byte chooses; then come two values, with a line "%%" between them. */
#include "fuzz.h"

#include "posthouse/log.h"

#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_BYTES 8192

static struct str logged(char line[2 * LINE_BYTES], struct str one, struct str other)
{
	static int memory = -1, real = -1;
	ssize_t n;

	if (memory < 0) {
		memory = memfd_create("log", MFD_CLOEXEC);
		real = dup(STDERR_FILENO);
	}
	if (ftruncate(memory, 0) != 0 || lseek(memory, 0, SEEK_SET) != 0)
		abort();
	dup2(memory, STDERR_FILENO);
	log_info(NULL, "mail.accepted", kv("sender", one), kv("subject", other), kv("size_bytes", one.n));
	dup2(real, STDERR_FILENO);
	n = pread(memory, line, 2 * LINE_BYTES, 0);
	assert(n > 0);
	return str_make(line, (size_t)n);
}

/* The value behind `key`, by the plainest reading of logfmt; what is behind it. */
static struct str behind_value(struct str line, struct str key)
{
	size_t i = str_search(line, key) + key.n;

	assert(i < line.n);
	if (line.p[i] == '"')
		for (i++; line.p[i] != '"'; i++) {
			i += line.p[i] == '\\';
			assert(i + 1 < line.n);
		}
	while (i < line.n && line.p[i] != ' ') {
		assert(line.p[i] != '=');
		i++;
	}
	return str_from(line, i);
}

static void check_json(struct str line, struct str one)
{
	json_error_t error;
	json_t *object = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	json_t *sender;

	assert(object && json_object_size(object) <= 8);
	sender = json_object_get(object, "sender");
	if (utf8_valid(one) && one.n < 600) /* longer ones can be cut */
		assert(str_eq(str_make(json_string_value(sender), json_string_length(sender)), one));
	json_decref(object);
}

/* A line that passes for one of relay's is nobody else's, also for a reader that takes the last of several names. */
static void check_owner(struct str line)
{
	json_error_t error;
	json_t *object;

	if (!log_line_is_of(line, "relay", -1))
		return;
	assert(str_ends(line, S("\n")));
	line.n--;
	fuzz_assert_shown(line);
	if (line.p[0] != '{') {
		assert(str_starts(str_from(line, str_search(line, S(" role="))), S(" role=relay event=")));
		return;
	}
	object = json_loadb(line.p, line.n, JSON_ALLOW_NUL, &error);
	assert(!object || strcmp(json_string_value(json_object_get(object, "role")), "relay") == 0);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), separator = S("\n%%\n"), one, other, line;
	bool json = fuzz_byte(&rest) & 1;
	char bytes[2 * LINE_BYTES];

	check_owner(rest);
	one = str_head(rest, str_search(rest, separator));
	other = str_from(rest, one.n + separator.n);
	log_configure(json, LOG_INFO);
	line = logged(bytes, one, other);
	assert(log_line_is_of(line, "posthouse", -1));
	assert(line.n <= LINE_BYTES && str_ends(line, S("\n")));
	line.n--;
	fuzz_assert_shown(line);
	if (json)
		check_json(line, one);
	else if (one.n < 300 && other.n < 300)
		assert(str_starts(behind_value(behind_value(behind_value(line, S(" event=")), S(" sender=")), S(" subject=")),
				  S(" size_bytes=")));
	return 0;
}
