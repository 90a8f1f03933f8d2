/* queue.c - `posthouse queue VERB`: reads the selector, and asks the relay for the operation. */
#include "queue.h"

#include "posthouse/address.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/store.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

#define AGE_MAX_MS (UINT32_MAX * DAY_MS)

static const struct verb {
	const char *name;
	enum alter operation; /* 0: nothing is changed by this */
	bool wants_selection; /* a selector or --all is required, so that nobody changes all mail by mistake */
	const char *done;
} verbs[] = {
	{ "list", 0, false, NULL },
	{ "show", 0, false, NULL },
	{ "hold", ALTER_HOLD, true, "held" },
	{ "release", ALTER_RELEASE, true, "released" },
	{ "retry", ALTER_RETRY, true, "due now" },
	{ "flush", ALTER_RETRY, false, "due now" },
	{ "remove", ALTER_REMOVE, true, "removed" },
	{ "bounce", ALTER_BOUNCE, true, "returned to the sender" },
	{ "reroute", ALTER_REROUTE, true, "sent another way" },
	{ "body", 0, false, NULL },
	{ "summary", 0, false, NULL },
	{ "export", 0, true, NULL },
	{ "import", 0, false, NULL },
	{ "backup", 0, false, NULL },
};

static uint64_t read_age(const char *text)
{
	uint64_t ms;

	if (!read_duration(str_of(text), AGE_MAX_MS, &ms))
		die(EX_USAGE, "\"%s\" is no age: 90s, 15m, 4h or 5d was expected", text);
	return ms;
}

/* Is the first argument a message? export can have a directory there, import has files, and backup a name. */
static bool names_message(const struct options *o)
{
	uint64_t id;

	if (o->arguments_n == 0 || strcmp(o->verb, "import") == 0 || strcmp(o->verb, "backup") == 0)
		return false;
	return strcmp(o->verb, "export") != 0 || o->arguments_n > 1 || id_parse(str_of(o->arguments[0]), &id) ||
	       strchr(o->arguments[0], '@');
}

static struct selection read_selection(const struct options *o)
{
	const char *older = options_value(o, "older");
	struct selection s = { .user = str_of(options_value(o, "user")),
			       .sender = str_of(options_value(o, "sender")),
			       .recipient = str_of(options_value(o, "recipient")),
			       .destination = str_of(options_value(o, "destination")),
			       .older_than_ms = older ? read_age(older) : 0 };

	if (names_message(o))
		s.named = message_name_read(o->arguments[0]);
	if (names_message(o) && s.named.id == 0 && s.named.message_id.n == 0) /* in a selection 0 means any message */
		die(EX_DATAERR, "there is no such message");
	if (options_given(o, "message-id"))
		s.named.message_id = str_of(options_value(o, "message-id"));
	s.any = s.named.id || s.named.message_id.n || s.older_than_ms || s.user.n || s.sender.n || s.recipient.n ||
		s.destination.n;
	return s;
}

uint64_t *queue_ids(struct session *s, struct arena *a, const struct selection *which, size_t *n_out)
{
	struct msg_queue_page page = { .message_id = which->named.message_id,
				       .user = which->user,
				       .sender = which->sender,
				       .recipient = which->recipient,
				       .destination = which->destination,
				       .older_than_ms = which->older_than_ms };
	uint64_t *ids = NULL;
	size_t capacity = 0;

	*n_out = 0;
	if (which->named.id) {
		ids = ARENA_NEW(a, uint64_t);
		ids[(*n_out)++] = which->named.id;
		return ids;
	}
	do {
		const struct msg_queue_rows *rows = &session_ask(s, MSG_queue_page, &page, MSG_queue_rows)->queue_rows;

		for (size_t i = 0; i < rows->rows.n; i++) {
			if (rows->rows.at[i].open == 0)
				continue;
			ARENA_GROW(a, ids, *n_out, capacity);
			ids[(*n_out)++] = rows->rows.at[i].id;
		}
		page.cursor = rows->cursor;
	} while (page.cursor);
	return ids;
}

static int alter(struct session *s, const struct verb *verb, const struct selection *which, const struct options *o)
{
	const char *reason = options_value(o, "reason"), *via = options_value(o, "via");
	bool json = options_given(o, "json");

	struct msg_queue_alter ask = { .operation = verb->operation,
				       .reason = reason ? str_of(reason) : S("by the administrator"),
				       .id = which->named.id,
				       .message_id = which->named.message_id,
				       .user = which->user,
				       .sender = which->sender,
				       .recipient = which->recipient,
				       .destination = which->destination,
				       .older_than_ms = which->older_than_ms,
				       .via = via && strcmp(via, "default") != 0 ? str_of(via) : S("") };
	uint64_t count = 0, in_flight = 0, ids[MESSAGES_NAMED_MAX];

	do {
		const struct msg_queue_altered *m = &session_ask(s, MSG_queue_alter, &ask, MSG_queue_altered)->queue_altered;

		count += m->count;
		in_flight += m->in_flight;
		ask.cursor = m->cursor;
	} while (ask.cursor);
	if (which->named.id && count == 0) /* dies when there is no such message */
		session_ask(s, MSG_queue_show, &(struct msg_queue_show){ .id = which->named.id }, MSG_queue_shown);
	else if (which->named.message_id.n && count == 0)
		(void)session_messages(s, &which->named, ids);
	if (json)
		json_print_document("changed",
				    json_pack("{s:I, s:I}", "changed", (json_int_t)count, "in_flight", (json_int_t)in_flight));
	else
		printf("%llu message%s %s\n", (unsigned long long)count, count == 1 ? "" : "s", verb->done);
	if (in_flight && !json)
		printf("%llu recipients are being delivered to at this moment; what cannot be called back any more completes\n",
		       (unsigned long long)in_flight);
	return EX_OK;
}

/* The one message of that name. */
static uint64_t only_one(struct session *s, const struct message_name *m)
{
	uint64_t ids[MESSAGES_NAMED_MAX];

	if (m->id)
		return m->id;
	if (session_messages(s, m, ids) > 1)
		die(EX_DATAERR, "several messages have this Message-ID: `posthouse queue list` and `find` show their ids");
	return ids[0];
}

static int run(struct session *s, const struct verb *verb, const struct selection *which, const struct options *o)
{
	bool json = options_given(o, "json");

	if (verb->operation)
		return alter(s, verb, which, o);
	if (strcmp(verb->name, "show") == 0)
		return queue_show(s, &which->named, json);
	if (strcmp(verb->name, "body") == 0)
		return queue_body(s, only_one(s, &which->named));
	if (strcmp(verb->name, "summary") == 0)
		return queue_summary(s, json);
	if (strcmp(verb->name, "export") == 0)
		return queue_export(s, which, o->arguments_n > names_message(o) ? o->arguments[o->arguments_n - 1] : NULL, json);
	if (strcmp(verb->name, "import") == 0)
		return queue_import(s, o->arguments, o->arguments_n, json);
	if (strcmp(verb->name, "backup") == 0)
		return queue_backup(s, o->arguments_n > 0 ? o->arguments[0] : NULL, json);
	return queue_list(s, which, json);
}

int command_queue(const struct options *o, const char *config_path)
{
	bool all = options_given(o, "all");
	const struct verb *verb = verbs;
	struct selection which = read_selection(o);
	struct session s;
	int code;

	while (strcmp(o->verb, verb->name) != 0)
		verb++;
	if (verb->wants_selection && !which.any && !all)
		die(EX_USAGE,
		    "queue %s: which? An id, --message-id, --user, --sender, --recipient, --destination, --older, or --all",
		    verb->name);
	if (which.any && all)
		die(EX_USAGE, "queue %s: a selection or --all, not both", verb->name);
	if (verb->operation == ALTER_REROUTE && !options_given(o, "via"))
		die(EX_USAGE, "queue reroute: --via UPSTREAM, mx or default is missing");
	session_open(&s, config_path);
	which.user = session_login(&s, which.user);
	which.sender = address_with_canonical_domain(&s.arena, which.sender);
	which.recipient = address_with_canonical_domain(&s.arena, which.recipient);
	which.destination = domain_canonical(&s.arena, which.destination);
	code = run(&s, verb, &which, o);
	session_close(&s);
	return code;
}
