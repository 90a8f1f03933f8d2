/* figures.c - see figures.h. */
#include "posthouse/figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define FIGURES_BYTES_MAX ((size_t)2 * IPC_PAGE_MAX)
#define ROW_BYTES         (2 * sizeof(uint64_t) + 2 * sizeof(uint32_t)) /* of a row in the datagram, without its texts */

static void append(struct figures *f, struct rec_stat row)
{
	ARRAY_GROW(f->rows, f->n, f->capacity);
	f->rows[f->n++] = row;
}

void figures_add(struct figures *f, enum metric metric, struct str label, uint64_t value, struct str text)
{
	size_t bytes = ROW_BYTES + label.n + text.n;

	if (f->bytes + bytes > FIGURES_BYTES_MAX) {
		f->omitted++;
		return;
	}
	f->bytes += bytes;
	append(f, (struct rec_stat){ metric, arena_str(&f->arena, label), value, arena_str(&f->arena, text) });
}

void figures_tally(struct figures *f, enum metric metric, const struct tally *t)
{
	for (size_t i = 0; i < t->n; i++)
		figures_add(f, metric, str_of(t->of[i].label), t->of[i].n, S(""));
	if (t->others > 0)
		figures_add(f, metric, S("other"), t->others, S(""));
}

/* "mean 12 ms, nine of ten within 50 ms" */
static struct str words_of(struct arena *a, const struct histogram *h)
{
	uint64_t most = histogram_ninth_decile_ms(h);

	if (h->n == 0)
		return S("");
	if (most == UINT64_MAX)
		return arena_printf(a, "mean %llu ms", (unsigned long long)(h->sum_ms / h->n));
	return arena_printf(a, "mean %llu ms, nine of ten within %llu ms", (unsigned long long)(h->sum_ms / h->n),
			    (unsigned long long)most);
}

void figures_histogram(struct figures *f, enum metric metric, const struct histogram *h)
{
	uint64_t so_far = 0;
	char bound[32];

	figures_add(f, metric, S(""), h->n, words_of(&f->arena, h));
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		so_far += h->of[i];
		snprintf(bound, sizeof bound, "%g", (double)histogram_bounds_ms[i] / 1000);
		figures_add(f, metric, str_of(bound), so_far, S(""));
	}
	figures_add(f, metric, S("+Inf"), h->n, S(""));
	figures_add(f, metric, S("sum"), h->sum_ms, S(""));
}

/* ---- the process ---- */
/* statm, and the directory of descriptors. A role cannot open them any more when its walls are up. */
static int memory_fd = -1;
static DIR *descriptors;

void figures_begin(void)
{
	if (memory_fd < 0)
		memory_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (!descriptors)
		descriptors = opendir("/proc/self/fd");
}

/* 0: /proc is not there. The second number of statm is the resident pages: proc(5). */
static uint64_t resident_bytes(void)
{
	char text[128];
	struct str rest, word;
	uint64_t pages = 0;
	ssize_t n = memory_fd < 0 ? 0 : pread(memory_fd, text, sizeof text, 0);

	rest = str_make(text, n > 0 ? (size_t)n : 0);
	if (!str_split(&rest, ' ', &word) || !str_split(&rest, ' ', &word) || !str_to_u64(word, &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t ms_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

static uint64_t open_descriptors(void)
{
	uint64_t n = 0;

	if (descriptors)
		rewinddir(descriptors);
	while (descriptors && readdir(descriptors))
		n++;
	return n > 4 ? n - 4 : 0; /* "." and "..", and the two descriptors of this file */
}

void figures_process(struct figures *f, uint64_t started_at)
{
	struct rlimit most = { 0 };
	struct rusage used = { 0 };

	figures_begin();
	getrusage(RUSAGE_SELF, &used);
	getrlimit(RLIMIT_NOFILE, &most);
	figures_add(f, METRIC_ROLE_MEMORY, S(""), resident_bytes(), S(""));
	figures_add(f, METRIC_ROLE_CPU, S(""), ms_of(used.ru_utime) + ms_of(used.ru_stime), S(""));
	figures_add(f, METRIC_ROLE_DESCRIPTORS, S(""), open_descriptors(), S(""));
	figures_add(f, METRIC_ROLE_DESCRIPTORS_MAX, S(""), most.rlim_cur, S(""));
	figures_add(f, METRIC_ROLE_STARTED, S(""), started_at, S(""));
}

/* ---- the end ---- */
void figures_send(struct figures *f, struct channel *ch, uint64_t call)
{
	struct msg_stats_are answer = { .call = call };

	if (f->omitted > 0)
		append(f, (struct rec_stat){ .metric = METRIC_ROLE_OMITTED, .value = f->omitted });
	answer.stats.at = f->rows;
	answer.stats.n = f->n;
	ipc_send_stats_are(ch, &answer, -1);
	figures_fini(f);
}

void figures_fini(struct figures *f)
{
	arena_fini(&f->arena);
	free(f->rows);
	*f = (struct figures){ 0 };
}
