/* server_words.c - see server_words.h. */
#include "server_words.h"

#include "posthouse/units.h"

#include <string.h>

struct writer {
	char *to;
	size_t n;
};

/* Letters, digits, and all bytes beyond ASCII. */
static bool is_letter(char c)
{
	char low = ascii_lower(c);

	return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static bool is_upper(char c)
{
	return ascii_lower(c) != c;
}

/* ---- words that the server has not chosen ---- */

/* Cut the text at the report of another server's reply. */
static struct str without_reports(struct str text)
{
	static const struct str marks[] = {
		S("said:"),           S("says:"),           S("responded:"),        S("replied:"),
		S("answered:"),       S("responded with:"), S("error from remote"), S("remote server returned"),
		S("remote host said")
	};

	for (size_t i = 0; i < text.n; i++)
		for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
			if ((i == 0 || text.p[i - 1] == ' ') && str_istarts(str_from(text, i), marks[k]))
				return str_head(text, i);
	return text;
}

/* The length of a quotation that begins here, with its marks; 0: there is none. An apostrophe within a word is no mark. */
static size_t quotation(struct str text, size_t at)
{
	static const struct {
		struct str begin, end;
	} marks[] = { { S("\""), S("\"") },
		      { S("\xe2\x80\x9c"), S("\xe2\x80\x9d") },
		      { S("\xc2\xab"), S("\xc2\xbb") },
		      { S("'"), S("'") },
		      { S("`"), S("'") },
		      { S("`"), S("`") } };
	struct str rest = str_from(text, at);

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		bool single = marks[i].begin.n == 1 && marks[i].begin.p[0] != '"';
		size_t end;

		if (!str_starts(rest, marks[i].begin) || (single && at > 0 && is_letter(text.p[at - 1])))
			continue;
		end = marks[i].begin.n + str_search(str_from(rest, marks[i].begin.n), marks[i].end);
		if (end >= rest.n || (single && end + 1 < rest.n && is_letter(rest.p[end + 1])))
			continue;
		return end + marks[i].end.n;
	}
	return 0;
}

/* The text from such a name to the next semicolon is a quotation without marks. The length up to the end of the name; 0: there
 * is no name. */
static size_t quotation_name(struct str piece)
{
	static const struct str names[] = { S("subject:"), S("subject="), S("filename:"),  S("filename="),
					    S("file:"),    S("name="),    S("attachment:") };

	size_t at = 0;

	while (at < piece.n && !is_letter(piece.p[at]))
		at++;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_istarts(str_from(piece, at), names[i]))
			return at + names[i].n;
	return 0;
}

/* Is the piece an address, or the name of a host or file? A name has a dot within. Two sentences without a blank between them
 * ("exceeded.Please") and Microsoft's names of faults are not names. */
static bool is_name(struct str piece)
{
	if (str_find(piece, '@') < piece.n || str_search(piece, S("://")) < piece.n)
		return true;
	if (str_istarts(piece, S("storedrv.")) || str_istarts(piece, S("resolver.")))
		return false;
	for (size_t i = 1; i + 1 < piece.n; i++)
		if (piece.p[i] == '.' && is_letter(piece.p[i - 1]) && is_letter(piece.p[i + 1]) &&
		    !(piece.p[i - 1] >= 'a' && piece.p[i - 1] <= 'z' && is_upper(piece.p[i + 1])))
			return true;
	return false;
}

/* ---- words ---- */

static void add_char(struct writer *w, char c)
{
	if (w->n + 2 < SERVER_WORDS_MAX)
		w->to[w->n++] = c;
}

static void add_blank(struct writer *w)
{
	if (w->n == 0 || w->to[w->n - 1] != ' ')
		add_char(w, ' ');
}

static void add_piece(struct writer *w, struct str piece)
{
	for (size_t i = 0; i < piece.n; i++)
		if (is_letter(piece.p[i]))
			add_char(w, ascii_lower(piece.p[i]));
		else
			add_blank(w);
	add_blank(w);
}

/* One piece between blanks, without the part in angle brackets. */
static void add_own(struct writer *w, struct str piece)
{
	size_t open = str_find(piece, '<'), close = str_rfind(piece, '>');

	if (open < piece.n && close < piece.n && close > open) {
		add_own(w, str_head(piece, open));
		add_own(w, str_from(piece, close + 1));
	} else if (!is_name(piece)) {
		add_piece(w, piece);
	}
}

struct str server_words(struct str text, char to[SERVER_WORDS_MAX])
{
	struct writer w = { .to = to };

	text = str_trim(without_reports(str_head(text, SERVER_WORDS_MAX)));
	if (text.n > 2 && quotation(text, 0) == text.n) /* quotation marks around the whole text are ignored */
		text = str_head(str_from(text, 1), text.n - 2);
	add_blank(&w);
	for (size_t i = 0; i < text.n;) {
		size_t quoted = quotation(text, i), end = i, name;

		if (quoted > 0) {
			i += quoted;
			continue;
		}
		while (end < text.n && text.p[end] != ' ' && (end == i || quotation(text, end) == 0))
			end++;
		name = quotation_name(str_head(str_from(text, i), end - i));
		if (name > 0) /* the first semicolon after the name: one before it would be found again and again */
			end = i + name + str_find(str_from(text, i + name), ';');
		else
			add_own(&w, str_head(str_from(text, i), end - i));
		i = end + (end < text.n && text.p[end] == ' ');
	}
	return str_make(to, w.n);
}

/* ---- expressions ---- */

static bool holds(struct str words, struct str part)
{
	for (size_t i = 0; i + 1 + part.n <= words.n; i++)
		if (words.p[i] == ' ' && memcmp(words.p + i + 1, part.p, part.n) == 0)
			return true;
	return false;
}

bool server_words_fit(struct str words, const char *expression)
{
	struct str groups = str_of(expression), group, part;

	while (str_split(&groups, '&', &group)) {
		bool none = str_starts(group, S("!")), found = false;

		group = str_from(group, none);
		while (!found && str_split(&group, '|', &part))
			found = holds(words, part);
		if (found == none)
			return false;
	}
	return true;
}

/* ---- times ---- */

/* Empty: there is none. */
static struct str next_word(struct str *rest)
{
	struct str word = S("");

	while (word.n == 0 && str_split(rest, ' ', &word))
		;
	return word;
}

static bool is_one_of(struct str words, struct str word)
{
	struct str one;

	while (str_split(&words, ' ', &one))
		if (str_eq(one, word))
			return true;
	return false;
}

static uint64_t unit_ms(struct str word)
{
	if (is_one_of(S("s sec secs second seconds"), word))
		return SECOND_MS;
	if (is_one_of(S("m mn min mins minute minutes"), word))
		return MINUTE_MS;
	return is_one_of(S("h hr hrs hour hours"), word) ? HOUR_MS : 0;
}

/* "300 seconds", "5m", "one hour", "00 05 00" (hours, minutes, seconds), "300" alone; `rest` is behind the number. */
static uint64_t time_at(struct str word, struct str rest, bool alone)
{
	uint64_t n = 0, minutes = 0, seconds = 0, unit;
	size_t digits = 0;
	struct str second, third;

	if (is_one_of(S("one an a"), word))
		return unit_ms(next_word(&rest));
	while (digits < word.n && digits < 6 && word.p[digits] >= '0' && word.p[digits] <= '9')
		n = n * 10 + (uint64_t)(word.p[digits++] - '0');
	if (digits == 0)
		return 0;
	if (digits < word.n)
		return n * unit_ms(str_from(word, digits));
	second = next_word(&rest);
	third = next_word(&rest);
	if (word.n == 2 && second.n == 2 && third.n == 2 && str_to_u64(second, &minutes) && str_to_u64(third, &seconds))
		return ((n * 60 + minutes) * 60 + seconds) * 1000;
	unit = unit_ms(second);
	return n * (unit ? unit : alone ? 1000 : 0);
}

uint64_t server_words_wait_ms(struct str words)
{
	/* "100 messages per 60 minutes" names a rate, no time to wait */
	const struct str leading = S("in for after wait another least about approximately next retry delay within than");
	struct str before = S(""), last = S(""), word;

	for (word = next_word(&words); word.n > 0; word = next_word(&words)) {
		bool alone = str_eq(before, S("retry")) && str_eq(last, S("after"));
		uint64_t ms = is_one_of(leading, last) ? time_at(word, words, alone) : 0;

		if (ms > 0)
			return ms;
		before = last;
		last = word;
	}
	return 0;
}
