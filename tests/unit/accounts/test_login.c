/* test_login.c - the login role behind its frame: two ends of channels on one loop, one playing submission, queue and console. */
#include "loop.h"
#include "remove_tree.h"

#include "cyrus.h"
#include "login.h"
#include "posthouse/role.h"
#include "posthouse/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct str mechanisms[] = { { "PLAIN", 5 }, { "LOGIN", 5 }, { "SCRAM-SHA-256", 13 } };
static char directory_path[64];
static struct config config;
static struct login login;
static struct channel *ours, *submission, *our_console, *console; /* `ours` are the login role's ends */
static struct channel *our_queue, *queue;                         /* NULL: it is away */
static unsigned closed;

static size_t busy;

/* The frame's part: what has begun in the role and has not ended. */
void role_busy(struct role *r, int change)
{
	busy += (size_t)change;
}

struct channel *role_peer(struct role *r, enum role_id peer, unsigned index)
{
	return peer == ROLE_QUEUE && index == 0 ? our_queue : NULL;
}

/* ---- the role's side ---- */
static void handle_start(void *ctx, struct channel *ch, const struct msg_login_start *m, int fd)
{
	exchange_start(ctx, ch, m);
}

static void handle_step(void *ctx, struct channel *ch, const struct msg_login_step *m, int fd)
{
	exchange_step(ctx, ch, m);
}

static void handle_end(void *ctx, struct channel *ch, const struct msg_login_end *m, int fd)
{
	exchange_end(ctx, ch, m);
}

static void handle_change(void *ctx, struct channel *ch, const struct msg_account_change *m, int fd)
{
	change_accounts(ctx, ch, m);
}

static void handle_page(void *ctx, struct channel *ch, const struct msg_account_page *m, int fd)
{
	list_accounts(ctx, ch, m);
}

static void handle_present(void *ctx, struct channel *ch, const struct msg_login_present *m, int fd)
{
	watch_present(ctx, ch, m);
}

static const struct ipc_handlers role_handlers = {
	.login_start = handle_start,
	.login_step = handle_step,
	.login_end = handle_end,
	.login_present = handle_present,
	.account_change = handle_change,
	.account_page = handle_page,
};

/* ---- and queue's ---- */
static unsigned checks, overs, asks;
static struct msg_login_present there; /* a session that is in when it is asked about; 0: none */
static struct msg_authenticated asked; /* the numbers of the last one */
static struct msg_authorized decision; /* what queue answers; class OK: right passwords are let in */
static bool silent;

static void handle_authenticated(void *ctx, struct channel *ch, const struct msg_authenticated *m, int fd)
{
	struct msg_authorized answer = decision;

	asks++;
	asked = *m;
	answer.call = m->call;
	answer.ticket = m->success ? S("a ticket") : S("");
	if (decision.unknown > 0)
		decision.unknown--;
	else if (decision.verdict.class == OK && !m->success)
		answer.verdict = perm(535, S("5.7.8"), S("queue counts it"));
	if (!silent)
		ipc_send_authorized(ch, &answer, -1);
}

static void handle_check(void *ctx, struct channel *ch, const struct msg_logins_check *m, int fd)
{
	checks++;
	if (there.session)
		ipc_send_login_present(ch, &there, -1);
	ipc_send_logins_checked(ch, &(struct msg_logins_checked){ .call = m->call }, -1);
}

static void handle_over(void *ctx, struct channel *ch, const struct msg_login_over *m, int fd)
{
	overs++;
	there.session = 0;
	ipc_send_login_ended(ch, &(struct msg_login_ended){ .call = m->call }, -1);
}

static const struct ipc_handlers peer_handlers = { .authenticated = handle_authenticated,
						   .logins_check = handle_check,
						   .login_over = handle_over };

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	our_queue = our_queue == ch ? NULL : our_queue;
	queue = queue == ch ? NULL : queue;
	exchanges_drop(&login, ch);
	changes_drop(&login, ch);
	channel_free(ch);
	closed++;
}

static void pair(enum role_id peer, struct channel **ours_out, struct channel **theirs_out)
{
	struct channel_config a = { .self = ROLE_LOGIN,
				    .peer = peer,
				    .incarnation = 1,
				    .handlers = &role_handlers,
				    .on_closed = on_closed,
				    .ctx = &login };
	struct channel_config b = {
		.self = peer, .peer = ROLE_LOGIN, .incarnation = 1, .handlers = &peer_handlers, .on_closed = on_closed
	};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*ours_out = channel_new(login.loop, fds[0], &a);
	*theirs_out = channel_new(login.loop, fds[1], &b);
}

static void change_until(enum account_operation operation, const char *name, const char *device, const char *password,
			 uint64_t expires_at)
{
	struct arena a = { 0 };
	struct verdict v;
	struct accounts *accounts = accounts_open(directory_path, &v);
	const struct account *any = accounts ? accounts_any(accounts, str_of(name)) : NULL;
	struct str verifier = str_of("");

	assert_non_null(accounts);
	if (password)
		assert_int_equal(account_verifier(&a, any ? any->verifier : str_of(""), str_of(password), &verifier).class, OK);
	assert_int_equal(accounts_change(accounts, operation, str_of(name), str_of(device), verifier, expires_at).class, OK);
	accounts_close(accounts);
	arena_fini(&a);
}

static void change_file(enum account_operation operation, const char *name, const char *device, const char *password)
{
	change_until(operation, name, device, password, 0);
}

static void lock_file(enum account_operation operation, const char *name)
{
	struct verdict v;
	struct accounts *accounts = accounts_open(directory_path, &v);

	assert_int_equal(accounts_lock(accounts, operation, str_of(name), S(""), S("stolen")).class, OK);
	accounts_close(accounts);
}

static int set_up(void **state)
{
	snprintf(directory_path, sizeof(directory_path), "/tmp/posthouse-login-XXXXXX");
	assert_non_null(mkdtemp(directory_path));
	change_file(ACCOUNT_ADD, "alice@example.org", "", "wonder land");
	change_file(ACCOUNT_ADD, "bob@example.org", "phone", "builder");
	config.hostname = S("relay.example.org");
	config.state_dir = str_of(directory_path);
	config.auth.realm = S("example.org");
	config.auth.mechanisms = (struct str_list){ mechanisms, 3 };
	config.auth.timeout_ms = 10000;
	login_init(&login, uv_default_loop(), directory_path, &config.auth);
	login.config = &config;
	assert_int_equal(cyrus_start(login.directory, &config.auth).class, OK);
	pair(ROLE_SUBMISSION, &ours, &submission);
	pair(ROLE_QUEUE, &our_queue, &queue);
	pair(ROLE_CONSOLE, &our_console, &console);
	return 0;
}

static int tear_down(void **state)
{
	if (ours)
		channel_close(ours, "test ends");
	channel_close(our_console, "test ends");
	channel_close(our_queue, "test ends");
	channel_close(queue, "test ends");
	if (submission)
		channel_close(submission, "test ends");
	channel_close(console, "test ends");
	login_close(&login);
	uv_run(login.loop, UV_RUN_DEFAULT);
	uv_loop_close(login.loop);
	login_fini(&login);
	cyrus_stop();
	remove_tree(directory_path);
	return 0;
}

/* ---- a client ---- */
struct reply {
	bool come;
	uint64_t repeated, stamp; /* as queue was told */
	uint64_t judged, delay_ms;
	enum verdict_class class;
	uint16_t code;
	char enhanced[16], text[128], challenge[128], login[64], device[64], ticket[64];
};

static void copy(char *to, size_t n, struct str from)
{
	assert_true(from.n < n);
	memcpy(to, from.p, from.n);
	to[from.n] = '\0';
}

static void on_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd)
{
	struct reply *r = ctx;

	r->come = true;
	if (m)
		v = m->verdict;
	r->class = v.class;
	r->code = v.code;
	copy(r->enhanced, sizeof(r->enhanced), v.enhanced);
	copy(r->text, sizeof(r->text), v.text);
	if (!m)
		return;
	copy(r->challenge, sizeof(r->challenge), m->challenge);
	copy(r->login, sizeof(r->login), m->login);
	copy(r->device, sizeof(r->device), m->device);
	copy(r->ticket, sizeof(r->ticket), m->ticket);
	r->judged = m->judged;
	r->delay_ms = m->delay_ms;
	r->repeated = asked.repeated;
	r->stamp = asked.stamp;
}

static void run_until(const bool *flag)
{
	RUN_UNTIL(login.loop, *flag);
}

static struct str half_open = { "n,,n=alice,r=abcdefghijklmnop", 29 }; /* of SCRAM, which then waits for the client */

static struct reply start_as(uint64_t session, const char *mechanism, struct str user, struct str initial)
{
	struct msg_login_start m = { .session = session,
				     .mechanism = str_of(mechanism),
				     .user = user,
				     .initial = initial,
				     .service = S("smtp"),
				     .tls_version = 3,
				     .tls_bits = 256 };
	struct reply r = { 0 };

	ipc_call_login_start(submission, &m, -1, on_reply, &r);
	run_until(&r.come);
	return r;
}

static struct reply start(uint64_t session, const char *mechanism, const struct str *initial)
{
	return start_as(session, mechanism, S(""), initial ? *initial : S(""));
}

static struct reply step(uint64_t session, struct str response)
{
	struct reply r = { 0 };

	ipc_call_login_step(submission, &(struct msg_login_step){ .session = session, .response = response }, -1, on_reply, &r);
	run_until(&r.come);
	return r;
}

static void assert_code(struct reply r, uint16_t code, const char *enhanced)
{
	assert_int_equal(r.code, code);
	if (code != 334)
		assert_string_equal(r.enhanced, enhanced);
	assert_int_equal(r.class, code < 400 ? OK : code < 500 ? TEMP : PERM);
}

static void wait_checks(unsigned n)
{
	RUN_UNTIL(login.loop, checks >= n);
}

/* Say that a session is in by that password; what login has to say of it has come when this returns. */
static void ask_presence(const char *name, const char *device, uint64_t stamp)
{
	struct msg_login_present m = { .session = 77, .login = str_of(name), .device = str_of(device), .stamp = stamp };

	ipc_send_login_present(queue, &m, -1);
	assert_int_equal(start(77, "CRAM-MD5", NULL).code, 504); /* answered after it */
}

/* Let what is on its way arrive. */
static void settle(void)
{
	RUN_UNTIL(login.loop, login.open_exchanges == 0);
}

static void test_plain(void **state)
{
	struct str good = S("\0alice\0wonder land"), bad = S("\0alice\0wrong"), unknown = S("\0nobody\0wrong"),
		   device = S("\0bob/phone\0builder");
	uint64_t from_cache = login.from_cache;
	struct reply r = start(1, "plain", &good), other;

	assert_code(r, 235, "2.7.0");
	assert_string_equal(r.login, "alice@example.org");
	assert_string_equal(r.device, "");
	r = start(1, "PLAIN", &device);
	assert_code(r, 235, "2.7.0");
	assert_string_equal(r.login, "bob@example.org");
	assert_string_equal(r.device, "phone");
	r = start(2, "PLAIN", &bad);
	other = start(2, "PLAIN", &unknown);
	assert_code(r, 535, "5.7.8");
	assert_string_equal(r.login, "alice@example.org"); /* who was tried, in full */
	assert_string_equal(other.login, "nobody@example.org");
	strcpy(other.login, r.login);
	assert_memory_equal(&r, &other, sizeof(r)); /* the same words */
	assert_true(login.from_cache == from_cache);
	assert_code(start(3, "PLAIN", &good), 235, "2.7.0");
	assert_true(login.from_cache == from_cache + 1);
	settle();
	assert_int_equal(login.open_exchanges, 0);
}

static void test_login(void **state)
{
	struct reply r = start_as(1, "LOGIN", S("Alice@example.org"), S("wonder land"));

	assert_code(r, 235, "2.7.0");
	assert_string_equal(r.login, "alice@example.org");
	assert_code(start_as(1, "LOGIN", S("alice"), S("wrong")), 535, "5.7.8");
	assert_code(step(1, S("wonder land")), 454, "4.7.0"); /* that dialogue is over */
	assert_code(start_as(1, "LOGIN", S(""), S("")), 535, "5.7.8");
	assert_code(start_as(1, "LOGIN", S("alice\0x"), S("wonder land")), 535, "5.7.8");
	settle();
	assert_int_equal(login.open_exchanges, 0);
}

/* A password that is wrong again is told from a new one, whatever the mechanism; SCRAM does not show it. */
static void test_repeated(void **state)
{
	static const struct {
		const char *mechanism, *user, *response;
		size_t n;
		uint64_t repeated, counted;
	} rows[] = {
		{ "PLAIN", "", "\0carla\0one", 10, 0, 0 },
		{ "PLAIN", "", "\0carla\0one", 10, 0, COUNTED_IN_BAN }, /* it was tried, but nobody has counted it */
		{ "PLAIN", "", "\0carla\0one", 10, COUNTED_IN_BAN, COUNTED_AS_JUDGED },
		{ "LOGIN", "Carla@example.org", "one", 3, COUNTED_IN_BAN | COUNTED_AS_JUDGED, COUNTED_IN_BAN },
		{ "LOGIN", "carla", "two", 3, 0, COUNTED_AS_JUDGED },
		{ "PLAIN", "", "\0carla\0two", 10, COUNTED_AS_JUDGED, COUNTED_AS_JUDGED },
		{ "PLAIN", "", "\0carlo\0two", 10, 0, COUNTED_AS_JUDGED },
		{ "PLAIN", "", "\0carla/phone\0two", 16, 0, COUNTED_AS_JUDGED },
		{ "PLAIN", "", "carla\0carla/phone\0two", 21, COUNTED_AS_JUDGED, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r;

		decision.counted = rows[i].counted;
		r = start_as(i, rows[i].mechanism, str_of(rows[i].user), str_make(rows[i].response, rows[i].n));
		assert_code(r, 535, "5.7.8");
		assert_int_equal(r.repeated, rows[i].repeated);
	}
	decision.counted = 0;
}

/* ---- queue has the last word ---- */
static uint64_t begin(struct reply *r, uint64_t session, struct str initial)
{
	struct msg_login_start m = {
		.session = session, .mechanism = S("PLAIN"), .initial = initial, .tls_bits = 128, .tls_version = 2
	};

	*r = (struct reply){ 0 };
	return ipc_call_login_start(submission, &m, -1, on_reply, r);
}

static void wait_asks(unsigned n)
{
	RUN_UNTIL(login.loop, asks >= n);
}

static void lose_queue(void)
{
	channel_close(queue, "the test ends it");
	while (queue || our_queue)
		uv_run(login.loop, UV_RUN_ONCE);
}

static void find_queue(void)
{
	pair(ROLE_QUEUE, &our_queue, &queue);
	watch_queue_up(&login);
	vouches_queue_up(&login);
}

/* A right password and a wrong one get the same words when queue does not let the login in, and neither gets a proof. */
static void test_queue_refuses(void **state)
{
	struct str good = S("\0alice\0wonder land"), bad = S("\0alice\0wrong");
	struct reply r, other;

	decision = (struct msg_authorized){ .verdict = temp(454, S("4.7.0"), S("this login is locked")), .delay_ms = 70 };
	r = start(1, "PLAIN", &good);
	assert_code(r, 454, "4.7.0");
	assert_true(r.judged && r.delay_ms == 70);
	assert_string_equal(r.text, "this login is locked");
	assert_string_equal(r.ticket, "");
	assert_int_equal(asked.success, 1);
	other = start(2, "PLAIN", &bad);
	assert_int_equal(asked.success, 0);
	r.stamp = other.stamp; /* only queue knows that */
	assert_memory_equal(&r, &other, sizeof(r));
	decision = (struct msg_authorized){ .delay_ms = 70 };
	r = start(1, "PLAIN", &good);
	assert_code(r, 235, "2.7.0");
	assert_string_equal(r.ticket, "a ticket");
	assert_true(r.judged && r.delay_ms == 70);
	assert_true(asked.worker == 0 && asked.incarnation == 1 && asked.session == 1 && asked.rights == 0);
	decision = (struct msg_authorized){ 0 };
	assert_code(start(1, "CRAM-MD5", NULL), 504, "5.5.4"); /* counts as well */
	assert_int_equal(asked.success, 0);
}

/* Queue dies before it answers: the next one is asked. It can be asked before it has heard of the session. */
static void test_queue_dies(void **state)
{
	struct str good = S("\0alice\0wonder land"), bad = S("\0alice\0wrong");
	struct reply r, other;
	unsigned before = asks;

	silent = true;
	begin(&r, 1, good);
	begin(&other, 2, bad);
	wait_asks(before + 2);
	lose_queue();
	uv_run(login.loop, UV_RUN_NOWAIT);
	assert_false(r.come || other.come);
	silent = false;
	decision.unknown = 3;
	find_queue();
	run_until(&r.come);
	run_until(&other.come);
	assert_code(r, 235, "2.7.0");
	assert_code(other, 535, "5.7.8");
	assert_int_equal(asks, before + 4 + 3);
	settle();
	assert_true(list_empty(&login.vouches.open));
}

/* No other comes in time: nobody hears whether the password was right. */
static void test_queue_stays_away(void **state)
{
	struct str good = S("\0alice\0wonder land"), bad = S("\0alice\0wrong");
	struct reply r, other;
	unsigned before = asks;
	uint64_t call;

	silent = true;
	begin(&r, 1, good);
	begin(&other, 2, bad);
	wait_asks(before + 2);
	lose_queue();
	silent = false;
	LIST_EACH_OF (struct vouch, v, &login.vouches.open, link)
		v->give_up_at = 0; /* the time is over */
	run_until(&r.come);
	run_until(&other.come);
	assert_code(r, 454, "4.7.0");
	r.stamp = other.stamp;
	assert_memory_equal(&r, &other, sizeof(r));
	assert_int_equal(r.judged, 0);
	assert_string_equal(r.login, "");
	call = begin(&r, 3, good); /* the client goes meanwhile */
	ipc_send_login_end(submission, &(struct msg_login_end){ .session = 3 }, -1);
	ipc_cancel(call);
	settle();
	assert_true(list_empty(&login.vouches.open));
	find_queue();
}

/* The password changes while queue is away: it was right, and is so no more. */
static void test_password_changes_meanwhile(void **state)
{
	struct reply r;
	unsigned before = asks;

	change_file(ACCOUNT_ADD, "henry@example.org", "", "first");
	silent = true;
	begin(&r, 1, S("\0henry\0first"));
	wait_asks(before + 1);
	lose_queue();
	silent = false;
	change_file(ACCOUNT_PASSWD, "henry@example.org", "", "second");
	login_refresh(&login);
	find_queue();
	run_until(&r.come);
	assert_code(r, 454, "4.7.0");
	assert_int_equal(asks, before + 1);
	change_file(ACCOUNT_REMOVE, "henry@example.org", "", NULL);
	settle();
}

/* However many dialogues are left half open: the oldest of them gives way to who comes. */
static void test_half_open(void **state)
{
	struct str good = S("\0alice\0wonder land");

	for (uint64_t i = 0; i < 4096 + 10; i++)
		assert_code(start(10000 + i, "SCRAM-SHA-256", &half_open), 334, "");
	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
	assert_code(step(10000, S("x")), 454, "4.7.0");
	assert_code(step(10000 + 4096 + 9, S("x")), 501, "5.5.2");
	exchanges_drop(&login, ours);
	settle();
	assert_int_equal(login.open_exchanges, 0);
}

static void test_refusals(void **state)
{
	struct msg_login_start in_clear = { .session = 9, .mechanism = S("PLAIN"), .initial = S("\0alice\0wonder land") };
	struct str other = S("bob@example.org\0alice\0wonder land");
	struct reply r = { 0 };

	assert_code(start(1, "CRAM-MD5", NULL), 504, "5.5.4");
	assert_code(start(1, "", NULL), 504, "5.5.4");
	assert_code(start(1, "PLAIN", &other), 535, "5.7.8");
	assert_code(start(1, "PLAIN", &S("x")), 501, "5.5.2");
	ipc_call_login_start(submission, &in_clear, -1, on_reply, &r);
	run_until(&r.come);
	assert_code(r, 538, "5.7.11");
	settle();
	assert_int_equal(login.open_exchanges, 0);
}

/* A cancelled dialogue, one that begins anew, a step while one is being checked: all end, none answers twice. */
static void test_cancel(void **state)
{
	struct str bad = S("\0alice\0wrong");
	struct msg_login_start m = { .session = 5, .mechanism = S("PLAIN"), .initial = bad, .tls_bits = 128, .tls_version = 2 };
	struct msg_login_step early = { .session = 5, .response = S("x") };
	struct reply first = { 0 }, second = { 0 };
	uint64_t call;

	assert_code(start(4, "SCRAM-SHA-256", &half_open), 334, "");
	ipc_send_login_end(submission, &(struct msg_login_end){ .session = 4 }, -1);
	ipc_send_login_end(submission, &(struct msg_login_end){ .session = 4 }, -1);
	assert_code(step(4, S("x")), 454, "4.7.0");

	call = ipc_call_login_start(submission, &m, -1, on_reply, &first);
	ipc_call_login_step(submission, &early, -1, on_reply, &second);
	run_until(&second.come);
	assert_code(second, 503, "5.5.1");
	run_until(&first.come);
	assert_code(first, 535, "5.7.8");

	first.come = false;
	call = ipc_call_login_start(submission, &m, -1, on_reply, &first);
	ipc_send_login_end(submission, &(struct msg_login_end){ .session = 5 }, -1);
	ipc_cancel(call);
	assert_code(start(5, "PLAIN", &bad), 535, "5.7.8");
	settle();
	assert_false(first.come);
	assert_int_equal(login.open_exchanges, 0);
}

/* Many at once: all are answered, and the count goes back to nothing. */
static void test_many(void **state)
{
	enum { MANY = 64 };
	struct reply replies[MANY] = { 0 };

	for (unsigned i = 0; i < MANY; i++) {
		struct msg_login_start m = { .session = 100 + i, .mechanism = S("PLAIN"), .tls_bits = 128, .tls_version = 2 };

		m.initial = i % 2 ? S("\0alice\0wonder land") : S("\0alice\0wrong");
		ipc_call_login_start(submission, &m, -1, on_reply, &replies[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		run_until(&replies[i].come);
		assert_int_equal(replies[i].code, i % 2 ? 235 : 535);
	}
	settle();
	assert_int_equal(login.open_exchanges, 0);
}

/* A new password is known at once, the old one forgotten at once, cache or not. */
static void test_changed_file(void **state)
{
	struct str old = S("\0carol\0old"), new = S("\0carol\0new");

	change_file(ACCOUNT_ADD, "carol@example.org", "", "old");
	assert_code(start(1, "PLAIN", &old), 235, "2.7.0");
	assert_code(start(1, "PLAIN", &old), 235, "2.7.0");
	change_file(ACCOUNT_PASSWD, "carol@example.org", "", "new");
	assert_code(start(1, "PLAIN", &old), 535, "5.7.8");
	assert_code(start(1, "PLAIN", &new), 235, "2.7.0");
	change_file(ACCOUNT_REMOVE, "carol@example.org", "", NULL);
	assert_code(start(1, "PLAIN", &new), 535, "5.7.8");
}

/* A password is good until its time, in the cache or not, and is as good as wrong from then on; the others of the account stay. */
static void test_expiry(void **state)
{
	struct str phone = S("\0erin/phone\0rabbit"), wrong = S("\0erin/phone\0wrong"), main_password = S("\0erin\0tea");
	uint64_t expires_at = clock_now_ms() + 1500, from_cache;
	struct reply r, other;

	change_file(ACCOUNT_ADD, "erin@example.org", "", "tea");
	change_until(ACCOUNT_ADD, "erin@example.org", "phone", "rabbit", expires_at);
	assert_code(start(1, "PLAIN", &phone), 235, "2.7.0");
	from_cache = login.from_cache;
	r = start(1, "PLAIN", &phone);
	if (clock_now_ms() < expires_at) { /* else this machine was too slow to see it */
		assert_code(r, 235, "2.7.0");
		assert_true(login.from_cache == from_cache + 1);
	}
	while (clock_now_ms() < expires_at)
		usleep(1000);
	r = start(1, "PLAIN", &phone);
	other = start(1, "PLAIN", &wrong);
	assert_code(r, 535, "5.7.8");
	assert_memory_equal(&r, &other, sizeof(r));
	assert_string_equal(r.login, "erin@example.org");
	assert_string_equal(r.device, "phone");
	assert_code(start_as(1, "LOGIN", S("erin/phone"), S("rabbit")), 535, "5.7.8");
	assert_code(start(1, "PLAIN", &main_password), 235, "2.7.0");
	change_until(ACCOUNT_PASSWD, "erin@example.org", "phone", "rabbit", 0);
	assert_code(start(1, "PLAIN", &phone), 235, "2.7.0");
}

/* Sessions outlive the login role: the next one knows their passwords by the same stamps, also where it cannot keep a key of its own. */
static void test_stamps_over_a_restart(void **state)
{
	struct str name = S("gwen@example.org");
	char key[128];
	uint64_t stamps[2];

	change_file(ACCOUNT_ADD, "gwen@example.org", "", "first");
	snprintf(key, sizeof(key), "%s/login.key", directory_path);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(mkdir(key, 0700), 0); /* not to be read, and no file takes its name */
	for (size_t i = 0; i < 2; i++) {
		struct directory *d = directory_new(directory_path);

		assert_int_equal(directory_refresh(d).class, OK);
		stamps[i] = directory_stamp(d, name, S(""));
		directory_free(d);
	}
	assert_int_equal(rmdir(key), 0);
	assert_true(stamps[0] != 0);
	assert_int_equal(stamps[0], stamps[1]);
	login_refresh(&login);
	assert_int_equal(directory_stamp(login.directory, name, S("")), stamps[0]);
	change_file(ACCOUNT_PASSWD, "gwen@example.org", "", "second");
	login_refresh(&login);
	assert_int_not_equal(directory_stamp(login.directory, name, S("")), stamps[0]);
}

/* No file: nobody is told that a password is wrong, nobody's session ends, and all goes on when it is there again. */
static void test_no_file(void **state)
{
	struct str good = S("\0alice\0wonder land"), bad = S("\0alice\0wrong one");
	char path[128], saved[128];

	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
	snprintf(path, sizeof(path), "%s/accounts", directory_path);
	snprintf(saved, sizeof(saved), "%s/saved", directory_path);
	assert_int_equal(rename(path, saved), 0);
	assert_code(start(1, "PLAIN", &good), 454, "4.7.0");
	assert_code(start(1, "PLAIN", &bad), 454, "4.7.0");
	assert_code(start(1, "SCRAM-SHA-256", &half_open), 454, "4.7.0");
	ask_presence("alice@example.org", "", 12345);
	assert_int_equal(overs, 0);
	assert_int_equal(rename(saved, path), 0);
	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
	assert_code(start(1, "PLAIN", &bad), 535, "5.7.8");
}

/* Who is in by a password that has changed, was removed, or whose time is over hears so; nobody else does. */
static void test_presence(void **state)
{
	struct str main_password = S("\0frank\0tea"), phone = S("\0frank/phone\0cup");
	uint64_t expires_at = clock_now_ms() + 1500;
	struct reply r, p;

	change_file(ACCOUNT_ADD, "frank@example.org", "", "tea");
	change_until(ACCOUNT_ADD, "frank@example.org", "phone", "cup", expires_at);
	r = start(1, "PLAIN", &main_password);
	p = start(1, "PLAIN", &phone);
	assert_true(r.stamp != 0 && r.stamp != p.stamp);
	watch_look(&login);
	ask_presence("frank@example.org", "", r.stamp);
	assert_int_equal(overs, 0);
	change_file(ACCOUNT_PASSWD, "frank@example.org", "", "coffee");
	watch_look(&login);
	wait_checks(checks + 1);
	ask_presence("frank@example.org", "", r.stamp);
	assert_int_equal(overs, 1);
	while (clock_now_ms() < expires_at)
		usleep(1000);
	watch_look(&login);
	wait_checks(checks + 1);
	ask_presence("frank@example.org", "phone", p.stamp);
	assert_int_equal(overs, 2);
	r = start(1, "PLAIN", &S("\0frank\0coffee"));
	lock_file(ACCOUNT_LOCK, "frank@example.org");
	watch_look(&login);
	ask_presence("frank@example.org", "", r.stamp);
	assert_int_equal(overs, 3);
	p = start(1, "PLAIN", &S("\0frank\0coffee"));
	assert_int_equal(p.class, PERM);
	lock_file(ACCOUNT_UNLOCK, "frank@example.org");
	watch_look(&login);
	p = start(1, "PLAIN", &S("\0frank\0coffee"));
	assert_int_equal(p.class, OK);
	assert_true(p.stamp == r.stamp);
	ask_presence("frank@example.org", "", r.stamp);
	assert_int_equal(overs, 3);
	change_file(ACCOUNT_REMOVE, "frank@example.org", "", NULL);
	watch_look(&login);
	ask_presence("frank@example.org", "", r.stamp);
	assert_int_equal(overs, 4);
}

/* A malformed file: what was known goes on; without a first reading it is a fault of ours, and heals by itself. */
static void test_broken_file(void **state)
{
	struct str good = S("\0alice\0wonder land");
	struct directory *known = login.directory;
	char path[128], saved[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/accounts", directory_path);
	snprintf(saved, sizeof(saved), "%s/saved", directory_path);
	assert_int_equal(rename(path, saved), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("nonsense\n", file);
	fclose(file);
	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
	login.directory = directory_new(directory_path);
	assert_code(start(1, "PLAIN", &good), 454, "4.7.0");
	assert_int_equal(rename(saved, path), 0);
	cache_clear(login.cache);
	directory_free(login.directory);
	login.directory = known;
	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
}

/* ---- the console ---- */
struct changed {
	bool come;
	enum verdict_class class;
	uint16_t code;
};

static void on_changed(void *ctx, struct verdict v, const struct msg_account_changed *m, int fd)
{
	struct changed *c = ctx;

	c->come = true;
	c->class = m ? m->verdict.class : v.class;
	c->code = m ? m->verdict.code : v.code;
}

static struct changed change(uint64_t operation, const char *name, struct str verifier)
{
	struct changed c = { 0 };

	ipc_call_account_change(
		console, &(struct msg_account_change){ .operation = operation, .name = str_of(name), .verifier = verifier }, -1,
		on_changed, &c);
	run_until(&c.come);
	return c;
}

struct listing {
	bool come;
	size_t rows;
	uint64_t cursor;
	bool has_dave;
};

static void on_page(void *ctx, struct verdict v, const struct msg_accounts *m, int fd)
{
	struct listing *l = ctx;

	l->come = true;
	assert_non_null(m);
	assert_int_equal(m->verdict.class, OK);
	l->rows += m->rows.n;
	l->cursor = m->cursor;
	for (size_t i = 0; i < m->rows.n; i++)
		l->has_dave = l->has_dave || str_eq(m->rows.at[i].name, S("dave@example.org"));
}

static struct listing list_all(void)
{
	struct listing l = { 0 };

	do {
		l.come = false;
		ipc_call_account_page(console, &(struct msg_account_page){ .cursor = l.cursor }, -1, on_page, &l);
		run_until(&l.come);
	} while (l.cursor);
	return l;
}

static void test_console(void **state)
{
	struct str good = S("\0dave\0secret");
	struct arena a = { 0 };
	struct str verifier;
	struct listing before = list_all();

	assert_int_equal(account_verifier(&a, str_of(""), S("secret"), &verifier).class, OK);
	assert_int_equal(change(ACCOUNT_ADD, "dave@example.org", verifier).class, OK);
	assert_int_equal(change(ACCOUNT_ADD, "dave@example.org", verifier).code, 550);
	assert_int_equal(change(ACCOUNT_ADD, "da ve", verifier).code, 550);
	assert_int_equal(change(ACCOUNT_ADD, "eve@example.org", S("x")).code, 550);
	assert_int_equal(change(7, "eve@example.org", verifier).code, 550);
	assert_true(list_all().has_dave);
	assert_int_equal(list_all().rows, before.rows + 1);
	assert_code(start(1, "PLAIN", &good), 235, "2.7.0");
	assert_int_equal(change(ACCOUNT_REMOVE, "dave@example.org", str_of("")).class, OK);
	assert_int_equal(change(ACCOUNT_REMOVE, "dave@example.org", str_of("")).code, 550);
	assert_false(list_all().has_dave);
	assert_code(start(1, "PLAIN", &good), 535, "5.7.8");
	arena_fini(&a);
}

/* The console has its answer when submission has been told which sessions are over, and not before. */
static void test_change_ends_sessions_first(void **state)
{
	struct str good = S("\0erin\0secret");
	struct arena a = { 0 };
	struct str verifier;
	unsigned before = overs;

	assert_int_equal(account_verifier(&a, str_of(""), S("secret"), &verifier).class, OK);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(change(ACCOUNT_ADD, "erin@example.org", verifier).class, OK);
		there = (struct msg_login_present){ .session = 78,
						    .login = S("erin@example.org"),
						    .stamp = start(1, "PLAIN", &good).stamp };
		assert_true(there.stamp != 0);
		assert_int_equal(change(ACCOUNT_REMOVE, "erin@example.org", str_of("")).class, OK);
		assert_int_equal(overs, before + i);
		assert_int_equal(there.session, 0);
	}
	overs = before;
	arena_fini(&a);
}

/* More than a page, written as a file because a change each would take long. */
static void test_pages(void **state)
{
	struct arena a = { 0 };
	struct str verifier;
	char path[128], saved[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/accounts", directory_path);
	snprintf(saved, sizeof(saved), "%s/saved", directory_path);
	assert_int_equal(rename(path, saved), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(account_verifier(&a, str_of(""), S("secret"), &verifier).class, OK);
	for (int i = 0; i < 5000; i++)
		fprintf(file, "user%d@example.org - %.*s 1\n", i, STR_ARG(verifier));
	fclose(file);
	assert_int_equal(list_all().rows, 5000);
	assert_int_equal(rename(saved, path), 0);
	assert_int_equal(list_all().rows, 2);
	arena_fini(&a);
}

/* The submission process dies in the middle of logins: they end with it. Last, since the channel goes. */
static void test_peer_dies(void **state)
{
	struct str bad = S("\0alice\0wrong");
	struct msg_login_start m = { .session = 7, .mechanism = S("PLAIN"), .initial = bad, .tls_bits = 128, .tls_version = 2 };
	struct reply r = { 0 };

	assert_code(start(1, "SCRAM-SHA-256", &half_open), 334, "");
	ipc_call_login_start(submission, &m, -1, on_reply, &r);
	for (int i = 0; i < 100 && login.open_exchanges < 2; i++)
		uv_run(login.loop, UV_RUN_ONCE);
	assert_int_equal(login.open_exchanges, 2);
	channel_close(submission, "killed");
	submission = NULL;
	run_until(&r.come);
	assert_int_equal(r.class, TEMP);
	while (busy > 0)
		uv_run(login.loop, UV_RUN_ONCE);
	assert_int_equal(login.open_exchanges, 0);
	while (closed < 2)
		uv_run(login.loop, UV_RUN_ONCE);
	ours = NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_changed_file),
		cmocka_unit_test(test_broken_file),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_change_ends_sessions_first),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_queue_refuses),
		cmocka_unit_test(test_queue_dies),
		cmocka_unit_test(test_queue_stays_away),
		cmocka_unit_test(test_password_changes_meanwhile),
		cmocka_unit_test(test_half_open),
		cmocka_unit_test(test_stamps_over_a_restart),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_presence),
		cmocka_unit_test(test_peer_dies),
	};

	return cmocka_run_group_tests_name("login", tests, set_up, tear_down);
}
