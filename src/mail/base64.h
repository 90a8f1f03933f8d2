/* base64.h - the digits of base64, for who has room of its own. */
#ifndef POSTHOUSE_MAIL_BASE64_H
#define POSTHOUSE_MAIL_BASE64_H

#include "posthouse/str.h"

/* Write `bytes` with padding; 4 bytes for each begun 3. Returns how many. */
size_t base64_write(char *out, struct str bytes);

#endif
