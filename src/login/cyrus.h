/* cyrus.h - Cyrus SASL, privately configured: no file of /etc/sasl2 is read, only the plug-ins for PLAIN, SCRAM and the back-end
 * are loaded, and verifiers come from the account file through a plug-in of this program (plugin.c). Nothing here uses the loop:
 * the calls block for the time of a password hash, or as long as the back-end needs. Any thread can make them, one at a time for
 * each conversation. */
#ifndef POSTHOUSE_LOGIN_CYRUS_H
#define POSTHOUSE_LOGIN_CYRUS_H

#include "directory.h"
#include "posthouse/config.h"

/* Once per process, with the back-end and its options. PERM: something that the configuration requires is missing. TEMP: Cyrus
 * has failed, with its own words. The text is valid until the next call, or the next of cyrus_can(). */
struct verdict cyrus_start(struct directory *d, const struct cfg_auth *auth);
void cyrus_stop(void);

/* Are all mechanisms available (LOGIN needs no plug-in), and can the back-end do them? PERM: the text names the first problem. */
struct verdict cyrus_can(const struct cfg_auth *auth);

/* One login. */
struct conversation_config {
	const char *service;  /* "smtp" */
	const char *hostname; /* of this relay; Cyrus asks no resolver for it */
	struct str realm;     /* for logins without @ */
	unsigned tls_bits;
	struct str exporter,
		end_point;   /* channel bindings of the connection: tls-exporter (RFC 9266), tls-server-end-point (RFC 5929) */
	bool offers_binding; /* the client was offered SCRAM-SHA-256-PLUS */
};

struct conversation;

/* The texts of `config` stay valid as long as the conversation. NULL: Cyrus has failed. */
struct conversation *conversation_new(struct directory *d, const struct conversation_config *config);
void conversation_free(struct conversation *c);

/* The result of a step. Its views live in the conversation until the next step. OK 334: send `challenge`, and make a step with
 * the answer. OK 235: the user is `name`, with the password of `device`; a `challenge` is the last message of the mechanism
 * (SCRAM's server-final), to be sent before the 235 when the login is allowed. PERM 535 5.7.8: refused, for any reason; `name`
 * and `device` were tried ("" when they could not be read). PERM 501 5.5.2: a malformed response. PERM 504 5.5.4: no such
 * mechanism. TEMP 454 4.7.0: a fault on this side, see `fault`. */
struct conversation_result {
	struct verdict verdict;
	struct str challenge;
	struct str name, device;
	struct str fault;    /* for the log, never for the client; empty: there is none */
	struct str misbound; /* for the log: the problem with the channel binding; empty: there is none */
};

/* `initial.p` NULL: the client sent no initial response. */
struct conversation_result conversation_start(struct conversation *c, const char *mechanism, struct str initial);
struct conversation_result conversation_step(struct conversation *c, struct str response);

/* For LOGIN, whose dialogue is in exchange_step.c: checks a name as the client sent it, and a password. */
struct conversation_result conversation_check(struct conversation *c, struct str user, struct str password);

#endif
