/* client.h - what to enter in a mail client, a device or a program. */
#ifndef POSTHOUSE_CLI_CLIENT_H
#define POSTHOUSE_CLI_CLIENT_H

#include "posthouse/arena.h"

/* The values of this relay. */
struct client_values {
	struct str program; /* "posthouse", with the option for this configuration */
	struct str config;  /* its path */
	struct str host, login;
	struct str secure, starttls; /* ports; "": there is no such listener */
	struct str ca;               /* the certificate, when it is self-signed; "": it is not */
};

struct client_row;
/* By its name or another name of it. NULL: there is none. */
const struct client_row *client_find(struct str name);
/* All names, with what they are for, to standard output. */
void client_list(void);
/* "thunderbird outlook …" */
struct str client_names(struct arena *a);
/* The whole text for people. */
void client_print(struct arena *a, const struct client_row *row, const struct client_values *v);

#endif
