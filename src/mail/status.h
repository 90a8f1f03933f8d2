/* status.h - what an answer of a mail server means: its status code, and words for a person. */
#ifndef POSTHOUSE_MAIL_STATUS_H
#define POSTHOUSE_MAIL_STATUS_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

/* The RFC 3463 status of a verdict; "5.0.0" or "4.0.0" when it has none that is well-formed. */
struct str status_code(const struct verdict *v);

/* A sentence or two that say what it means and what to do. */
struct str status_words(const struct verdict *v);

#endif
