/* json.h - the members of a JSON object (RFC 8259), for roles that parse nothing from outside. */
#ifndef FETCH_JSON_H
#define FETCH_JSON_H

#include "posthouse/ipc.h"

enum { JSON_MEMBERS_MAX = 64, JSON_VALUE_MAX = 16 * 1024, JSON_NAME_MAX = 256 };

/* The text while its members are in use. Its memory is wiped when it is given back: values can be tokens. */
struct json {
	void *document;
	struct arena arena;
	struct rec_json_field *fields;
	size_t n;
};

/* Read the members with one value: strings as they are, numbers and booleans as text; not null, arrays and objects, and not
 * those beyond the limits. No members when the text is no object, or has a name twice. End it with json_fini(). */
void json_read(struct json *j, struct str text);
void json_fini(struct json *j);

/* Once, before the first text: jansson's memory is wiped when it is freed. */
void json_start(void);

#endif
