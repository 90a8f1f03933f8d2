/* queue_list.c - `posthouse queue list` and `queue show`. */
#include "columns.h"
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/smtp_server.h"
#include "posthouse/store.h"

#include <stdio.h>
#include <sysexits.h>

#define PAGE  200
#define BELOW 15 /* where the lines below a message begin */

/* ---- list ---- */
static json_t *row_json(const struct rec_queue_row *r)
{
	static const char *const types[] = { [KIND_MAIL] = "mail",
					     [KIND_FAILURE] = "failure",
					     [KIND_DELAY] = "delay",
					     [KIND_SUCCESS] = "success",
					     [KIND_NOTICE] = "notice" };
	char id[ID_TEXT_MAX];

	return json_pack("{s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
			 id_format(r->id, id), "type", r->kind <= KIND_NOTICE ? types[r->kind] : "", "received_at",
			 json_time(r->received_at), "size", (json_int_t)r->size, "login", json_text(r->login), "sender",
			 json_text(r->sender), "recipient", json_text(r->recipient), "recipients", (json_int_t)r->recipients,
			 "open", (json_int_t)r->open, "due_at", json_time(r->due_at), "release_at", json_time(r->release_at),
			 "held", json_text(r->held), "reply", json_text(r->reply), "subject", json_text(r->subject), "message_id",
			 json_text(r->message_id));
}

/* One line, cut where a terminal ends; the texts below the first one are indented. */
static void print_line(struct arena *a, unsigned indent, struct str text)
{
	unsigned width = terminal_width();

	printf("%*s%.*s\n", (int)indent, "", STR_ARG(text_fit(a, utf8_shown(a, text), width > indent ? width - indent : 0)));
}

static struct str next_text(struct arena *a, const struct rec_queue_row *r, uint64_t now)
{
	if (r->held.n)
		return arena_printf(a, "held: %.*s", STR_ARG(r->held));
	if (r->release_at > now)
		return arena_printf(a, "kept back by its sender until %.*s", STR_ARG(time_text(a, r->release_at)));
	if (r->due_at > now)
		return arena_printf(a, "next attempt in %.*s", STR_ARG(age_text(a, r->due_at - now)));
	return r->due_at ? S("due: waits for a next hop that works and has not reached its limits") : S("");
}

static void print_row(struct arena *a, const struct rec_queue_row *r, uint64_t now)
{
	char id[ID_TEXT_MAX];
	struct str more = r->open > 1 ? arena_printf(a, " and %llu more", (unsigned long long)r->open - 1) : S("");
	struct str next = next_text(a, r, now);

	print_line(a, 0,
		   arena_printf(a, "%s  %6.*s  %8llu  %.*s -> %.*s%.*s", id_format(r->id, id),
				STR_ARG(since_text(a, now, r->received_at)), (unsigned long long)r->size,
				STR_ARG(r->sender.n ? r->sender : S("<>")), STR_ARG(r->recipient), STR_ARG(more)));
	if (r->subject.n || r->message_id.n)
		print_line(a, BELOW, arena_printf(a, "\"%.*s\" %.*s", STR_ARG(r->subject), STR_ARG(r->message_id)));
	if (next.n)
		print_line(a, BELOW, next);
	if (r->reply.n)
		print_line(a, BELOW, arena_printf(a, "last answer: %.*s", STR_ARG(r->reply)));
}

int queue_list(struct session *s, const struct selection *which, bool json)
{
	struct msg_queue_page page = { .id = which->named.id,
				       .message_id = which->named.message_id,
				       .user = which->user,
				       .sender = which->sender,
				       .recipient = which->recipient,
				       .destination = which->destination,
				       .older_than_ms = which->older_than_ms,
				       .max = PAGE };
	uint64_t now = clock_now_ms(), count = 0;

	do {
		const struct msg_queue_rows *rows = &session_ask(s, MSG_queue_page, &page, MSG_queue_rows)->queue_rows;

		for (size_t i = 0; i < rows->rows.n; i++) {
			if (json)
				json_print_document("queued", row_json(&rows->rows.at[i]));
			else if (count + i == 0 && terminal_width() > 0)
				printf("%-13s  %6s  %8s  %s\n", "ID", "AGE", "SIZE", "FROM -> TO");
			if (!json)
				print_row(&s->arena, &rows->rows.at[i], now);
		}
		count += rows->rows.n;
		page.cursor = rows->cursor;
		arena_reset(&s->arena);
	} while (page.cursor);
	if (json)
		json_end(count, false);
	else
		printf(count > 1 ? "%llu messages\n"
		       : count   ? "%llu message\n"
				 : "no message waits\n",
		       (unsigned long long)count);
	return EX_OK;
}

/* ---- show ---- */
static json_t *recipient_json(const struct rec_recipient_row *r)
{
	return json_pack("{s:I, s:o, s:s, s:o, s:I, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:I}", "n", (json_int_t)r->n, "address",
			 json_text(r->address), "state", recipient_state_name((unsigned)r->state), "due_at", json_time(r->due_at),
			 "attempts", (json_int_t)r->attempts, "last_at", json_time(r->last_at), "code", r->verdict.code,
			 "enhanced", json_text(r->verdict.enhanced), "text", json_text(r->verdict.text), "remote",
			 json_text(r->remote), "route", json_text(r->route), "via", json_text(r->via), "node",
			 (json_int_t)r->node);
}

static void print_recipient(struct arena *a, const struct rec_recipient_row *r)
{
	printf("  %-40.*s %s, %llu attempts", STR_ARG(utf8_shown(a, r->address)), recipient_state_name((unsigned)r->state),
	       (unsigned long long)r->attempts);
	if (r->node != 0)
		printf(", in flight on node %llu", (unsigned long long)r->node);
	else if (r->state == RCPT_WAITING)
		printf(", due %.*s", STR_ARG(time_text(a, r->due_at)));
	if (r->via.n && (r->state == RCPT_WAITING || r->state == RCPT_HELD))
		printf(", rerouted by %.*s", STR_ARG(utf8_shown(a, r->via)));
	printf("\n");
	if (r->verdict.text.n && r->verdict.code == 0)
		printf("    %.*s\n", STR_ARG(utf8_shown(a, r->verdict.text)));
	else if (r->verdict.text.n)
		printf("    %u %.*s %.*s%s%.*s\n", r->verdict.code, STR_ARG(r->verdict.enhanced),
		       STR_ARG(utf8_shown(a, r->verdict.text)), r->remote.n ? " - " : "", STR_ARG(utf8_shown(a, r->remote)));
}

static void print_message(struct arena *a, uint64_t id, const struct msg_queue_shown *m)
{
	char text[ID_TEXT_MAX];

	printf("id        %s\n", id_format(id, text));
	if (m->parent)
		printf("report on %s\n", id_format(m->parent, text));
	printf("received  %.*s\n", STR_ARG(time_text(a, m->received_at)));
	printf(m->finished_at ? "finished  %.*s\n" : "expires   %.*s\n",
	       STR_ARG(time_text(a, m->finished_at ? m->finished_at : m->expires_at)));
	printf("login     %.*s%s%.*s\n", STR_ARG(utf8_shown(a, m->login)), m->device.n ? "/" : "",
	       STR_ARG(utf8_shown(a, m->device)));
	printf("origin    %.*s\n", STR_ARG(utf8_shown(a, m->origin)));
	printf("sender    <%.*s>\n", STR_ARG(utf8_shown(a, m->sender)));
	if (m->subject.n)
		printf("subject   %.*s\n", STR_ARG(utf8_shown(a, m->subject)));
	if (m->message_id.n)
		printf("message   %.*s\n", STR_ARG(utf8_shown(a, m->message_id)));
	printf("size      %llu\n", (unsigned long long)m->size);
	if (m->release_at)
		printf("kept back until %.*s, as its sender wanted\n", STR_ARG(time_text(a, m->release_at)));
	if (m->priority != PRIORITY_NORMAL)
		printf("priority  %d\n", (int)m->priority - PRIORITY_NORMAL);
	if (m->tls_wish.n)
		printf("asks for  %.*s\n", STR_ARG(m->tls_wish));
	if (m->held.n)
		printf("held      %.*s\n", STR_ARG(utf8_shown(a, m->held)));
	printf("recipients (%llu of %llu open)\n", (unsigned long long)m->open, (unsigned long long)m->recipients);
}

static json_t *message_json(uint64_t id, const struct msg_queue_shown *m)
{
	char text[ID_TEXT_MAX];

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "id", id_format(id, text),
			 "received_at", json_time(m->received_at), "expires_at", json_time(m->expires_at), "finished_at",
			 json_time(m->finished_at), "login", json_text(m->login), "device", json_text(m->device), "origin",
			 json_text(m->origin), "sender", json_text(m->sender), "size", (json_int_t)m->size, "release_at",
			 json_time(m->release_at), "priority", (json_int_t)m->priority - PRIORITY_NORMAL, "held",
			 json_text(m->held), "subject", json_text(m->subject), "message_id", json_text(m->message_id), "tls_wish",
			 json_text(m->tls_wish));
}

static void show(struct session *s, uint64_t id, bool json)
{
	struct msg_queue_show ask = { .id = id };
	json_t *recipients = json_array(), *whole = NULL;

	do {
		const struct msg_queue_shown *m = &session_ask(s, MSG_queue_show, &ask, MSG_queue_shown)->queue_shown;

		if (ask.cursor == 0 && !json)
			print_message(&s->arena, id, m);
		if (ask.cursor == 0)
			whole = message_json(id, m);
		for (size_t i = 0; i < m->rows.n; i++) {
			if (!json)
				print_recipient(&s->arena, &m->rows.at[i]);
			json_array_append_new(recipients, recipient_json(&m->rows.at[i]));
		}
		ask.cursor = m->cursor;
	} while (ask.cursor);
	json_object_set_new(whole, "recipients", recipients);
	if (json)
		json_print_document("message", whole);
	else
		json_decref(whole);
}

int queue_show(struct session *s, const struct message_name *which, bool json)
{
	uint64_t ids[MESSAGES_NAMED_MAX];
	size_t n = session_messages(s, which, ids);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && !json)
			printf("\n");
		show(s, ids[i], json);
	}
	return EX_OK;
}
