/* server_words.h - what of a reply's text is the server's own: no addresses, quotations, file and host names, nor what some
 * other server said. Only such words may tell what a reply means, because the rest is of somebody's choice. */
#ifndef RELAY_SERVER_WORDS_H
#define RELAY_SERVER_WORDS_H

#include "posthouse/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { SERVER_WORDS_MAX = 2048 }; /* of a text, as much as is looked at */

/* The words in lower case with single blanks between them, before the first and after the last; anything but letters and digits
 * is a blank, and an apostrophe too ("isn t"). */
struct str server_words(struct str text, char to[SERVER_WORDS_MAX]);

/* Do the words fit an expression of replies.def? */
bool server_words_fit(struct str words, const char *expression);

/* The time that the server asks to wait ("for 60 seconds", "in 5 minutes", "in 00:05:00"), in ms; 0: none is named. */
uint64_t server_words_wait_ms(struct str words);

#endif
