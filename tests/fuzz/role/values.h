/* values.h - what a field of a message can hold: something that the other roles say, something odd, or what the role under test
 * has said itself in a field of that name. */
#ifndef POSTHOUSE_FUZZ_VALUES_H
#define POSTHOUSE_FUZZ_VALUES_H

#include "shapes.h"

struct dice {
	uint64_t state;
};
uint64_t roll(struct dice *d, uint64_t n); /* 0 to n - 1; n > 0 */

/* A number or text like those that roles send in a field of this name; or an odd one. */
void value_good(struct token *t);
void value_random(struct token *t, struct dice *d, struct arena *a);

/* A message of this type with such values. `good`: all are good, and lists have one record. */
void message_make(struct message *m, unsigned type, bool good, struct dice *d, struct arena *a);

/* References: numbers and texts that stand for the latest of a name that the role has said. */
void recent_note(const struct message *m);
void recent_forget(void);
void recent_resolve(struct message *m, struct arena *a);

#endif
