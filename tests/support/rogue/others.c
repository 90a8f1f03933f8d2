/* others.c - deeds of the roles that meet few strangers or none, and of those that ask strangers
 * for others. */
#include "rogue.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- descriptors that are not what they should be ---- */

static void *shrink(void *fd)
{
	for (int i = 0; i < 200000; i++)
		if (ftruncate(*(int *)fd, i % 2 ? 1 << 20 : 0) != 0)
			break;
	return NULL;
}

static int make_pipe(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1;
}

static int make_socket(int type)
{
	struct sockaddr_un nowhere = { .sun_family = AF_UNIX }; /* the kernel chooses a name */
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (type == SOCK_STREAM && (bind(fd, (struct sockaddr *)&nowhere, sizeof(sa_family_t)) != 0 || listen(fd, 1) != 0))
		return -1;
	return fd;
}

static int make_file(const char *words, off_t size)
{
	int fd = memfd_create("deed", MFD_CLOEXEC);

	if (write(fd, words, strlen(words)) < 0 || (size > 0 && ftruncate(fd, size) != 0))
		return -1;
	return fd;
}

enum { KINDS = 9 };
static const char *const kinds[KINDS] = { "directory", "pipe",   "listener", "datagrams", "path",
					  "zero",      "sparse", "empty",    "shrinking" };

static int make(int kind)
{
	switch (kind) {
	case 0: return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 1: return make_pipe();
	case 2: return make_socket(SOCK_STREAM);
	case 3: return make_socket(SOCK_DGRAM);
	case 4: return open("/etc/passwd", O_PATH | O_CLOEXEC);
	case 5: return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case 6: return make_file("X-", (off_t)1 << 40);
	case 7: return make_file("", 0);
	default: return make_file("X-", 1 << 20);
	}
}

/* ---- console ---- */

static void import_what_is_no_file(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);

	for (int kind = 0; kind < KINDS; kind++) {
		int fd = make(kind);
		const union ipc_message *answer;
		pthread_t thread;
		bool shrinks = kind == KINDS - 1 && pthread_create(&thread, NULL, shrink, &fd) == 0;

		say(queue, MSG_queue_import, (uint64_t)kind + 1, &(struct msg_queue_import){ 0 }, fd);
		answer = hear(queue, MSG_queue_imported);
		tell("import of %s: %s", kinds[kind], answer && answer->queue_imported.verdict.class != OK ? "refused" : "TAKEN");
		if (shrinks)
			pthread_join(thread, NULL);
		close(fd);
	}
}

static void ask_too_much(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	uint64_t n = 0;

	while (n < 1000000 && say(queue, MSG_queue_summary, n + 1, &(struct msg_queue_summary){ 0 }, -1))
		n++;
	tell("questions to queue: %s", n < 1000000 ? "closed" : "TAKEN");
}

static void reload_always(void)
{
	unsigned done = 0;

	for (uint64_t i = 1; i <= 500; i++)
		if (!say(rogue_master, MSG_reload, i, &(struct msg_reload){ 0 }, -1))
			break;
		else
			done++;
	tell("asked for %u reloads", done);
}

static void submit_as_console(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0), submission = rogue_peer(ROLE_SUBMISSION, 0);

	say(queue, MSG_envelope, 0, &(struct msg_envelope){ .transaction = 1, .id = 1 }, -1);
	tell("envelope: %s", is_closed(queue) ? "closed" : "TAKEN");
	say(submission, MSG_local_client, 0, &(struct msg_local_client){ 0 }, make_socket(SOCK_STREAM));
	tell("local_client: %s", is_closed(submission) ? "closed" : "TAKEN");
}

/* ---- pickup ---- */

static void bring_no_client(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		int submission = rogue_peer(ROLE_SUBMISSION, 0), fd = make(kind);

		say(submission, MSG_local_client, 0, &(struct msg_local_client){ 0 }, fd);
		tell("client that is %s: %s", kinds[kind], is_closed(submission) ? "closed" : "TAKEN");
		close(fd);
		rogue_again(ROLE_SUBMISSION, 0);
	}
}

/* ---- doctor ---- */

static void write_letters(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);
	struct msg_tell_postmaster m = { .subject = S("x\r\nBcc: eve@example.net"), .words = S("words") };
	const union ipc_message *answer;
	unsigned taken = 0;

	say(queue, MSG_tell_postmaster, 1, &m, -1);
	answer = hear(queue, MSG_postmaster_told);
	tell("a letter with a field: %s", answer && answer->postmaster_told.verdict.class != OK ? "refused" : "TAKEN");
	m.subject = S("a letter of the doctor");
	for (uint64_t call = 2; call < 500; call++) {
		say(queue, MSG_tell_postmaster, call, &m, -1);
		answer = hear(queue, MSG_postmaster_told);
		taken += answer && answer->postmaster_told.verdict.class == OK;
	}
	tell("letters: %u", taken);
	say(queue, MSG_queue_alter, 1, &(struct msg_queue_alter){ .operation = 2 }, -1);
	tell("queue_alter: %s", is_closed(queue) ? "closed" : "TAKEN");
}

/* ---- login ---- */

/* Answers to questions that submission never asked, and what only others say. */
static void answer_unasked(void)
{
	int submission = rogue_peer(ROLE_SUBMISSION, 0);

	for (uint64_t call = 0; call < 5000; call++) {
		struct msg_login_reply m = { .verdict = { OK, 235, S("2.7.0"), S("") }, .login = S("eve@example.org") };

		if (!say(submission, MSG_login_reply, call, &m, -1))
			break;
	}
	tell("answers: %s", say(submission, MSG_login_reply, 1, &(struct msg_login_reply){ 0 }, -1) ? "ignored" : "closed");
	say(submission, MSG_submitted, 1, &(struct msg_submitted){ 0 }, -1);
	tell("submitted: %s", is_closed(submission) ? "closed" : "TAKEN");
}

/* ---- vault, web, fetch, resolver ---- */

/* Signatures that nobody asked for, and a command of an upstream that has none. */
static void answer_queue(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0);

	for (uint64_t call = 0; call < 5000; call++)
		if (!say(queue, MSG_signatures, call, &(struct msg_signatures){ .verdict = ok() }, -1))
			break;
	tell("signatures: %s", say(queue, MSG_signatures, 1, &(struct msg_signatures){ 0 }, -1) ? "ignored" : "closed");
	for (uint64_t call = 1; call <= 500; call++)
		say(rogue_master, MSG_command_run, call, &(struct msg_command_run){ .upstream = S("next") }, -1);
	say(queue, MSG_envelope, 0, &(struct msg_envelope){ .transaction = 1, .id = 1 }, -1);
	tell("envelope: %s", is_closed(queue) ? "closed" : "TAKEN");
}

static void monitor_too_much(void)
{
	int queue = rogue_peer(ROLE_QUEUE, 0), login = rogue_peer(ROLE_LOGIN, 0), vault = rogue_peer(ROLE_VAULT, 0);
	struct rec_digest digest = { .selector = S("none"), .digest = S("01234567890123456789012345678901") };

	say(queue, MSG_queue_text, 1, &(struct msg_queue_text){ .id = 1 }, -1);
	tell("queue_text: %s", is_closed(queue) ? "closed" : "TAKEN");
	say(login, MSG_account_page, 1, &(struct msg_account_page){ 0 }, -1);
	tell("account_page: %s", is_closed(login) ? "closed" : "TAKEN");
	say(vault, MSG_sign, 1, &(struct msg_sign){ .domain = S("example.org"), .digests = { &digest, 1 } }, -1);
	tell("sign: %s", is_closed(vault) ? "closed" : "TAKEN");
}

/* Tokens that vault did not ask for, and questions for its passwords. */
static void bring_tokens(void)
{
	static struct rec_json_field fields[2000];
	int vault = rogue_peer(ROLE_VAULT, 0);
	struct msg_fetched m = { .verdict = ok(), .status = 200, .fields = { fields, 2000 } };

	for (size_t i = 0; i < 2000; i++)
		fields[i] = (struct rec_json_field){ S("access_token"), S("of the stranger") };
	for (uint64_t call = 100; call < 3000; call++)
		if (!say(vault, MSG_fetched, call, &m, -1))
			break;
	tell("tokens: %s", say(vault, MSG_fetched, 1000, &m, -1) ? "ignored" : "closed");
	say(vault, MSG_upstream_step, 1,
	    &(struct msg_upstream_step){ .upstream = S("next"), .mechanism = S("PLAIN"), .first = 1 }, -1);
	tell("upstream_step: %s", is_closed(vault) ? "closed" : "TAKEN");
}

/* Packets that relay did not ask for. */
static void find_names(void)
{
	static char packet[60000];
	int relay = rogue_peer(ROLE_RELAY, 0);
	struct msg_resolved m = { .packet = { packet, sizeof packet }, .security = UINT64_MAX };

	for (uint64_t call = 0; call < 2000; call++)
		if (!say(relay, MSG_resolved, call, &m, -1))
			break;
	tell("packets: %s", say(relay, MSG_resolved, 1, &m, -1) ? "ignored" : "closed");
	say(relay, MSG_deliver, 0, &(struct msg_deliver){ .lease = 1 }, -1);
	tell("deliver: %s", is_closed(relay) ? "closed" : "TAKEN");
}

/* Policies that relay did not ask for, and requests that are none of its work. */
static void make_policies(void)
{
	static struct rec_sts_mx mx[200];
	int relay = rogue_peer(ROLE_RELAY, 0), fetch = rogue_peer(ROLE_FETCH, 0), queue = rogue_peer(ROLE_QUEUE, 0);
	struct msg_sts_found m = { .verdict = ok(), .mode = UINT64_MAX, .fault = UINT64_MAX, .mx = { mx, 200 } };
	const struct msg_fetch_text file = { .url = S("file:///etc/passwd"), .addresses = S("127.0.0.1") };
	const union ipc_message *answer;

	for (size_t i = 0; i < 200; i++)
		mx[i].pattern = S("mx.of-the-stranger.example");
	for (uint64_t call = 0; call < 2000; call++)
		if (!say(relay, MSG_sts_found, call, &m, -1))
			break;
	tell("policies: %s", say(relay, MSG_sts_found, 1, &m, -1) ? "ignored" : "closed");
	say(fetch, MSG_fetch_text, 1, &file, -1);
	answer = hear(fetch, MSG_text_fetched);
	tell("a file: %s", answer && answer->text_fetched.verdict.class != OK ? "refused" : "TAKEN");
	say(queue, MSG_envelope, 0, &(struct msg_envelope){ .transaction = 1, .id = 1 }, -1);
	tell("envelope: %s", is_closed(queue) ? "closed" : "TAKEN");
}

const struct deed deeds_of_others[] = {
	{ "signs", answer_queue },
	{ "monitors", monitor_too_much },
	{ "tokens", bring_tokens },
	{ "names", find_names },
	{ "imports", import_what_is_no_file },
	{ "questions", ask_too_much },
	{ "reloads", reload_always },
	{ "submits", submit_as_console },
	{ "clients", bring_no_client },
	{ "letters", write_letters },
	{ "answers", answer_unasked },
	{ "policies", make_policies },
	{ NULL, NULL },
};
