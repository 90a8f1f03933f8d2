/* server_words.h - the words of a reply that the server itself has chosen: without addresses, quotations, names of files and
 * hosts, and reports of another server's reply. Only these words decide what a reply means, because a sender can choose the
 * others. */
#ifndef RELAY_SERVER_WORDS_H
#define RELAY_SERVER_WORDS_H

#include "posthouse/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { SERVER_WORDS_MAX = 2048 }; /* bytes of a text that are read */

/* The words in lower case, with one blank before and after each word. Every byte except letters and digits counts as a blank,
 * also an apostrophe ("isn t"). */
struct str server_words(struct str text, char to[SERVER_WORDS_MAX]);

/* Do the words fit an expression of replies.def? */
bool server_words_fit(struct str words, const char *expression);

/* The time that the server asks the client to wait ("for 60 seconds", "in 5 minutes", "in 00:05:00"), in ms; 0: none. */
uint64_t server_words_wait_ms(struct str words);

#endif
