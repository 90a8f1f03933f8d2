/* fixture.h - a store in a temporary directory on a real disk, and each operation as a call that waits for its answer. What an
 * answer holds is copied into `arena`, which lives as long as the fixture. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "unit.h"

#include "posthouse/arena.h"
#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW 1700000000000ULL

struct fixture {
	uv_loop_t loop;
	struct arena arena;
	char dir[64];
	struct store *st;
	struct verdict opened; /* what was last said of the opening, and how often */
	unsigned opened_n;
	struct store_options options;
	struct leased *leased; /* the last leases, by which results get their numbers */
};

/* cmocka's set-up and tear-down: *state is the fixture, with an open store. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_close(struct fixture *f);
struct verdict fixture_open(struct fixture *f); /* to the end; not open: closed again */
void fixture_begin_open(struct fixture *f);
void fixture_reopen(struct fixture *f);
char *fixture_path(struct fixture *f, const char *name);

/* One pending answer. */
struct answer {
	bool done;
	struct verdict v;
	struct fixture *f;
	const void *rows;
	size_t n;
	const struct message_row *message;
	struct str text;
	int fd;
	uint64_t next, count, in_flight;
	struct find_place place;
	unsigned order; /* its place among all answers */
};
void answer_wait(struct fixture *f, struct answer *a);
void on_done(void *ctx, struct verdict v);
void on_due(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
void on_show(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n, uint64_t next);
void on_alter_done(void *ctx, struct verdict v, const struct altered *altered);
void on_text(void *ctx, struct verdict v, struct str bytes, int fd);

/* A message from a@example.org of login "alice" to the recipients in `to`, separated by spaces. */
struct accepted *message(struct fixture *f, uint64_t id, const char *to);

struct verdict accept_now(struct fixture *f, const struct accepted *m);
struct verdict accept_to(struct fixture *f, uint64_t id, const char *to);
void accept_all(struct fixture *f, struct accepted *const *messages, size_t n); /* many at once */
struct answer lanes_now(struct fixture *f, uint64_t now, size_t max);
struct answer lease_now(struct fixture *f, uint64_t lane, uint64_t now, size_t max);
struct answer siblings_now(struct fixture *f, uint64_t id, uint64_t now, size_t max);
uint64_t lane_of(struct fixture *f, const char *domain); /* 0: none; the engine tells it */
uint64_t engine_lanes(struct fixture *f);                /* in which recipients wait; the engine tells it */
/* As queue does: a result without a number has that of its recipient's last lease. */
void settle_begin(struct fixture *f, struct outcome *o, size_t n, struct answer *a);
struct verdict settle_now(struct fixture *f, uint64_t id, uint64_t n, enum recipient_state state, uint64_t due_at);
struct answer show_now(struct fixture *f, uint64_t id, uint64_t cursor, size_t max);
struct answer text_now(struct fixture *f, uint64_t id);
struct answer trace_now(struct fixture *f, uint64_t id, uint64_t cursor, size_t max);
struct answer select_now(struct fixture *f, struct selector s, uint64_t cursor, size_t max);
/* Every recipient that is found, in pages of `page`, as "id/n id/n …". */
struct str find_now(struct fixture *f, struct find find, size_t page);
struct answer found_now(struct fixture *f, struct find find, struct find_place from, size_t max);
struct answer alter_now(struct fixture *f, struct selector s, enum alter operation);
struct answer reroute_now(struct fixture *f, struct selector s, const char *via);
struct answer summary_now(struct fixture *f, uint64_t cursor, size_t max);
struct answer unreported_now(struct fixture *f, enum message_kind kind, uint64_t now, size_t max);
struct verdict report_now(struct fixture *f, enum message_kind kind, const struct accepted *report, uint64_t parent,
			  const uint64_t *n_list, size_t n);
struct answer create_now(struct fixture *f, uint64_t id, uint64_t size);
uint64_t prune_now(struct fixture *f, uint64_t before, size_t max);
struct store_stats stats_now(struct fixture *f);

struct verdict put_bucket(struct fixture *f, const char *key, const char *rule, uint64_t tat_us);

/* All buckets as "key rule tat_us; …", with " warned_at" behind where somebody was told. */
struct str buckets(struct fixture *f);

/* Which of these addresses, separated by spaces, are known to the login: "yes no …". */
struct str known(struct fixture *f, const char *login, const char *addresses);

struct verdict put_ban(struct fixture *f, const char *key, uint64_t level, uint64_t until, const char *reason);

/* All bans as "key level until reason; …". */
struct str bans(struct fixture *f);

/* The domains of an answer of lanes as "a b …". */
struct str domains(struct fixture *f, struct answer a);

/* All gates as "name failures down_until reason; …". */
struct str gates(struct fixture *f);

/* The events of a message as "name name …". */
struct str events(struct fixture *f, uint64_t id);
/* The fields of a row of trace_now(), without the node that an engine of several nodes adds. */
struct str event_fields(const struct answer *a, size_t row);

#define assert_str(actual, expected)                                                                                             \
	do {                                                                                                                     \
		struct str actual_ = (actual);                                                                                   \
		assert_int_equal(actual_.n, strlen(expected));                                                                   \
		assert_memory_equal(actual_.p, (expected), actual_.n);                                                           \
	} while (0)

#endif
