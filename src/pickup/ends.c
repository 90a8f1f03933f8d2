/* ends.c - how the turn of a file ends: it is over for ever, or there is another turn. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AGAIN_MS     (30 * 1000)      /* after the first failure, … */
#define AGAIN_MAX_MS (15 * MINUTE_MS) /* … and at most */

static void end_turn(struct file *f)
{
	struct pickup *p = f->pickup;

	reading_close(&f->reading);
	f->running = false;
	p->running--;
	role_busy(p->role, -1);
}

void end_forget(struct file *f)
{
	struct pickup *p = f->pickup;

	end_turn(f);
	list_remove(&f->link);
	p->files_n--;
	free(f);
	p->turn_over(p);
}

void end_put_off(struct file *f, struct str reason)
{
	struct pickup *p = f->pickup;
	uint64_t pause = AGAIN_MS;

	for (unsigned i = 0; i < f->attempts && pause < AGAIN_MAX_MS; i++)
		pause *= 2;
	pause = pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS;
	f->attempts++;
	f->due_at = clock_mono_ms() + pause;
	log_warning(&(struct log){ .message = f->t.id }, "pickup.delayed", kv("uid", f->t.uid), kv("reason", reason),
		    kv("due_in_ms", pause));
	end_turn(f);
	p->turn_over(p);
}

void end_again(struct file *f)
{
	struct pickup *p = f->pickup;

	f->attempts = 0;
	f->due_at = 0;
	f->unsure = false;
	end_turn(f);
	p->turn_over(p);
}

static void end_failed(struct file *f, const char *path)
{
	struct str reason = str_of(strerror(errno));

	log_error(&(struct log){ .message = f->t.id }, "pickup.failed", kv("path", path), kv("reason", reason));
	end_put_off(f, reason);
}

void end_remove(struct file *f)
{
	f->end = TO_REMOVE;
	if (unlink(f->path) == 0 || errno == ENOENT)
		end_forget(f);
	else
		end_failed(f, f->path);
}

void end_hold(struct file *f)
{
	f->end = TO_HOLD;
	if (rename(f->path, held_path(&f->reading.arena, f->pickup->path, &f->t)) == 0 || errno == ENOENT)
		end_forget(f);
	else
		end_failed(f, f->path);
}

void end_stored(struct file *f)
{
	f->pickup->handed_over++;
	log_debug(&(struct log){ .message = f->t.id }, "pickup.done", kv("uid", f->t.uid));
	if (f->reading.after == 0)
		end_remove(f);
	else if (part_next(f))
		end_again(f);
	else
		end_failed(f, f->path); /* the next turn finds that the queue has this part */
}

void end_keep(struct file *f)
{
	f->pickup->refused++;
	if (f->reading.after > 0)
		end_stored(f);
	else
		end_hold(f);
}
