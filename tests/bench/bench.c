/* bench.c */
#include "bench.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t bench_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void samples_add(struct samples *s, uint64_t us)
{
	if (s->n == s->capacity) {
		s->capacity = s->capacity ? s->capacity * 2 : 4096;
		s->at = xrealloc(s->at, s->capacity * sizeof(s->at[0]));
	}
	s->at[s->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void samples_fini(struct samples *s)
{
	free(s->at);
	*s = (struct samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

double samples_ms(struct samples *s, double percent)
{
	size_t i;

	if (s->n == 0)
		return 0;
	qsort(s->at, s->n, sizeof(s->at[0]), compare);
	i = (size_t)((double)s->n * percent / 100);
	return (double)s->at[i < s->n ? i : s->n - 1] / 1000;
}

uint64_t bench_number(const char *option, const char *text, uint64_t most)
{
	uint64_t value;

	if (!str_to_u64(str_of(text), &value) || value > most)
		die(64, "--%s: a number up to %" PRIu64 " is expected, not \"%s\"", option, most, text);
	return value;
}

struct str bench_file(struct arena *a, const char *path)
{
	FILE *file = fopen(path, "r");
	char *bytes = NULL;
	struct str text;
	size_t n = 0;

	if (!file || getdelim(&bytes, &n, '\0', file) < 0)
		die(66, "%s: %s", path, strerror(errno));
	fclose(file);
	text = arena_str(a, str_of(bytes));
	free(bytes);
	return text;
}
