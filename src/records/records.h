/* records.h - what the files of this room share. */
#ifndef POSTHOUSE_RECORDS_RECORDS_H
#define POSTHOUSE_RECORDS_RECORDS_H

#include "posthouse/records.h"

/* A text as strings of 255 bytes at most, each in its quotes; at least one. */
struct str_list dns_strings(struct arena *a, struct str text);

#endif
