/* file.c - see file.h. */
#include "posthouse/file.h"

#include <errno.h>
#include <unistd.h>

bool file_write(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		s = str_from(s, (size_t)n);
	}
	return true;
}
