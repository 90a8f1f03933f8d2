/* find_print.c - what `posthouse find` prints of a recipient. */
#include "find.h"

#include "posthouse/id.h"
#include "posthouse/meaning.h"
#include "posthouse/units.h"

#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <uniwidth.h>

enum { TIME_COLUMNS = 12, FROM_COLUMNS = 20, TO_COLUMNS = 16, WIDTH = 80, REPLY_LINES = 4 };

/* "mx.example.net [192.0.2.1]:25" in its parts; both "" when the text is something else. */
static void remote_parts(struct str remote, struct str *host_out, struct str *address_out)
{
	size_t open = str_find(remote, '['), close = str_rfind(remote, ']');

	*host_out = *address_out = S("");
	if (open == 0 || open >= close || close == remote.n)
		return;
	*host_out = str_trim(str_head(remote, open));
	*address_out = str_make(remote.p + open + 1, close - open - 1);
}

/* "250 2.0.0 OK", without what is not there. */
static struct str reply_words(struct arena *a, struct verdict v)
{
	struct str code = v.code ? arena_printf(a, "%u ", v.code) : S("");

	return arena_printf(a, "%.*s%.*s%s%.*s", STR_ARG(code), STR_ARG(v.enhanced), v.enhanced.n ? " " : "", STR_ARG(v.text));
}

void find_print_json(const struct rec_found_row *r)
{
	struct str host, address;
	struct arena a = { 0 };
	char id[ID_TEXT_MAX];
	enum fate fate = fate_of(r->state);

	remote_parts(r->remote, &host, &address);
	json_print_document(
		"recipient",
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I}", "id",
			  id_format(r->id, id), "at", json_time(r->received_at), "login", json_text(r->login), "device",
			  json_text(r->device), "sender", json_text(r->sender), "recipient", json_text(r->recipient), "subject",
			  json_text(r->subject), "message_id", json_text(r->message_id), "size", (json_int_t)r->size, "state",
			  fate_name(fate), "class", trouble_name(meaning_trouble(r->meaning)), "enhanced",
			  json_text(r->verdict.enhanced), "reply", json_text(reply_words(&a, r->verdict)), "host",
			  json_text(host), "address", json_text(address), "tls", json_text(r->tls), "attempts",
			  (json_int_t)r->attempts, "next_at", json_time(fate == FATE_WAITING ? r->due_at : 0), "node",
			  (json_int_t)r->node));
	arena_fini(&a);
}

/* ---- lines for people ---- */

/* The width of the terminal; 80 where there is none, or a narrower one. */
static size_t line_width(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > WIDTH)
		return size.ws_col;
	return WIDTH;
}

static size_t columns(struct str text)
{
	return (size_t)u8_width((const uint8_t *)text.p, text.n, "UTF-8");
}

/* As much of the text as fits into so many columns. */
static struct str fitting(struct str text, size_t width)
{
	uint32_t code;
	size_t n = 0, next;

	while (n < text.n) {
		next = n + utf8_char(str_from(text, n), &code);
		if (next == n || columns(str_head(text, next)) > width)
			break;
		n = next;
	}
	return str_head(text, n);
}

/* A column: padded, or cut with "…"; there is a space behind it. */
static void print_column(struct str text, size_t width)
{
	struct str shown = columns(text) < width ? text : fitting(text, width - 2);
	const char *cut = shown.n < text.n ? "\xe2\x80\xa6" : "";
	size_t used = columns(shown) + (*cut ? 1 : 0);

	printf("%.*s%s%*s", STR_ARG(shown), cut, used < width ? (int)(width - used) : 1, "");
}

/* The rest of a line; what does not fit goes on below it, at most REPLY_LINES in all. */
static void print_rest(struct str text, size_t indent)
{
	size_t width = line_width() - indent;

	for (size_t line = 0;; line++) {
		struct str part = columns(text) <= width ? text : fitting(text, width - (line + 1 == REPLY_LINES));
		size_t space = str_rfind(part, ' ');

		if (part.n < text.n && line + 1 < REPLY_LINES && space < part.n && space > part.n / 2)
			part = str_head(part, space);
		printf("%.*s%s\n", STR_ARG(part), part.n < text.n && line + 1 == REPLY_LINES ? "\xe2\x80\xa6" : "");
		text = str_trim(str_from(text, part.n));
		if (text.n == 0 || part.n == 0 || line + 1 == REPLY_LINES)
			return;
		printf("%*s", (int)indent, "");
	}
}

/* "Tue 14:02" of the last days, else the date. */
static struct str short_time(struct arena *a, uint64_t ms, uint64_t now)
{
	struct tm tm = format_tm(ms);
	char text[32];

	if (now > ms && now - ms > 6 * DAY_MS)
		(void)strftime(text, sizeof text, "%Y-%m-%d", &tm);
	else
		(void)strftime(text, sizeof text, "%a %H:%M", &tm);
	return arena_str(a, str_of(text));
}

/* "15:10" within a day, else with the day. */
static struct str next_time(struct arena *a, uint64_t ms, uint64_t now)
{
	struct str text = short_time(a, ms, now);

	return ms < now + DAY_MS ? str_from(text, str_find(text, ' ') + 1) : text;
}

static struct str result_words(struct arena *a, const struct rec_found_row *r, uint64_t now)
{
	unsigned long long attempts = r->attempts;
	const char *s = attempts == 1 ? "" : "s";
	struct str host, address, due;

	remote_parts(r->remote, &host, &address);
	switch (fate_of(r->state)) {
	case FATE_DELIVERED: return arena_printf(a, "delivered%s%.*s", host.n ? " to " : "", STR_ARG(host));
	case FATE_FAILED: return arena_printf(a, "failed%s%.*s", host.n ? " at " : "", STR_ARG(host));
	case FATE_HELD: return arena_printf(a, "held%s%.*s", r->held.n ? ": " : "", STR_ARG(r->held));
	case FATE_REMOVED: return S("removed");
	default: break;
	}
	if (r->node != 0)
		return arena_printf(a, "in flight on node %llu", (unsigned long long)r->node);
	if (r->due_at <= now)
		return attempts ? arena_printf(a, "waits, %llu attempt%s, due now", attempts, s) : S("waits, not tried so far");
	due = next_time(a, r->due_at, now);
	if (attempts == 0)
		return arena_printf(a, "waits until %.*s", STR_ARG(due));
	return arena_printf(a, "waits, %llu attempt%s, next %.*s", attempts, s, STR_ARG(due));
}

/* A wider terminal has wider columns. */
static size_t from_columns(void)
{
	return FROM_COLUMNS + (line_width() - WIDTH) / 3;
}

static size_t to_columns(void)
{
	return TO_COLUMNS + (line_width() - WIDTH) / 3;
}

void find_print_head(void)
{
	print_column(S("time"), TIME_COLUMNS);
	print_column(S("from"), from_columns());
	print_column(S("to"), to_columns());
	printf("result\n");
}

void find_print_row(struct arena *a, const struct rec_found_row *r, uint64_t now)
{
	size_t from = from_columns(), to = to_columns(), indent = TIME_COLUMNS + from + to;
	struct str subject = arena_printf(a, "\"%.*s\"", STR_ARG(utf8_shown(a, r->subject)));
	char id[ID_TEXT_MAX];

	print_column(short_time(a, r->received_at, now), TIME_COLUMNS);
	print_column(r->sender.n ? utf8_shown(a, r->sender) : S("<>"), from);
	print_column(utf8_shown(a, r->recipient), to);
	print_rest(utf8_shown(a, result_words(a, r, now)), indent);
	printf("%*s", TIME_COLUMNS, "");
	print_column(r->subject.n ? subject : S("(no subject)"), from);
	print_column(str_of(id_format(r->id, id)), to);
	print_rest(utf8_shown(a, reply_words(a, r->verdict)), indent);
}

void find_print_totals(const struct rec_found_row *rows, size_t n, bool truncated)
{
	static const struct {
		enum fate fate;
		const char *one, *more;
	} words[] = { { FATE_DELIVERED, "delivered", "delivered" },
		      { FATE_WAITING, "waits", "wait" },
		      { FATE_HELD, "held", "held" },
		      { FATE_FAILED, "failed", "failed" },
		      { FATE_REMOVED, "removed", "removed" } };
	size_t of[FATES] = { 0 }, about = n - 1;
	struct arena a = { 0 };
	struct str line = arena_printf(&a, "%zu recipient%s", n, n == 1 ? "" : "s");
	char id[ID_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		of[fate_of(rows[i].state)]++;
		if (fate_of(rows[i].state) != FATE_DELIVERED)
			about = i; /* the newest that somebody could ask about */
	}
	for (size_t i = 0; i < FATES; i++)
		if (of[words[i].fate])
			line = arena_printf(&a, "%.*s, %zu %s", STR_ARG(line), of[words[i].fate],
					    of[words[i].fate] == 1 ? words[i].one : words[i].more);
	if (truncated)
		printf("These are the newest; there are more: --limit, or --since and --until.\n");
	printf("%.*s.%sMore: posthouse trace %s\n", STR_ARG(line), line.n + 39 <= WIDTH ? "   " : "\n",
	       id_format(rows[about].id, id));
	arena_fini(&a);
}
