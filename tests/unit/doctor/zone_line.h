/* zone_line.h - a line of a table's records: name, type, data. */
#ifndef POSTHOUSE_TEST_DOCTOR_ZONE_LINE_H
#define POSTHOUSE_TEST_DOCTOR_ZONE_LINE_H

#include "doctor.h"

struct line {
	int view; /* -1: all */
	struct str name, type, data;
};

/* The next word of a line, which is taken off its front. */
struct str line_word(struct str *rest);
struct str line_name(struct str name); /* without the final dot */
/* Is the type (as a word) this one of enum dns_type? */
bool line_is(struct str word, unsigned type);
void line_read(struct arena *a, const struct line *l, unsigned type, struct fact_record *r);

#endif
