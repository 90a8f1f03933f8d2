/* harness.h - the queue role with its store and frame played by the test, and its peers at the other end of real channels. */
#ifndef TEST_HARNESS_H
#define TEST_HARNESS_H

#include "queue.h"

#include "posthouse/mail.h"

/* clang-format off */
#include "unit.h"
/* clang-format on */

#define DELIVERIES_MAX 512
#define SESSIONS_MAX   2000

/* A delivery as relay got it. */
struct delivery {
	uint64_t lease, id, size, header_size, ret;
	struct str route, sender, prefix, text, envid, sign_domain;
	struct str addresses[DELIVERY_RECIPIENTS_MAX], orcpts[DELIVERY_RECIPIENTS_MAX];
	uint64_t notifies[DELIVERY_RECIPIENTS_MAX];
	uint64_t numbers[DELIVERY_RECIPIENTS_MAX];
	size_t n;
	bool with_file, withdrawn, settled, answered;
};

struct harness {
	uv_loop_t *loop;
	struct config config;
	struct queue *q;
	struct channel *relay, *vault, *submission, *login_role, *console; /* the peers' ends */
	struct arena arena;
	struct delivery deliveries[DELIVERIES_MAX];
	size_t deliveries_n;
	size_t settled_n; /* `settled` for whatever lease */
	unsigned signs;
	struct str sign_domain;
	bool vault_fails, vault_forgets, vault_is_silent; /* forgets: the last signature */
	/* look_up: how many came; domains with "dead" in their names get no answer, or all get "none found" */
	unsigned look_ups;
	bool silent_dns, dead_dns;
	/* the last answers */
	struct verdict answer;
	size_t answers_n;
	int fd; /* that came with spool_opened; -1: none */
	size_t rows_n;
	uint64_t rows_cursor, in_flight;
	bool closed_submission;
	/* login and submission: what queue has told them */
	struct msg_login_present told; /* the last one */
	uint64_t accounts_version;
	unsigned accounts_told_n;
	unsigned told_n, overs;
	uint64_t over;              /* the last session */
	struct msg_horizon horizon; /* the last one that relay has heard */
	uint64_t allowed;           /* the connections that relay has heard of last, … */
	uint64_t allowed_epoch;     /* … in this epoch, … */
	uint64_t allowed_number;    /* … by this number; and … */
	bool keeps_connections;     /* … does not say that it has closed others */
	struct msg_node_is node_is; /* and submission */
	unsigned node_told_n;
	bool keeps_sessions; /* submission does not answer session_over */
	/* how submit() submits, beyond its arguments */
	struct str login, device, envid;
	struct str submit_domain; /* has a digest to sign, of its key "s1"; "": none */
	struct str author;        /* of From; "": the sender, or alice@example.org */
	uint64_t rights, priority;
	struct str presented[SESSIONS_MAX]; /* the sessions of submission: login and device, see session_of() */
	size_t presented_n;
	uint64_t release_at, deliver_by, options;
	unsigned deliver_by_mode;
	unsigned ret, notify; /* notify: of all recipients */
};

/* What clock_now_ms() says. */
extern _Atomic uint64_t fake_now; /* the store's thread looks too */
/* What clock_mono_ms() says; 0: the truth. */
extern _Atomic uint64_t fake_mono;
#define START_MS 1795289874000ull /* Sat, 21 Nov 2026 */

struct role *harness_role(void);           /* for queue_ops */
const struct verdict *harness_start(void); /* how the start went; NULL: it goes on */
struct harness *harness_new(void);
void harness_free(struct harness *h); /* stops the role in order, if the test did not */

/* What most tests begin and end with: the role alone, or with submission and relay. */
int harness_setup_alone(void **state);
int harness_setup(void **state);
int harness_teardown(void **state);
/* A page of answers to the console has come. */
void harness_keep(struct harness *h, struct verdict v, size_t rows, uint64_t cursor);
struct harness *harness_again(struct harness *h,
			      uint64_t now); /* the same, and start it anew at `now`: token buckets are still there */

void connect_relay(struct harness *h);
void connect_vault(struct harness *h);
#define SUBMISSION_INCARNATION 8
void connect_submission(struct harness *h);
void connect_login(struct harness *h);
void connect_console(struct harness *h);
void disconnect(struct harness *h, struct channel **end);

/* Run the loop until the condition holds; fails after half a minute. */
#define UNTIL(h, condition)                                                                                                      \
	do {                                                                                                                     \
		uint64_t until_ = uv_hrtime() + 30000000000ull;                                                                  \
		while (!(condition)) {                                                                                           \
			if (uv_hrtime() > until_)                                                                                \
				fail_msg("did not happen: %s", #condition);                                                      \
			run_some(h);                                                                                             \
		}                                                                                                                \
	} while (0)
void run_some(struct harness *h);
void run_quiet(struct harness *h); /* long enough for whatever could follow to follow */

/* The clock goes on, and what has become due is looked at. */
void advance(struct harness *h, uint64_t ms);

/* A session of submission in which h->login is logged in by h->device, with h->rights; queue has heard of it. */
uint64_t session_of(struct harness *h);

/* The field that submit() wants signed, for the key `selector` of `domain`. */
struct str unsigned_field(struct harness *h, const char *domain, const char *selector);

/* The domain that submit() has signed from now on has this one key. */
void sign_for(struct harness *h, const char *domain);

/* Submit a small message; `recipients` are separated by spaces. The answer is in h->answer when h->answers_n grows. */
void submit(struct harness *h, uint64_t id, uint64_t token, const char *sender, const char *recipients, const char *text);
void submit_and_wait(struct harness *h, uint64_t id, const char *sender, const char *recipients);

/* Relay's result for a delivery: the same verdict for all its recipients. */
void answer(struct harness *h, struct delivery *d, struct verdict v);
/* … and what it means. */
void answer_meaning(struct harness *h, struct delivery *d, struct verdict v, struct meaning m);
void answer_gate(struct harness *h, struct delivery *d, const char *reason); /* it cannot be reached */
void answer_fault(struct harness *h, struct delivery *d, enum nexthop_fault fault, const char *reason);
/* … and what that means. */
void answer_closed(struct harness *h, struct delivery *d, enum nexthop_fault fault, struct meaning m, const char *reason);

/* … that it cannot do what REQUIRETLS demands. */
void answer_unfit(struct harness *h, struct delivery *d, struct verdict v);

/* The gate with this name; NULL: none is known. */
struct nexthop *harness_nexthop(struct harness *h, const char *name);

/* The last delivery, once there are `n`; none follows it for the moment. */
struct delivery *delivery_number(struct harness *h, size_t n);

/* `name=value text` lines; the end of the role. */
struct str harness_stats(struct harness *h);
void harness_stop(struct harness *h, uint64_t grace_ms);
void harness_begin(struct harness *h); /* once it has stopped: another start in the same frame, to be waited for */
bool harness_stopped(struct harness *h);

/* stored.c: the store under the role, before that starts and after it has ended. forget: for good; else what is on the disk is
 * there for the next start. */
void test_store_begin(struct config *c);
void test_store_end(bool forget);

#endif
