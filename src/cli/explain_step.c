/* explain_step.c - `posthouse explain`: prints a step of the way, and remembers the worst one. */
#include "explain.h"

#include <stdio.h>

#define LEFT     11 /* where the texts begin */
#define PLACE_AT 60 /* where the places in the files begin */
#define WIDTH    80

static const char *const verdicts[] = { [EXPLAINED_OK] = "ok",       [EXPLAINED_NONE] = "none", [EXPLAINED_UNKNOWN] = "unknown",
					[EXPLAINED_WAITS] = "waits", [EXPLAINED_HELD] = "held", [EXPLAINED_REFUSED] = "refused" };

/* "posthouse.conf:52" of the entry "routes[3]", or the variable that makes it; "" when it is in no file. The file in full is in
 * *file_out. */
static struct str place_of(struct explain *e, struct str rule, struct str *file_out, unsigned *line_out)
{
	size_t bracket = str_find(rule, '[');
	struct str number = str_from(rule, bracket + 1), name;
	uint64_t n;

	*file_out = S("");
	number = str_head(number, str_find(number, ']'));
	if (!str_to_u64(number, &n) || n == 0 ||
	    !config_place(e->c, &e->arena, str_head(rule, bracket), n - 1, file_out, line_out))
		return S("");
	name = str_from(*file_out, str_rfind(*file_out, '/') == file_out->n ? 0 : str_rfind(*file_out, '/') + 1);
	return *line_out > 0 ? arena_printf(&e->arena, "%.*s:%u", STR_ARG(name), *line_out) : name;
}

static void print_lines(struct explain *e, const char *step, struct str lines, struct str place)
{
	struct str line;

	for (const char *label = step; str_split(&lines, '\n', &line); label = "") {
		struct str shown = utf8_shown(&e->arena, line);
		size_t end = LEFT + shown.n;

		printf("%-*s", LEFT, label);
		if (place.n > 0 && (end < PLACE_AT ? PLACE_AT : end + 2) + place.n <= WIDTH) {
			printf("%.*s%*s%.*s\n", STR_ARG(shown), end < PLACE_AT ? (int)(PLACE_AT - end) : 2, "", STR_ARG(place));
		} else {
			print_words(stdout, shown, LEFT, LEFT);
			if (place.n > 0)
				printf("%*s%.*s\n", PLACE_AT, "", STR_ARG(place));
		}
		place = S("");
	}
}

static json_t *text_or_null(struct str s)
{
	return s.n > 0 ? json_text(s) : json_null();
}

void explain_step(struct explain *e, const char *step, enum explained verdict, struct str rule, struct str lines)
{
	struct str file, place;
	unsigned line = 0;

	place = place_of(e, rule, &file, &line);
	if (verdict > e->worst) {
		e->worst = verdict;
		e->why = str_head(lines, str_find(lines, '\n'));
	}
	e->steps++;
	if (e->json)
		json_print_document("step",
				    json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "of", "explain", "step", step, "verdict",
					      verdicts[verdict], "rule", text_or_null(rule), "file", text_or_null(file), "line",
					      line > 0 ? json_integer(line) : json_null(), "reason", json_text(lines)));
	else
		print_lines(e, step, lines, place);
}
