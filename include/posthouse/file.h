/* file.h - writing wholly, or knowing why not. */
#ifndef POSTHOUSE_FILE_H
#define POSTHOUSE_FILE_H

#include "posthouse/str.h"

#include <stdbool.h>

/* Write all of `s`, in as many calls as that takes; a signal does not end it. False: errno says why (EIO where a call wrote nothing
 * and had no error), and some of `s` can have been written. */
bool file_write(int fd, struct str s);

#endif
