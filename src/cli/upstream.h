/* upstream.h - what the parts of `posthouse upstream` share. */
#ifndef POSTHOUSE_CLI_UPSTREAM_H
#define POSTHOUSE_CLI_UPSTREAM_H

#include "cli.h"

/* Each returns the exit code. */
int upstream_list(struct session *s, const struct config *c, bool json);
int upstream_test(struct session *s, const char *name, const char *sender, bool json); /* sender NULL: none is tried */
int upstream_profiles(bool json);
int upstream_login(struct session *s, const char *name, unsigned port);

#endif
