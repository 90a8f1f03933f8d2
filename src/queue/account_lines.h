/* account_lines.h - changes of accounts as login brings them: lines in a file. */
#ifndef QUEUE_ACCOUNT_LINES_H
#define QUEUE_ACCOUNT_LINES_H

#include "posthouse/store_nodes.h"

struct account_lines {
	char *bytes; /* of the file */
	size_t bytes_n;
	struct store_account *rows; /* views of it */
	size_t rows_n;
};

/* Lines of an account file are put, lines "name device" removed. PERM: the file cannot be read, or has another line. Freed in
 * both cases; reading can take long. */
struct verdict account_lines_read(int fd, struct account_lines *out);
void account_lines_free(struct account_lines *l);

#endif
