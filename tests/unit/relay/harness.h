/* harness.h - the real processes of the roles relay and resolver, with master, queue and vault played here, and next hops and a name server on loopback. */
#ifndef POSTHOUSE_TEST_RELAY_HARNESS_H
#define POSTHOUSE_TEST_RELAY_HARNESS_H

#include "../net/fixture.h"
#include "names.h"
#include "sink.h"

#include "posthouse/ipc.h"
#include "posthouse/mail.h"
#include "posthouse/smtp_server.h"

enum { RECIPIENTS_MAX = 100, RESULTS_MAX = 128, MX_MAX = 4 };

struct result {
	uint64_t lease;
	unsigned n;
	struct verdict verdicts[RECIPIENTS_MAX];
	uint64_t numbers[RECIPIENTS_MAX];
	uint64_t meanings[RECIPIENTS_MAX], scopes[RECIPIENTS_MAX], pauses_ms[RECIPIENTS_MAX];
	unsigned gate;
	uint64_t rcptmax, dsn, unfit, gate_meaning, gate_pause_ms;
	struct str reason, remote, tls, tls_policy, tls_result, without, transcript;
};

struct world {
	uv_loop_t *loop;
	struct arena arena;
	struct config config;
	struct cfg_upstream upstream;
	struct sink sink, other, mx[MX_MAX];
	struct names names;
	struct str chain_pem, key_pem;
	struct channel *master, *queue, *vault, *resolver_master;
	pid_t pid, resolver_pid;
	unsigned configured, ready, results_n, vault_steps, renewals, resigns, stopped; /* renewals: of a token */
	struct result results[RESULTS_MAX];
	const char *password;   /* what vault answers with; NULL: it refuses */
	const char *vault_code; /* enhanced, when it refuses; NULL: 4.7.8 */
	const char *vault_text; /* NULL: "no key today" */
	bool vault_done;
	struct verdict sign_verdict; /* queue's answer to `resign` */
	bool lose_resign;            /* the next one gets none, and the next hop hangs up */
	struct verdict configure_verdict;
	struct msg_deliver like; /* what messages are like; id 0: each is another one */
	struct str orcpt;        /* … and their recipients */
	unsigned notify;
};

extern const char *program; /* set by main */
extern const struct ipc_handlers queue_handlers;

int setup(void **state);
int teardown(void **state);
#define RELAY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

void start(struct world *w); /* with what the test has put into the configuration */
void start_resolver(struct world *w);
void end_resolver(struct world *w);            /* by SIGKILL */
void restart_resolver(struct world *w);        /* configured and connected, as master does it */
void stop(struct world *w, uint64_t grace_ms); /* SIGTERM's way: it drains and exits 0 */
bool configure(struct world *w);               /* both phases; false when the role refuses it */
struct channel *connect_peer(struct world *w, enum role_id role, const struct ipc_handlers *handlers);
bool run_until_count(struct world *w, const unsigned *counter, unsigned value);
void use_tls(struct world *w, unsigned mode); /* of the upstream and the sink */

struct sink *open_mx(struct world *w, unsigned i,
		     const char *address); /* a mail server at this address, with the port that all of them have */

/* Hand over a message to these recipients, with this text. */
void deliver_to(struct world *w, uint64_t lease, struct str route, const char *recipients, struct str text, int fd,
		uint64_t size);
void deliver(struct world *w, uint64_t lease, const char *recipients); /* a small one, to the upstream */
struct result *result_of(struct world *w, uint64_t lease);             /* which must have come or come now */
void expect(const struct result *r, unsigned i, enum verdict_class class, unsigned code, const char *enhanced, const char *text);
void expect_reason(const struct result *r, const char *part); /* the next hop is at fault */
bool holds(struct str text, const char *part);

#endif
