/* array.h - values as an array in the binary form of the protocol: the parameter of a statement that does many rows at once. */
#ifndef POSTGRESQL_ARRAY_H
#define POSTGRESQL_ARRAY_H

#include "db.h"

/* Starts as { 0 }. */
struct array {
	char *p; /* behind room for the header */
	size_t bytes, capacity, n;
	bool nulls;
};

/* The types of all its values: 'i' (int8), 't' (text), 'b' (bytea). */
void array_add(struct array *c, char type, const struct db_value *v);
void array_add_number(struct array *c, uint64_t v);

/* As a parameter; valid until the array is changed. */
struct db_value array_value(struct array *c, char type);

void array_clear(struct array *c); /* keeps the memory */
void array_fini(struct array *c);

#endif
