/* refusals.c - clients that were not served: a flood of connections must not flood the log. */
#include "submission.h"

#include "posthouse/units.h"

#include <stdio.h>

/* Log the counts since the first lines, and begin again. */
static void on_minute(uv_timer_t *timer)
{
	struct submission *sub = timer->data;
	struct refusals *r = &sub->refusals;

	for (size_t i = 0; i < r->n; i++)
		if (r->of[i].more > 0)
			log_warning(NULL, "session.refused", kv("client", r->of[i].client), kv("more", r->of[i].more));
	if (r->others > 0)
		log_warning(NULL, "session.refused", kv("client", "others"), kv("more", r->others));
	r->n = 0;
	r->others = 0;
}

void refusals_init(struct submission *sub)
{
	uv_timer_init(sub->loop, &sub->refusals.minute);
	uv_unref((uv_handle_t *)&sub->refusals.minute);
	sub->refusals.minute.data = sub;
}

void refusals_note(struct submission *sub, struct str client, struct str reason)
{
	struct refusals *r = &sub->refusals;

	sub->sessions_refused++;
	for (size_t i = 0; i < r->n; i++) {
		if (str_eq(str_of(r->of[i].client), client)) {
			r->of[i].more++;
			return;
		}
	}
	if (r->n == REFUSALS_MAX) {
		r->others++;
		return;
	}
	if (r->n == 0)
		uv_timer_start(&r->minute, on_minute, MINUTE_MS, 0);
	snprintf(r->of[r->n].client, sizeof(r->of[0].client), "%.*s", STR_ARG(client));
	r->of[r->n++].more = 0;
	log_warning(NULL, "session.refused", kv("client", client), kv("reason", reason));
}
