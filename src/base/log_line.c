/* log_line.c - reads a line of the log that another process has written: does the process write in its own name? */
#include "posthouse/log.h"
#include "posthouse/utf8.h"

#include <stdio.h>

#define TIME_BYTES 24

/* Takes a text in quotes off the front, without the quotes; false: it has no end. */
static bool take_quoted(struct str *rest, struct str *text_out)
{
	for (size_t i = 1; i < rest->n; i++) {
		if (rest->p[i] == '\\') {
			i++;
		} else if (rest->p[i] == '"') {
			*text_out = str_head(str_from(*rest, 1), i - 1);
			*rest = str_from(*rest, i + 1);
			return true;
		}
	}
	return false;
}

/* A word up to one of these characters. */
static bool take_word(struct str *rest, const char *ends, struct str *word_out)
{
	size_t n = 0;

	while (n < rest->n && !strchr(ends, rest->p[n]) && rest->p[n] != '"')
		n++;
	*word_out = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return rest->n == 0 || rest->p[0] != '"';
}

static bool take_text(struct str *rest, const char *ends, struct str *text_out)
{
	return rest->n > 0 && rest->p[0] == '"' ? take_quoted(rest, text_out) : take_word(rest, ends, text_out);
}

static bool take_char(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_from(*rest, 1);
	return true;
}

/* Only small letters, digits and what is in a number: no escape and no bracket of JSON can hide a name. */
static bool is_word(struct str word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", word.p[i]))
			return false;
	return word.n > 0;
}

/* The next key with its value, and what separates them from the next ones. */
static bool take_pair(struct str *rest, bool json, struct str *key_out, struct str *value_out)
{
	bool good = take_text(rest, json ? ":" : "= ", key_out) && is_word(*key_out) && take_char(rest, json ? ':' : '='), quoted;

	quoted = rest->n > 0 && rest->p[0] == '"';
	good = good && take_text(rest, json ? "," : " ", value_out) && (!json || quoted || is_word(*value_out));
	return good && (rest->n == 0 || take_char(rest, json ? ',' : ' '));
}

static bool take_named(struct str *rest, bool json, struct str key, struct str *value_out)
{
	struct str found;

	return take_pair(rest, json, &found, value_out) && str_eq(found, key);
}

static bool take_equal(struct str *rest, bool json, struct str key, struct str value)
{
	struct str found;

	return take_named(rest, json, key, &found) && str_eq(found, value);
}

/* The keys that say whose line it is are at its front, and only there. */
static bool is_of_front(struct str key)
{
	static const struct str front[] = { S("time"), S("level"), S("role"), S("index"), S("event") };

	for (size_t i = 0; i < sizeof front / sizeof front[0]; i++)
		if (str_eq(key, front[i]))
			return true;
	return false;
}

static bool is_time(struct str time)
{
	for (size_t i = 0; i < time.n; i++)
		if (!strchr("0123456789-:.TZ", time.p[i]))
			return false;
	return time.n == TIME_BYTES;
}

/* A terminal, or a reader that looks for line ends, must not act on it. */
static bool can_be_shown(struct str line)
{
	uint32_t c;

	for (size_t n; line.n > 0; line = str_from(line, n)) {
		n = utf8_char(line, &c);
		if (n == 0 || utf8_is_hidden(c))
			return false;
	}
	return true;
}

bool log_line_is_of(struct str line, const char *role, int index)
{
	bool json = line.n > 0 && line.p[0] == '{', good;
	struct str end = json ? S("}\n") : S("\n"), rest, key, value;
	char number[12];

	if (!str_ends(line, end))
		return false;
	rest = str_head(line, line.n - end.n);
	if (!can_be_shown(rest))
		return false;
	rest = str_from(rest, json);
	snprintf(number, sizeof number, "%d", index);
	good = take_named(&rest, json, S("time"), &value) && is_time(value) && take_named(&rest, json, S("level"), &value) &&
	       take_equal(&rest, json, S("role"), str_of(role)) &&
	       (index < 0 || take_equal(&rest, json, S("index"), str_of(number))) && take_named(&rest, json, S("event"), &value);
	while (good && rest.n > 0)
		good = take_pair(&rest, json, &key, &value) && !is_of_front(key);
	return good;
}
