/* shapes.h - messages.def as data: which fields a message has. A datagram is read into tokens, which a mutator can change one by
 * one, and written again. What is added to messages.def is known here by itself. */
#ifndef POSTHOUSE_FUZZ_SHAPES_H
#define POSTHOUSE_FUZZ_SHAPES_H

#include "posthouse/ipc.h"
#include "table.h"

enum token_kind { TOKEN_u64, TOKEN_CLASS, TOKEN_str, TOKEN_COUNT };

struct field {
	enum token_kind kind;
	const char *name;
	unsigned seen;              /* bits of the roles that get it */
	const struct field *record; /* of a list; ends with a row without a name */
};

extern const struct field *const shapes[MSG_COUNT]; /* each ends with a row without a name */

#define TOKENS_MAX 4096

/* A number (TOKEN_CLASS: class and code of a verdict; TOKEN_COUNT: the records that follow) or a text. */
struct token {
	const struct field *field;
	uint64_t number;
	struct str text;
};

struct message {
	unsigned type;
	uint64_t call;
	struct token at[TOKENS_MAX];
	size_t n;
};

size_t record_tokens(const struct field *list); /* of one record */

/* False: the datagram is not one of messages.def. The texts are views of it. */
bool message_read(struct message *m, struct str datagram);
void message_write(const struct message *m, struct buf *b);

#endif
