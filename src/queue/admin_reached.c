/* admin_reached.c - which servers of others have answered deliveries that went to them directly. doctor then need not connect to
 * strangers to learn whether their port can be reached. */
#include "admin.h"

#include "posthouse/clock.h"
#include "posthouse/meaning.h"
#include "posthouse/units.h"

#define PAGES_MAX 10

struct reached {
	struct str port;        /* "]:25" */
	struct str families[2]; /* by IPv4, and by IPv6: "mx.example.net [192.0.2.1]:25"; "": not found */
	uint64_t since;
	unsigned pages;
};

/* Did a server say this? Relay's own words about a connection that failed have none of these meanings. */
static bool is_answer(const struct found_recipient *f)
{
	static const enum trouble said[] = { TROUBLE_MAILBOX, TROUBLE_FULL,           TROUBLE_CONTENT, TROUBLE_REPUTATION,
					     TROUBLE_RATE,    TROUBLE_AUTHENTICATION, TROUBLE_QUOTA,   TROUBLE_GREYLIST };

	for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
		if (meaning_trouble(f->meaning) == said[i])
			return true;
	return f->recipient.state == RCPT_DELIVERED || f->recipient.state == RCPT_RELAYED;
}

static void use_row(struct admin_call *c, struct reached *r, const struct found_recipient *f)
{
	struct str remote = f->recipient.remote, address = str_from(remote, str_rfind(remote, '['));
	struct str *to = &r->families[str_search(address, r->port) > str_find(address, ':')];

	if (to->n == 0 && f->recipient.last_at >= r->since && str_starts(f->recipient.route, S("mx:")) &&
	    str_ends(remote, r->port) && is_answer(f))
		*to = arena_str(&c->arena, admin_cut(remote));
}

static void answer(struct admin_call *c, struct verdict v)
{
	const struct reached *r = c->job;

	ipc_send_reached_are(
		c->channel,
		&(struct msg_reached_are){ .call = c->call, .verdict = v, .v4 = r->families[0], .v6 = r->families[1] }, -1);
	admin_end(c);
}

static void on_found(void *ctx, struct verdict v, const struct found_recipient *rows, size_t n, const struct find_place *next)
{
	struct admin_call *c = ctx;
	struct reached *r = c->job;

	for (size_t i = 0; v.class == OK && i < n; i++)
		use_row(c, r, &rows[i]);
	if (v.class != OK || next->phase == 0 || (r->families[0].n > 0 && r->families[1].n > 0) || ++r->pages == PAGES_MAX ||
	    !queue_may_store(c->queue)) {
		answer(c, v);
		return;
	}
	c->place = *next;
	store_find(c->queue->store, &c->find, &c->place, c->max, on_found, c);
}

/* What was accepted earlier and tried again since is not looked for: that is one message among many. */
void handle_reached(void *ctx, struct channel *ch, const struct msg_reached *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct reached *r = ARENA_NEW(&c->arena, struct reached);
	uint64_t now = clock_now_ms();

	c->job = r;
	r->port = arena_printf(&c->arena, "]:%u", (unsigned)m->port);
	r->since = now > DAY_MS ? now - DAY_MS : 0;
	c->find.since = now > 2 * DAY_MS ? now - 2 * DAY_MS : 1;
	if (c->refusal.class == OK)
		store_find(c->queue->store, &c->find, &c->place, c->max, on_found, c);
	else
		answer(c, c->refusal);
}
