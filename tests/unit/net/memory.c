/* memory.c */
#include "unit.h"

#include "memory.h"

#include "posthouse/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK       ((size_t)1 << 20)
#define MAPPING_MAX ((size_t)1 << 28) /* larger ones are the sanitizer's own */

/* Freed memory is to be seen as it was left: the sanitizer would write over it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_free_fill_size=0";
}

void make_mark(char mark[MARK_BYTES], unsigned round)
{
	for (size_t i = 0; i < MARK_BYTES; i++)
		mark[i] = (char)(i * 37 + 11 + round * 53) | 1;
}

/* How often `mark` is in what can be written of this process, but for the places that look for it. */
static unsigned count_in(int memory, size_t from, size_t to, const char *mark, char *chunk)
{
	unsigned found = 0;
	ssize_t n;

	for (size_t at = from; at < to; at += CHUNK - MARK_BYTES) {
		n = pread(memory, chunk, to - at < CHUNK ? to - at : CHUNK, (off_t)at);
		if (n < MARK_BYTES)
			return found;
		for (char *p = chunk; (p = memmem(p, (size_t)(chunk + n - p), mark, MARK_BYTES)); p++) {
			size_t address = at + (size_t)(p - chunk);

			if (address != (size_t)mark && !(address >= (size_t)chunk && address < (size_t)chunk + CHUNK))
				found++;
		}
	}
	return found;
}

unsigned copies_of(const char *mark)
{
	static char chunk[CHUNK];
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned found = 0;
	char line[512], rights[8];
	size_t from, to;

	assert_non_null(maps);
	assert_true(memory >= 0);
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%zx-%zx %7s", &from, &to, rights) == 3 && rights[1] == 'w' && to - from <= MAPPING_MAX)
			found += count_in(memory, from, to, mark, chunk);
	close(memory);
	fclose(maps);
	wipe(chunk, sizeof chunk);
	return found;
}
