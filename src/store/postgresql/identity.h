/* identity.h - reads and writes state_dir/node. */
#ifndef POSTGRESQL_IDENTITY_H
#define POSTGRESQL_IDENTITY_H

#include "identity_form.h"

/* Made when there is none. False: errno says why. */
bool identity_read(const char *state_dir, struct identity *out);
bool identity_write(const char *state_dir, const struct identity *i);

#endif
