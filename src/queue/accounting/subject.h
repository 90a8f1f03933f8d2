/* subject.h - what a limit, a ban or a breaker belongs to, and the text by which the store knows it. Only these functions write
 * the texts of keys, and read them. */
#ifndef QUEUE_SUBJECT_H
#define QUEUE_SUBJECT_H

#include "posthouse/arena.h"

enum subject {
	SUBJECT_USER,     /* "user:alice@example.org": what a login sends */
	SUBJECT_DEVICE,   /* "device:alice@example.org/phone": the same of one of its devices */
	SUBJECT_UPSTREAM, /* "upstream:isp": what an upstream is sent */
	SUBJECT_NETWORK,  /* "net:192.0.2.1": failed logins from a client network */
	SUBJECT_LOGIN,    /* "login:alice@example.org", "login:alice@example.org/phone": failed logins by a name, known or not */
	SUBJECT_TURN,     /* "at:alice@example.org/phone 192.0.2.1", "at: 192.0.2.1": attempts from one network, in turns */
	SUBJECT_BREAKER,  /* "breaker:alice@example.org" */
};

/* Does the key belong to such a subject? / The name in the key: what follows the subject's word. */
bool subject_is(struct str key, enum subject s);
struct str subject_name(struct str key);

/* Names are brought to lower case. Networks, and logins that were tried, are chosen by clients: they are cut to a bounded length.
 * An empty device stands for none. */
struct str user_key(struct arena *a, struct str login);
struct str device_key(struct arena *a, struct str login, struct str device);
struct str network_key(struct arena *a, struct str network);
struct str login_key(struct arena *a, struct str login); /* without a device that `login` names */
struct str password_key(struct arena *a, struct str login, struct str device);
struct str turn_key(struct arena *a, struct str login, struct str device, struct str network);
struct str breaker_key(struct arena *a, struct str login);

/* The text with which the keys of all device passwords of a login begin; the same of the turns of its devices. */
struct str password_keys(struct arena *a, struct str login);
struct str device_turn_keys(struct arena *a, struct str login);

#endif
