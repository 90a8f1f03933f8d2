/* proxy.h - a thread between the store and the server, which ends connections where a test wants it. */
#ifndef POSTGRESQL_PROXY_H
#define POSTGRESQL_PROXY_H

#include <stdbool.h>
#include <stddef.h>

/* Listen in a directory below the server's: the words to connect to this database through it. */
const char *proxy_start(const char *server_directory, const char *name);
void proxy_stop(void);

/* Each connection that is open now ends after so many further bytes, of both ways; 0: none does. */
void proxy_cut_after(size_t bytes);
/* Each connection that is open now ends instead of passing on so manyeth an answer of the server to a statement; 0: none does. */
void proxy_cut_before_answer(size_t answer);
/* The same for the next connection alone. */
void proxy_cut_next_before_answer(size_t answer);
/* Has one ended since? */
bool proxy_has_cut(void);

#endif
