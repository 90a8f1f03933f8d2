/* cyrus.h - Cyrus SASL, privately configured: no file of /etc/sasl2 is read, only the plug-ins for PLAIN, SCRAM and the back-end are
 * loaded, and verifiers come from the directory through a plug-in within this process. Nothing here touches the loop: the calls block
 * for the time of a password hash, or for as long as the back-end likes, and may be made from any thread, one at a time for each
 * conversation. */
#ifndef POSTHOUSE_LOGIN_CYRUS_H
#define POSTHOUSE_LOGIN_CYRUS_H

#include "directory.h"
#include "posthouse/config.h"

/* Once per process, with the back-end and its options. OK; PERM: the configuration asks for what is not there; TEMP with Cyrus' own
 * words. Valid until the next such call, or one of cyrus_can(). */
struct verdict cyrus_start(struct directory *d, const struct cfg_auth *auth);
void cyrus_stop(void);

/* Are all mechanisms there (LOGIN is our own), and can the back-end do them? PERM names what is wrong. */
struct verdict cyrus_can(const struct cfg_auth *auth);

/* One login. */
struct conversation_config {
	const char *service;  /* "smtp" */
	const char *hostname; /* ours, for Cyrus; no resolver is asked */
	struct str realm;     /* for logins without @ */
	unsigned tls_bits;
	struct str exporter,
		end_point;   /* channel bindings of the connection: tls-exporter (RFC 9266), tls-server-end-point (RFC 5929) */
	bool offers_binding; /* the client was offered SCRAM-SHA-256-PLUS */
};

struct conversation;

/* Copies what it needs; NULL: Cyrus could not. */
struct conversation *conversation_new(struct directory *d, const struct conversation_config *config);
void conversation_free(struct conversation *c);

/* What a step came to. The views live in the conversation until its next step.
 * OK 334: send `challenge` and step with the answer. OK 235: it is `name`, by `device`; a `challenge` then
 * holds the mechanism's last words (SCRAM's server-final), to be said before the 235 when nothing else speaks against the login. PERM 535 5.7.8: no, for whatever reason; they are
 * who was tried, "" when that could not be read. PERM 501 5.5.2: not what the mechanism says. PERM 504 5.5.4: no such mechanism. TEMP 454
 * 4.7.0: a fault of ours, see `fault`. */
struct conversation_result {
	struct verdict verdict;
	struct str challenge;
	struct str name, device;
	struct str fault;    /* for the log, never for the client; empty: none */
	struct str misbound; /* for the log too: what is wrong with the channel binding; empty: nothing */
};

/* `initial.p` NULL: the client sent no initial response. */
struct conversation_result conversation_start(struct conversation *c, const char *mechanism, struct str initial);
struct conversation_result conversation_step(struct conversation *c, struct str response);

/* For LOGIN, whose dialogue is ours: a name as the client gave it, and a password. */
struct conversation_result conversation_check(struct conversation *c, struct str user, struct str password);

#endif
