/* shared.c - what all parts of the store use: its answers, and what a thread tells the loop. */
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 1000

#define LITERAL(literal)                                                                                                         \
	{                                                                                                                        \
		(literal), sizeof(literal) - 1                                                                                   \
	}
const struct verdict store_over = {
	.class = TEMP,
	.code = 450,
	.enhanced = { "4.7.1", 5 },
	.text = { "over a limit, try again later", 29 },
};
const struct verdict store_behind = {
	.class = TEMP,
	.code = 451,
	.enhanced = LITERAL("4.3.2"),
	.text = LITERAL("another node changes accounts at the same time, try again"),
};
const struct verdict store_full = {
	.class = TEMP, .code = 452, .enhanced = LITERAL("4.3.1"), .text = LITERAL("no room to store mail, try again later")
};
const struct verdict store_away = {
	.class = TEMP, .code = 451, .enhanced = LITERAL("4.3.0"), .text = LITERAL("queue unavailable, try again later")
};
const struct verdict store_busy = {
	.class = TEMP, .code = 450, .enhanced = LITERAL("4.3.0"), .text = LITERAL("another program has queue.db open")
};
const struct verdict store_unknown = {
	.class = PERM, .code = 550, .enhanced = LITERAL("5.0.0"), .text = LITERAL("no such message")
};

const char *store_repeat_name(enum store_repeat reason)
{
	static const char *const names[] = { "refused", "conflict", "full", "away" };

	return names[reason];
}

struct store_stats writer_stats(const struct writer *w)
{
	struct store_stats stats = { 0 };

	w->engine->stats(w->e, &stats);
	stats.commits = w->commits;
	stats.operations = w->operations;
	stats.commit_time = w->commit_time;
	memcpy(stats.repeated, w->repeated, sizeof stats.repeated);
	stats.file_bytes = w->presence.bytes;
	stats.free_bytes = w->host.space.free_bytes;
	stats.full = w->host.space.full;
	stats.lost = w->presence.lost;
	return stats;
}

void id_array_add(struct id_array *a, uint64_t id)
{
	ARRAY_GROW(a->at, a->n, a->capacity);
	a->at[a->n++] = id;
}

bool store_is_stopping(struct store *st)
{
	bool stop;

	uv_mutex_lock(&st->lock);
	stop = st->stop;
	uv_mutex_unlock(&st->lock);
	return stop;
}

void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason)
{
	struct note *note = NEW(struct note);

	note->level = level;
	note->event = event;
	note->id = id;
	(void)snprintf(note->reason, sizeof(note->reason), "%s", reason);
	uv_mutex_lock(&st->lock);
	if (st->notes_n < NOTES_MAX) {
		list_append(&st->notes, &note->link);
		st->notes_n++;
		note = NULL;
	}
	uv_mutex_unlock(&st->lock);
	free(note);                      /* a flood: the first thousand say it */
	(void)uv_async_send(&st->async); /* fails only while closing, which takes the notes too */
}

void store_note_change(struct store *st, enum log_level level, const char *event, const char *reason)
{
	if (strcmp(st->noted, reason) == 0)
		return;
	(void)snprintf(st->noted, sizeof st->noted, "%s", reason);
	store_note(st, level, event, 0, reason);
}

void store_fail(struct store *st, const char *what, const char *why)
{
	uv_mutex_lock(&st->lock);
	if (st->failure[0] == 0)
		(void)snprintf(st->failure, sizeof(st->failure), "%s: %s", what, why);
	uv_mutex_unlock(&st->lock);
	(void)uv_async_send(&st->async);
}

void host_fail(struct engine_host *host, const char *what, const char *why)
{
	host->failed = true;
	store_fail(host->store, what, why);
}
