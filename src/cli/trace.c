/* trace.c - `posthouse trace ID`: everything that happened to one message. */
#include "trace.h"
#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { INDENT = 14, WIDTH = 80 };

/* What is printed, and how much of it there was. */
struct tracing {
	struct traced message;
	bool json, raw, dialogue;
	bool began;
	size_t documents;
	uint64_t day; /* of the last line: days since 1970, local */
};

/* ---- the message ---- */

static void read_message(struct session *s, struct traced *t)
{
	struct msg_queue_show ask = { .id = t->id };
	struct arena *a = &t->arena;
	size_t capacity = 0;

	do {
		const struct msg_queue_shown *m = &session_ask(s, MSG_queue_show, &ask, MSG_queue_shown)->queue_shown;

		t->subject = arena_str(a, m->subject);
		t->message_id = arena_str(a, m->message_id);
		t->login = arena_str(a, m->login);
		t->device = arena_str(a, m->device);
		t->prefix = arena_str(a, m->prefix);
		t->size = m->size;
		t->parent = m->parent;
		t->kind = m->kind;
		for (size_t i = 0; i < m->rows.n; i++) {
			ARRAY_GROW(t->addresses, t->addresses_n, capacity);
			t->addresses[t->addresses_n++] = arena_str(a, m->rows.at[i].address);
		}
		ask.cursor = m->cursor;
		arena_reset(&s->arena);
	} while (ask.cursor);
}

static struct str address_of(const struct traced *t, uint64_t n)
{
	return n > 0 && n <= t->addresses_n ? t->addresses[n - 1] : S("");
}

/* null: the message as a whole. */
static json_t *address_json(const struct traced *t, uint64_t n)
{
	struct str address = address_of(t, n);

	return address.n ? json_text(address) : json_null();
}

/* ---- lines for people ---- */

/* Text behind an indent that is printed already: lines of at most 80 columns, also where it has line ends. */
static void print_wrapped(struct arena *a, struct str text)
{
	struct str line, rest = text;
	bool first = true;

	while (str_split(&rest, '\n', &line)) {
		line = utf8_shown(a, str_trim(line));
		do {
			struct str part = words_head(line, WIDTH - INDENT);

			printf("%*s%.*s\n", first ? 0 : INDENT, "", STR_ARG(part));
			first = false;
			line = str_trim(str_from(line, part.n));
		} while (line.n > 0);
	}
}

static void print_at(struct tracing *t, struct arena *a, uint64_t at, struct str words)
{
	struct tm tm = format_tm(at);
	uint64_t day = (uint64_t)tm.tm_year * 366 + (uint64_t)tm.tm_yday;
	char text[32];

	if (day != t->day) {
		(void)strftime(text, sizeof text, "%Y-%m-%d", &tm);
		printf("%s\n", text);
	}
	t->day = day;
	(void)strftime(text, sizeof text, "%H:%M:%S", &tm);
	printf("%s.%03u  ", text, (unsigned)(at % 1000));
	print_wrapped(a, words);
}

static struct str size_text(struct arena *a, uint64_t bytes)
{
	if (bytes < 10000)
		return arena_printf(a, "%llu bytes", (unsigned long long)bytes);
	if (bytes < 10000000)
		return arena_printf(a, "%llu KB", (unsigned long long)(bytes + 500) / 1000);
	return arena_printf(a, "%llu MB", (unsigned long long)(bytes + 500000) / 1000000);
}

/* One line where there is room, else one more for the Message-ID; what is too long for its line is cut. */
static void print_head(struct tracing *t, struct arena *a)
{
	const struct traced *m = &t->message;
	struct tm today = format_tm(clock_now_ms());
	unsigned width = terminal_width() > WIDTH ? terminal_width() : WIDTH;
	char id[ID_TEXT_MAX];
	struct str before = arena_printf(a, "Message %s \"", id_format(m->id, id));
	struct str after = arena_printf(a, "\", %.*s", STR_ARG(size_text(a, m->size))), subject = utf8_shown(a, m->subject);
	struct str message_id =
		m->message_id.n ? arena_printf(a, "Message-ID %.*s", STR_ARG(utf8_shown(a, m->message_id))) : S("");
	struct str whole;

	t->day = (uint64_t)today.tm_year * 366 + (uint64_t)today.tm_yday; /* no date for what happened today */
	subject = text_fit(a, subject, width - (unsigned)(before.n + after.n));
	whole = arena_printf(a, "%.*s%.*s%.*s%s%.*s", STR_ARG(before), STR_ARG(subject), STR_ARG(after), message_id.n ? ", " : "",
			     STR_ARG(message_id));
	if (str_eq(text_fit(a, whole, width), whole))
		printf("%.*s\n", STR_ARG(whole));
	else
		printf("%.*s%.*s%.*s\n  %.*s\n", STR_ARG(before), STR_ARG(subject), STR_ARG(after),
		       STR_ARG(text_fit(a, message_id, width - 2)));
}

/* ---- events ---- */

static void print_raw(struct tracing *t, struct arena *a, const struct rec_event_row *e)
{
	struct str to = address_of(&t->message, e->n);

	printf("%.*s  %.*s%s%.*s %.*s\n", STR_ARG(time_text(a, e->at)), STR_ARG(e->name), to.n ? " to=" : "",
	       STR_ARG(utf8_shown(a, to)), STR_ARG(utf8_shown(a, e->fields)));
}

static void print_event_json(struct tracing *t, struct arena *a, const struct rec_event_row *e)
{
	struct event_fields fields = event_fields_read(a, e->fields);
	char id[ID_TEXT_MAX];

	json_print_document("event", json_pack("{s:s, s:o, s:o, s:o, s:o}", "id", id_format(t->message.id, id), "at",
					       json_time(e->at), "event", json_text(e->name), "recipient",
					       address_json(&t->message, e->n), "fields", event_fields_json(&fields)));
	t->documents++;
}

static void print_event(struct tracing *t, struct arena *a, const struct rec_event_row *e)
{
	if (t->json) {
		print_event_json(t, a, e);
	} else if (t->raw) {
		print_raw(t, a, e);
	} else {
		if (!t->began) {
			struct event_fields fields = event_fields_read(a, e->fields);
			uint64_t begun = id_time_ms(t->message.id);

			print_at(t, a, begun < e->at ? begun : e->at, origin_words(&t->message, a, &fields));
		}
		print_at(t, a, e->at, event_words(&t->message, a, e));
	}
	t->began = true;
}

/* ---- dialogues: each below a line "[recipient N]" ---- */

static void print_dialogue(struct tracing *t, struct arena *a, uint64_t n, struct str lines)
{
	struct str line;
	char id[ID_TEXT_MAX];

	if (t->json) {
		json_print_document("transcript", json_pack("{s:s, s:o, s:o}", "id", id_format(t->message.id, id), "recipient",
							    address_json(&t->message, n), "text", json_text(lines)));
		t->documents++;
		return;
	}
	printf("Dialogue of the last attempt for %.*s:\n", STR_ARG(utf8_shown(a, address_of(&t->message, n))));
	while (str_split(&lines, '\n', &line))
		printf("    %.*s\n", STR_ARG(utf8_shown(a, str_trim(line))));
}

static void print_dialogues(struct tracing *t, struct arena *a, struct str all)
{
	struct str mark = S("[recipient ");

	while (str_starts(all, mark)) {
		struct str line = str_head(all, str_find(all, '\n')), lines = str_from(all, line.n + 1);
		size_t next = str_search(lines, S("\n[recipient "));
		uint64_t n = 0;

		(void)str_to_u64(str_head(str_from(line, mark.n), str_find(str_from(line, mark.n), ']')), &n);
		print_dialogue(t, a, n, str_head(lines, next));
		all = str_from(lines, next + 1);
	}
}

static void trace(struct session *s, struct tracing *t)
{
	struct msg_trace ask = { .id = t->message.id };

	read_message(s, &t->message);
	if (!t->json)
		print_head(t, &s->arena);
	do {
		const struct msg_traced *m = &session_ask(s, MSG_trace, &ask, MSG_traced)->traced;

		for (size_t i = 0; i < m->rows.n; i++)
			print_event(t, &s->arena, &m->rows.at[i]);
		if (m->transcript.n && (t->json || t->dialogue || t->raw))
			print_dialogues(t, &s->arena, m->transcript);
		else if (m->transcript.n)
			printf("The dialogue of the last attempt: --dialogue\n");
		ask.cursor = m->cursor;
		arena_reset(&s->arena);
	} while (ask.cursor);
	free(t->message.addresses);
	arena_fini(&t->message.arena);
}

size_t trace_print(struct session *s, uint64_t id, bool json)
{
	struct tracing t = { .message.id = id, .json = json };

	trace(s, &t);
	return t.documents;
}

int command_trace(const struct options *o, const char *config_path)
{
	struct message_name name = message_name_read(o->arguments[0]);
	uint64_t ids[MESSAGES_NAMED_MAX];
	struct session s;
	size_t n, documents = 0;

	session_open(&s, config_path);
	n = session_messages(&s, &name, ids);
	for (size_t i = 0; i < n; i++) {
		struct tracing t = { .message.id = ids[i],
				     .json = options_given(o, "json"),
				     .raw = options_given(o, "all"),
				     .dialogue = options_given(o, "dialogue") };

		if (i > 0 && !t.json)
			printf("\n");
		trace(&s, &t);
		documents += t.documents;
	}
	if (options_given(o, "json"))
		json_end(documents, false);
	session_close(&s);
	return EX_OK;
}
