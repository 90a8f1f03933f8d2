/* fuzz_shown.c - answers of the relay on the control socket, with texts of peers in them, as they are printed: lines sender, subject,
 * recipient, answer, server, then name and fields of an event. On a terminal nothing of it moves the cursor, and JSON is JSON. */
#include "find.h"
#include "fuzz.h"
#include "trace.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUTPUT_MAX (1 << 20)

static int output = -1, real = -1;

static void catch (void)
{
	fflush(stdout);
	if (output < 0) {
		output = memfd_create("output", MFD_CLOEXEC);
		real = dup(STDOUT_FILENO);
	}
	assert(ftruncate(output, 0) == 0 && lseek(output, 0, SEEK_SET) == 0);
	dup2(output, STDOUT_FILENO);
}

static struct str caught(void)
{
	static char bytes[OUTPUT_MAX];
	ssize_t n;

	fflush(stdout);
	dup2(real, STDOUT_FILENO);
	n = pread(output, bytes, sizeof bytes, 0);
	assert(n >= 0);
	return str_make(bytes, (size_t)n);
}

static void check_shown(struct str text)
{
	struct str line;

	while (str_split(&text, '\n', &line))
		fuzz_assert_shown(line);
}

static void check_json(struct str text)
{
	json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	assert(json_is_object(j));
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), address;
	unsigned how = fuzz_byte(&rest);
	struct rec_found_row r = { .id = 1ull << 40, .received_at = 1795301717000, .size = 1000, .n = 1, .state = how % 10 };
	struct rec_event_row e = { .at = 1795301717000, .n = how & 1 };
	struct traced t = { .addresses = &address, .addresses_n = 1 };
	struct arena a = { 0 };

	if (size > 4096)
		return 0;
	r.sender = fuzz_line(&rest);
	r.subject = fuzz_line(&rest);
	r.recipient = address = fuzz_line(&rest);
	r.verdict = temp(451, S("4.3.0"), fuzz_line(&rest));
	r.remote = fuzz_line(&rest);
	r.login = r.message_id = r.route = r.device = r.sender;
	e.name = fuzz_line(&rest);
	e.fields = fuzz_line(&rest);
	catch ();
	find_print_row(&a, &r, 1795301800000);
	check_shown(caught());
	catch ();
	find_print_json(&r);
	check_json(caught());
	assert(event_words(&t, &a, &e).n <= 8 * size + 1000);
	arena_fini(&a);
	return 0;
}
