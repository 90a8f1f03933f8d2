/* harness.h - the real process of the submission role. The test plays its queue and login, and is its clients. */
#ifndef POSTHOUSE_TEST_SUBMISSION_HARNESS_H
#define POSTHOUSE_TEST_SUBMISSION_HARNESS_H

#include "../role/played.h"

enum { OFFERS_MAX = 8, CLIENTS_MAX = 4, SESSIONS_MAX = 32 };

/* The two ports: clients come to the one, a load balancer on 127.0.0.1 to the other. */
enum door { DOOR_DIRECT, DOOR_PROXIED, DOORS };

/* A message as queue is offered it. */
struct offer {
	uint64_t session, id, token, place, size;
	struct str login, sender, recipients, received, text;
	struct str from, resenders; /* a space behind each, as in recipients */
	struct str digest, field;   /* to sign; "": nothing */
};

struct world {
	struct played role;
	struct config config;
	struct str chain_pem, key_pem;
	struct tls_context *tls; /* of clients */
	unsigned ports[DOORS];
	struct end clients[CLIENTS_MAX];
	unsigned clients_n;

	/* queue: what it says, … */
	struct verdict admission, authorization, reservation, submission;
	uint64_t reserving;
	bool silent_at_reserve, silent_at_submit;
	/* … and what it has heard */
	struct str admitted, last_login; /* the address and the login of the last client */
	struct {
		uint64_t session;
		struct str login;
	} known[SESSIONS_MAX]; /* the sessions that queue has heard of, and whose they are */
	size_t known_n;
	uint64_t last_session; /* of the last client */
	unsigned admissions, presents, leaves, reserves, abandoned, offers_n;
	struct offer offers[OFFERS_MAX], next; /* next: the envelope and recipients of the one to come */
	int spool;                             /* the file of a large message; -1: none */
	struct verdict spool_verdict;
	uint64_t open_submit; /* the call that has no answer */

	struct verdict local_user; /* what login says of every user of this machine */
	bool report;               /* login calls it the session of a report */
	struct str pass;           /* that login was shown */
	int passed_family;         /* of the connection that login was passed */
	bool silent_login, locked; /* locked: the login of listed hosts */
	unsigned logins, failures, login_ends;
};

extern const char *program; /* set by main */
extern const struct ipc_handlers queue_handlers, login_handlers;

int setup(void **state);
int teardown(void **state);
#define SUBMISSION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Start the role with what the test has put into the configuration, and connect its peers. */
void start(struct world *w);
bool wait_for(struct world *w, const unsigned *counter, unsigned value);
/* Queue answers the submit that it has kept waiting. */
void answer_submit(struct world *w, struct verdict v);

/* A client that has connected, and has heard nothing so far. */
struct end *open_client(struct world *w, enum door door);
/* The next reply, whole; all its lines. The test fails when none comes. */
struct str hear(struct world *w, struct end *client);
void say(struct end *client, const char *text); /* as it is */
/* Say a line, which gets its CRLF here; the reply must begin so. */
void talk(struct world *w, struct end *client, const char *line, const char *reply);
void expect_reply(struct world *w, struct end *client, const char *reply);
/* The role ends the connection, and has said nothing more. */
void expect_end(struct world *w, struct end *client);

/* Greeting, EHLO, STARTTLS, EHLO: then the client may log in. And logged in as alice. */
void start_tls(struct world *w, struct end *client);
struct end *open_session(struct world *w);
struct end *open_login(struct world *w);
#define RIGHT_PASSWORD "AUTH PLAIN AGFsaWNlAHNlY3JldA=="
#define WRONG_PASSWORD "AUTH PLAIN AGFsaWNlAHdyb25n"

/* MAIL, RCPT and DATA of alice to bob, up to 354; and a small text with its final dot. */
void begin_message(struct world *w, struct end *client);
#define SMALL_TEXT "From: alice@example.org\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

static inline bool holds(struct str text, const char *part)
{
	return str_search(text, str_of(part)) < text.n;
}

#endif
