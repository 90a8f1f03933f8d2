/* exposition.h - numbers as Prometheus and others read them: OpenMetrics 1.0, or the text format 0.0.4 of before. Pure
 * functions. */
#ifndef POSTHOUSE_WEB_EXPOSITION_H
#define POSTHOUSE_WEB_EXPOSITION_H

#include "posthouse/buf.h"
#include "posthouse/health.h"

enum exposition { EXPOSITION_PROMETHEUS, EXPOSITION_OPENMETRICS };

/* Which of the two does the value of an Accept field want (RFC 9110 12.5.1)? "": the older one. */
enum exposition exposition_wanted(struct str accept);

/* The value of Content-Type. */
const char *exposition_type(enum exposition form);

/* All numbers that the roles have told, metric by metric. False: they do not fit in `b`. */
bool exposition_write(struct buf *b, enum exposition form, const struct role_told *roles, size_t n);

#endif
