/* test_directory.c - what is taken from a drop directory in which users put anything, and what is read of it. */
#include "pickup.h"

#include "posthouse/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* clang-format off */
#include "unit.h"
/* clang-format on */

static char directory[64];
static struct id_source ids;

static int setup(void **state)
{
	snprintf(directory, sizeof directory, "%s", "/tmp/posthouse-test-pickup-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static const char *at(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

/* A file, `age` seconds old. */
static void put(const char *name, const char *text, int age)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0744);
	struct timeval times[2] = { { .tv_sec = 1700000000 - age }, { .tv_sec = 1700000000 - age } };

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(utimes(at(name), times), 0);
}

static struct look look(bool first, const struct taken *held, size_t held_n)
{
	struct look l = { .path = directory, .first = first, .ids = &ids, .held = held, .held_n = held_n };

	directory_look(&l);
	assert_int_equal(l.error, 0);
	return l;
}

static void test_oldest_first(void **state)
{
	struct look l;

	put("b", "to: <bob>\n\n", 10);
	put("a", "to: <bob>\n\n", 5);
	put("c", "to: <bob>\n\n", 20);
	put(".tmp-d", "", 0);
	assert_int_equal(utimes(at(".tmp-d"), NULL), 0);
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, 3);
	assert_int_equal(l.waiting, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(l.found[i].dropped_at < l.found[i + 1].dropped_at);
		assert_true(l.found[i].id < l.found[i + 1].id);
	}
	assert_int_equal(l.oldest_at, (1700000000ull - 20) * 1000);
	assert_int_equal(access(at("a"), F_OK), -1);
	assert_int_equal(access(at(".tmp-d"), F_OK), 0);
	free(l.found);
}

/* Another process finds what was taken, under the same ids. */
static void test_again(void **state)
{
	struct look l, again;

	put("a", "to: <bob>\n\n", 5);
	l = look(true, NULL, 0);
	again = look(true, NULL, 0);
	assert_int_equal(again.found_n, 1);
	assert_true(again.found[0].id == l.found[0].id && again.found[0].token == l.found[0].token);
	assert_int_equal(again.found[0].uid, geteuid());
	free(again.found);
	again = look(false, l.found, 1);
	assert_int_equal(again.found_n, 0);
	free(again.found);
	free(l.found);
}

static void test_share_of_a_user(void **state)
{
	struct look l, more;
	char name[16];

	for (int i = 0; i < TAKEN_PER_USER + 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(name, "to: <bob>\n\n", i);
	}
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, TAKEN_PER_USER);
	assert_int_equal(l.waiting, 10);
	assert_int_equal(l.found[0].dropped_at, (1700000000ull - TAKEN_PER_USER - 9) * 1000);
	assert_int_equal(access(at("9"), F_OK), 0); /* the newest ten stay */
	more = look(false, l.found, TAKEN_PER_USER - 4);
	assert_int_equal(more.found_n, 4);
	free(more.found);
	free(l.found);
}

/* Many files in work that wait for their next try: a new user finds room all the same, and one of a program anyhow. */
static void test_room_for_new_users(void **state)
{
	static struct taken held[TAKEN_MAX];
	static const struct {
		size_t people;
		size_t found;
	} rows[] = { { 0, 32 }, { 512, 32 }, { TAKEN_PEOPLE / 2, 4 }, { TAKEN_PEOPLE - 1, 1 }, { TAKEN_PEOPLE, 0 } };
	uint64_t uid = geteuid();
	size_t most = uid < PEOPLE_FROM ? TAKEN_PROGRAMS : TAKEN_PEOPLE;

	for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
		size_t of_kind = rows[row].people == TAKEN_PEOPLE - 1 ? most - 1 : rows[row].people * most / TAKEN_PEOPLE;
		struct look l;
		char name[16];

		setup(NULL);
		for (int i = 0; i < TAKEN_PER_USER + 3; i++) {
			snprintf(name, sizeof name, "%d", i);
			put(name, "to: <bob>\n\n", i);
		}
		for (size_t i = 0; i < TAKEN_MAX; i++) /* the others are of the other kind, and take no room here */
			held[i].uid = (i < of_kind) == (uid < PEOPLE_FROM) ? 1 + i % 900 : PEOPLE_FROM + 1 + i;
		l = look(true, held, TAKEN_MAX);
		assert_int_equal(l.found_n, rows[row].found);
		assert_int_equal(l.waiting, TAKEN_PER_USER + 3 - rows[row].found);
		free(l.found);
		teardown(NULL);
	}
}

/* The owner sets the time of a file as he likes: it is never later than now, and never 0. */
static void test_times(void **state)
{
	struct timeval future[2] = { { .tv_sec = 5000000000 }, { .tv_sec = 5000000000 } },
		       past[2] = { { .tv_sec = -5 }, { .tv_sec = -5 } };
	uint64_t before = clock_now_ms();
	struct look l;

	put("future", "to: <bob>\n\n", 0);
	assert_int_equal(utimes(at("future"), future), 0);
	put("past", "to: <bob>\n\n", 0);
	assert_int_equal(utimes(at("past"), past), 0);
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, 2);
	assert_int_equal(l.found[0].dropped_at, 1);
	assert_true(l.found[1].dropped_at + 1000 >= before && l.found[1].dropped_at <= clock_now_ms());
	free(l.found);
}

/* A file whose recipients are too many for one message: each part has an id in the name of the file, which another process finds. */
static void test_parts(void **state)
{
	static struct pickup p = { .part_ids.worker = 1 }; /* another source of ids than that of look() */
	struct local_recipient to[5] = { 0 };
	struct file f = { .pickup = &p, .reading.fd = -1 };
	struct look l, again;

	put("a", "to: <bob>\n\n", 5);
	l = look(true, NULL, 0);
	p.path = directory;
	f.t = l.found[0];
	f.path = taken_path(&f.reading.arena, directory, &f.t);
	f.reading.message = (struct local_message){ .recipients = to, .recipients_n = 5 };
	part_cut(&f.reading, &f.t);
	assert_int_equal(f.reading.message.recipients_n, 5);
	assert_false(part_shrink(&f));
	to[2].verdict = f.verdict = temp(452, S("4.5.3"), S("too many"));
	assert_true(part_shrink(&f));
	assert_true(f.t.id == l.found[0].id && f.t.from == 0 && f.t.count == 2);
	part_cut(&f.reading, &f.t);
	assert_int_equal(f.reading.message.recipients_n, 2);
	assert_int_equal(f.reading.after, 3);
	assert_true(part_next(&f));
	assert_true(f.t.id != l.found[0].id && f.t.from == 2);
	again = look(true, NULL, 0);
	assert_int_equal(again.found_n, 1);
	assert_true(again.found[0].id == f.t.id && again.found[0].token == f.t.token);
	assert_true(again.found[0].from == 2 && again.found[0].count == 2);
	f.reading.message = (struct local_message){ .recipients = to, .recipients_n = 5 };
	f.t.from = 4;
	part_cut(&f.reading, &f.t);
	assert_int_equal(f.reading.message.recipients_n, 1);
	assert_int_equal(f.reading.after, 0);
	assert_true(taken_sync(directory));
	reading_close(&f.reading);
	free(again.found);
	free(l.found);
}

/* A node of a cluster: what is taken gets ids of its number. A thread that looks has the source for itself. */
static void test_node(void **state)
{
	static struct pickup p = { .ids = { .node = ID_NODE_OTHERS, .worker = ID_WORKER_PICKUP },
				   .part_ids = { .node = ID_NODE_OTHERS, .worker = ID_WORKER_PARTS, .waits = true } };
	uint64_t before = id_next(&p.ids, clock_now_ms()), floor_ms = clock_now_ms() + 50000, id;

	assert_int_equal(id_node(before), ID_NODE_OTHERS);
	p.ids.waits = true;
	assert_true(node_heard(&p, &(struct msg_node_is){ .number = 0, .state = NODE_AWAY }));
	assert_true(p.ids.waits && p.part_ids.waits);
	p.ids.waits = false;
	p.looking = true;
	assert_true(node_heard(&p, &(struct msg_node_is){ .number = 4, .id_floor_ms = floor_ms, .state = NODE_AWAY }));
	assert_int_equal(id_node(id_next(&p.ids, clock_now_ms())), ID_NODE_OTHERS);
	p.looking = false;
	node_use(&p);
	id = id_next(&p.ids, clock_now_ms());
	assert_int_equal(id_node(id), 4);
	assert_int_equal(id_worker(id), ID_WORKER_PICKUP);
	assert_true(id > before && id_time_ms(id) > floor_ms);
	assert_false(p.part_ids.waits);
	id = id_next(&p.part_ids, clock_now_ms());
	assert_int_equal(id_node(id), 4);
	assert_int_equal(id_worker(id), ID_WORKER_PARTS);
	assert_true(id_time_ms(id) > floor_ms);
	assert_false(node_heard(&p, &(struct msg_node_is){ .number = 16 }));
	assert_true(node_heard(&p, &(struct msg_node_is){ .number = 0 })); /* queue starts again: it is still node 4 */
	assert_int_equal(id_node(id_next(&p.ids, clock_now_ms())), 4);
}

/* A good file that cannot be opened now is no bad one. */
static void test_reading_later(void **state)
{
	struct rlimit before, none;
	struct reading r = { .fd = -1 };
	struct verdict v;

	put("file", "to: <bob>\n\n", 0);
	assert_int_equal(symlink("file", at("link")), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	v = reading_open(&r, at("file"), geteuid(), 1000);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(v.class, TEMP);
	assert_int_equal(v.code, 451);
	reading_close(&r);
	r = (struct reading){ .fd = -1 };
	assert_int_equal(reading_open(&r, at("link"), geteuid(), 1000).class, PERM);
	reading_close(&r);
}

static void test_odd_things(void **state)
{
	struct look l;

	put("good", "to: <bob>\n\n", 5);
	assert_int_equal(symlink("/etc/passwd", at("link")), 0);
	assert_int_equal(mkfifo(at("pipe"), 0666), 0);
	assert_int_equal(mkdir(at("directory"), 0755), 0);
	put("one", "to: <bob>\n\n", 5);
	char other[512];
	snprintf(other, sizeof other, "%s", at("two"));
	assert_int_equal(link(at("one"), other), 0);
	assert_int_equal(symlink("/", at("taken")), 0); /* in the way of our own */
	l = look(true, NULL, 0);
	assert_int_equal(l.found_n, 1);
	assert_true(l.discarded >= 5);
	assert_int_equal(access(at("link"), F_OK), -1);
	assert_int_equal(access(at("pipe"), F_OK), -1);
	assert_int_equal(access(at("one"), F_OK), -1);
	assert_int_equal(access(at("directory"), F_OK), -1);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	free(l.found);
}

static void test_reading(void **state)
{
	static const struct {
		const char *text;
		int class;
		const char *header;
	} rows[] = {
		{ "to: <bob>\n\nSubject: x\n more\n\nwords\n", OK, "Subject: x\r\n more\r\n" },
		{ "from: <a>\nto: <bob>\n\nSubject: x\r\n\r\nwords\n", OK, "Subject: x\r\n" },
		{ "to: <bob>\n\n", OK, "" },
		{ "to: <bob>\n", PERM, "" },
		{ "", PERM, "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reading r = { .fd = -1 };

		put("file", rows[i].text, 0);
		assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, rows[i].class);
		assert_true(str_eq(r.header, str_of(rows[i].header)));
		reading_close(&r);
		r = (struct reading){ .fd = -1 };
		assert_int_equal(reading_open(&r, at("file"), geteuid() + 1, 1000).class, PERM); /* somebody else's */
		reading_close(&r);
		unlink(at("file"));
	}
	struct reading r = { .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, TEMP);
	reading_close(&r);
	put("file", "to: <bob>\n\n", 0);
	assert_int_equal(chmod(at("file"), 0655), 0); /* its owner has not marked it: somebody moved it here */
	r = (struct reading){ .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).class, PERM);
	assert_int_equal(r.message.recipients_n, 0);
	reading_close(&r);
	assert_int_equal(chmod(at("file"), 0744), 0);
	assert_int_equal(truncate(at("file"), 3000000), 0);
	r = (struct reading){ .fd = -1 };
	assert_int_equal(reading_open(&r, at("file"), geteuid(), 1000).code, 552);
	reading_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_oldest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_share_of_a_user, setup, teardown),
		cmocka_unit_test(test_room_for_new_users),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test(test_node),
		cmocka_unit_test_setup_teardown(test_reading_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_things, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
	};

	return cmocka_run_group_tests_name("pickup directory", tests, NULL, NULL);
}
