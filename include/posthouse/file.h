/* file.h - reading and writing wholly, or knowing why not, and files that are whole whatever happens. */
#ifndef POSTHOUSE_FILE_H
#define POSTHOUSE_FILE_H

#include "posthouse/str.h"

#include <stdbool.h>
#include <sys/types.h>

/* Write all of `s`, in as many calls as that takes; a signal does not end it. False: errno says why (EIO where a call wrote
 * nothing and had no error), and some of `s` can have been written. */
bool file_write(int fd, struct str s);

/* Read `n` bytes from `at`, in as many calls as that takes. How many there are: fewer where the file ends. -1: errno says why. */
ssize_t file_read_at(int fd, char *to, size_t n, uint64_t at);

/* A file that gets its name when it is whole and on the disk: after a kill or a power failure there is the old one or the new
 * one. `aside` and `name` are in `directory`, a descriptor, or are paths when that is AT_FDCWD; both are in one directory.
 *
 * _begin makes the new file under the name `aside`, where what is left of another is removed; the caller can change its owner by
 * the descriptor. -1: errno says why. _end takes `fd` (-1: there is no file) and gives it the name when it is `written`; if it is
 * not, errno says why, and `aside` is removed. file_put is both, with the text. 0, or an errno; only the sync of the directory
 * can fail when the file has its name already. */
int file_put_begin(int directory, const char *aside, mode_t mode);
int file_put_end(int directory, const char *aside, const char *name, int fd, bool written);
int file_put(int directory, const char *aside, const char *name, mode_t mode, struct str text);

#endif
