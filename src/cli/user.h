/* user.h - what `user` and `init` share. */
#ifndef POSTHOUSE_CLI_USER_H
#define POSTHOUSE_CLI_USER_H

#include "posthouse/secret.h"

struct passwd;

/* The first line of standard input, without its end. False: there is none, or it is longer than a password may be. */
bool read_password_line(struct secret *password_out);

/* Become this user for good; false: errno says why. */
bool become_user(const struct passwd *user);

#endif
