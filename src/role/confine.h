/* confine.h - the walls around a role: what it gives up before it talks to anybody, and what it knows of that afterwards. */
#ifndef POSTHOUSE_CONFINE_H
#define POSTHOUSE_CONFINE_H

#include "posthouse/config.h"
#include "posthouse/figures.h"

/* After start-up of libraries, before the first thread. What the kernel or a container does not know is left out. Nothing happens
 * with sandbox = "off". */
void confine(enum role_id role, const struct config *c);

/* Has the role with this configuration outgrown its walls, or was a file replaced that they leave to it? Then words that say what
 * is missing; else "". */
struct str confine_lack(struct arena *a, const struct config *c);
struct str confine_moved(struct arena *a);

/* The walls that hold, as rows of metrics.def. */
void confine_figures(struct figures *f);

#endif
