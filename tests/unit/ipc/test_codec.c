/* test_codec.c - messages survive the way through a datagram; what the table forbids does not. */
#include "unit.h"

#include "posthouse/ipc.h"

static struct buf encode(enum msg_type type, uint64_t call, const void *message)
{
	struct buf b;

	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_true(ipc_encode(&b, type, call, message));
	return b;
}

static void round_trip_keeps_every_kind_of_field(void **state)
{
	struct rec_outcome outcomes[] = { { 1, { OK, 250, S("2.0.0"), S("taken") } },
					  { 2, { PERM, 550, S("5.1.1"), S("no such user") } } };
	struct msg_result m = {
		.lease = UINT64_MAX, .outcomes = { outcomes, 2 }, .remote = S("mx [192.0.2.1]"), .gate = 1, .transcript = S("")
	};
	struct buf b = encode(MSG_result, 77, &m);
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *got;

	assert_true(ipc_decode(&a, buf_view(&b), ROLE_RELAY, ROLE_QUEUE, false, &type, &got));
	assert_int_equal(type, MSG_result);
	assert_int_equal(got->call, 77);
	assert_true(got->result.lease == UINT64_MAX);
	assert_int_equal(got->result.outcomes.n, 2);
	assert_int_equal(got->result.outcomes.at[1].verdict.class, PERM);
	assert_int_equal(got->result.outcomes.at[1].verdict.code, 550);
	assert_true(str_eq(got->result.outcomes.at[1].verdict.text, S("no such user")));
	assert_true(str_eq(got->result.remote, S("mx [192.0.2.1]")));
	assert_int_equal(got->result.transcript.n, 0);
	arena_fini(&a);
	buf_fini(&b);
}

static void table_refuses_sender_receiver_and_descriptor(void **state)
{
	struct buf b = encode(MSG_deliver, 0, &(struct msg_deliver){ .lease = 1 });
	struct buf c = encode(MSG_connect, 0, &(struct msg_connect){ .role = 1 });
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *m;

	assert_true(ipc_decode(&a, buf_view(&b), ROLE_QUEUE, ROLE_RELAY, false, &type, &m));
	assert_true(ipc_decode(&a, buf_view(&b), ROLE_QUEUE, ROLE_RELAY, true, &type, &m));
	assert_false(ipc_decode(&a, buf_view(&b), ROLE_SUBMISSION, ROLE_RELAY, false, &type, &m));
	assert_false(ipc_decode(&a, buf_view(&b), ROLE_QUEUE, ROLE_SUBMISSION, false, &type, &m));
	assert_true(ipc_decode(&a, buf_view(&c), ROLE_MASTER, ROLE_QUEUE, true, &type, &m));
	assert_false(ipc_decode(&a, buf_view(&c), ROLE_MASTER, ROLE_QUEUE, false, &type, &m));
	arena_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

/* Each message by each role to each other: it arrives along the edge that its row has, and nowhere else. */
static void no_message_leaves_its_edge(void **state)
{
	static const struct {
		unsigned from, to;
		const char *fd;
	} rows[] = {
#define MSG(name, from, to, fd, bits, fields) { (from), (to), #fd },
#include "posthouse/messages.def"
	};
	static const union ipc_message empty;
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *m;

	assert_int_equal(sizeof rows / sizeof *rows, MSG_COUNT);
	for (unsigned i = 0; i < MSG_COUNT; i++) {
		struct buf b = encode((enum msg_type)i, 0, &empty);

		bool with_fd = strcmp(rows[i].fd, "FD_NONE") != 0;

		for (unsigned from = 0; from < ROLE_COUNT; from++)
			for (unsigned to = 0; to < ROLE_COUNT; to++) {
				enum role_id sender = (enum role_id)from, receiver = (enum role_id)to;
				bool good = ipc_decode(&a, buf_view(&b), sender, receiver, with_fd, &type, &m);

				assert_int_equal(good, rows[i].from & 1u << from && rows[i].to & 1u << to);
			}
		buf_fini(&b);
		arena_fini(&a);
	}
}

static void every_shorter_or_longer_datagram_is_refused(void **state)
{
	struct rec_recipient recipients[] = { { 1, S("a@b"), S(""), 0 }, { 2, S("c@d"), S("x"), 1 } };
	struct msg_recipients m = { .transaction = 5, .recipients = { recipients, 2 } };
	struct buf b = encode(MSG_recipients, 0, &m);
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *got;

	for (size_t n = 0; n < b.n; n++)
		assert_false(ipc_decode(&a, str_head(buf_view(&b), n), ROLE_SUBMISSION, ROLE_QUEUE, false, &type, &got));
	assert_true(ipc_decode(&a, buf_view(&b), ROLE_SUBMISSION, ROLE_QUEUE, false, &type, &got));
	buf_add_char(&b, 0);
	assert_false(ipc_decode(&a, buf_view(&b), ROLE_SUBMISSION, ROLE_QUEUE, false, &type, &got));
	arena_fini(&a);
	buf_fini(&b);
}

/* Memory for records comes only with their bytes: a count that is the datagram's whole length gets none. */
static void a_count_beyond_the_datagram_gets_no_memory(void **state)
{
	struct rec_session session = { .client = S("192.0.2.1") };
	struct msg_sessions m = { .rows = { &session, 1 }, .cursor = 7 };
	struct buf b = encode(MSG_sessions, 1, &m);
	size_t head = sizeof(uint32_t) + sizeof(uint64_t) + sizeof(uint64_t) + 2 * sizeof(uint32_t);
	uint32_t count = (uint32_t)(b.n / sizeof(uint32_t));
	struct arena a = { 0 };
	enum msg_type type;
	union ipc_message *got;

	assert_true(ipc_decode(&a, buf_view(&b), ROLE_SUBMISSION, ROLE_CONSOLE, false, &type, &got));
	memcpy(b.p + head, &count, sizeof count);
	arena_fini(&a);
	assert_false(ipc_decode(&a, buf_view(&b), ROLE_SUBMISSION, ROLE_CONSOLE, false, &type, &got));
	assert_true(a.used_bytes < 2 * sizeof(union ipc_message));
	arena_fini(&a);
	buf_fini(&b);
}

static void a_large_text_does_not_fit(void **state)
{
	static char text[IPC_DATAGRAM_MAX];
	struct msg_submit m = { .text = { text, sizeof text } };
	struct buf b;

	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_false(ipc_encode(&b, MSG_submit, 1, &m));
	m.text.n = INLINE_MAX;
	buf_clear(&b);
	assert_true(ipc_encode(&b, MSG_submit, 1, &m));
	buf_fini(&b);
}

static void hash_is_stable_within_a_build(void **state)
{
	assert_true(ipc_table_hash() != 0);
	assert_true(ipc_table_hash() == ipc_table_hash());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_keeps_every_kind_of_field),
		cmocka_unit_test(table_refuses_sender_receiver_and_descriptor),
		cmocka_unit_test(no_message_leaves_its_edge),
		cmocka_unit_test(every_shorter_or_longer_datagram_is_refused),
		cmocka_unit_test(a_count_beyond_the_datagram_gets_no_memory),
		cmocka_unit_test(a_large_text_does_not_fit),
		cmocka_unit_test(hash_is_stable_within_a_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
