/* test_file.c - the way of one file: it goes when queue says that it has the message, whatever submission has answered. Login,
 * submission and queue are played. */
#include "pickup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
#include "unit.h"
/* clang-format on */

static char directory[64];
static struct config config;
static struct pickup pickup;
static struct file *file;
static bool turn_is_over;

/* What the others say, and how often they were asked. */
static struct verdict answer;   /* of submission */
static struct verdict known[4]; /* of queue, in this order; class TEMP: no answer comes */
static unsigned shown, submitted, reports;
static ipc_on_queue_show asked;

uv_loop_t *role_loop(struct role *r)
{
	return uv_default_loop();
}

const struct config *role_config(struct role *r)
{
	return &config;
}

struct channel *role_peer(struct role *r, enum role_id peer, unsigned index)
{
	return NULL;
}

void role_busy(struct role *r, int change)
{
}

void owner_ask(struct file *f, bool report, ipc_on_drop_owner done)
{
	const struct msg_drop_owner_is m = { .verdict = ok(), .login = S("a@example.org"), .sender = S("a@example.org") };

	reports += report;
	done(f, ok(), &m, -1);
}

int session_open(struct pickup *p, struct str pass, uint64_t id, uint64_t token)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

struct verdict local_submit(int fd, const struct local_message *m, int text_fd, uint64_t from, uint64_t within_ms,
			    struct arena *a)
{
	close(fd);
	if (m->has_sender) /* a report */
		return ok();
	submitted++;
	return answer;
}

uint64_t ipc_call(struct channel *ch, enum msg_type type, const void *message, int fd, void (*on_reply)(void), void *ctx)
{
	assert_int_equal(type, MSG_queue_show);
	assert_int_equal(((const struct msg_queue_show *)message)->id, file->t.id);
	asked = (ipc_on_queue_show)on_reply;
	return 1;
}

static void on_turn_over(struct pickup *p)
{
	turn_is_over = true;
}

static void turn(void)
{
	turn_is_over = false;
	file_begin(file);
	while (!turn_is_over) {
		ipc_on_queue_show done = asked;

		asked = NULL;
		if (done) {
			const struct msg_queue_shown m = { .verdict = known[shown++], .recipients = 1 };

			done(file, ok(), m.verdict.class == TEMP ? NULL : &m, -1);
		} else {
			uv_run(uv_default_loop(), UV_RUN_ONCE);
		}
	}
}

static bool is_there(const char *below)
{
	char path[256];
	const char *name = strrchr(taken_path(&pickup.arena, directory, &file->t), '/');

	snprintf(path, sizeof path, "%s/%s%s", directory, below, name);
	return access(path, F_OK) == 0;
}

/* A file is dropped and taken. */
static int setup(void **state)
{
	static const char text[] = "to: <bob@example.net>\n\nSubject: x\n\nhello\n";
	static struct id_source ids;
	struct look l = { .path = directory, .ids = &ids };
	char path[128];
	int fd;

	snprintf(directory, sizeof directory, "%s", "/tmp/posthouse-test-pickup-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/dropped", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0744);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	close(fd);
	directory_look(&l);
	assert_int_equal(l.found_n, 1);
	config = (struct config){ .hostname = S("relay.example.org"), .postmaster = S("postmaster@example.org") };
	config.limits.message_size = 1000000;
	config.queue.lifetime_ms = 3600000;
	pickup = (struct pickup){ .path = directory, .turn_over = on_turn_over, .files_n = 1 };
	list_init(&pickup.files);
	file = NEW(struct file);
	*file = (struct file){ .pickup = &pickup, .t = l.found[0], .reading.fd = -1, .report_fd = -1 };
	list_append(&pickup.files, &file->link);
	free(l.found);
	shown = submitted = reports = 0;
	asked = NULL;
	answer = ok();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	if (pickup.files_n > 0)
		free(file);
	arena_fini(&pickup.arena);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static bool is_gone(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/taken", directory);
	return pickup.files_n == 0 && rmdir(path) == 0;
}

static void test_stored(void **state)
{
	known[0] = ok();
	turn();
	assert_true(shown == 1 && submitted == 1 && is_gone());
}

static void test_submission_lies(void **state)
{
	known[0] = known[1] = perm(550, S("5.1.1"), S("there is no such message"));
	known[2] = ok();
	turn();
	assert_true(is_there("taken") && file->unsure && file->attempts == 1);
	assert_int_equal(pickup.handed_over, 0);
	turn(); /* it goes again */
	assert_true(shown == 3 && submitted == 2 && is_gone());
}

/* When it lies for so long that the message has no time left, the owner hears of it, and the file is kept. */
static void test_submission_lies_on(void **state)
{
	config.queue.lifetime_ms = 0;
	known[0] = perm(550, S("5.1.1"), S("there is no such message"));
	file->t.dropped_at = 1;
	turn();
	assert_int_equal(pickup.files_n, 0);
	assert_true(shown == 1 && reports == 1 && pickup.refused == 1);
}

static void test_queue_is_away(void **state)
{
	known[0] = temp(451, S("4.3.0"), S(""));
	known[1] = ok();
	turn();
	assert_true(is_there("taken") && file->unsure);
	turn();
	assert_true(shown == 2 && submitted == 1 && is_gone());
}

static void test_refused(void **state)
{
	answer = perm(554, S("5.7.1"), S("no"));
	turn();
	assert_true(shown == 0 && reports == 1 && pickup.refused == 1 && pickup.files_n == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_submission_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_submission_lies_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
