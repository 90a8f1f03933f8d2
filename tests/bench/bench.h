/* bench.h - what load generator and sink have in common: times, samples, options. */
#ifndef POSTHOUSE_BENCH_H
#define POSTHOUSE_BENCH_H

#include "posthouse/str.h"

#include <stdint.h>

struct arena;

/* Every message carries "X-Bench: RUN-NUMBER TIME": who sent it, which it is (from 0), and when, in µs since 1970. */
#define BENCH_HEADER      "X-Bench: "
#define BENCH_NUMBERS_MAX 10000000u

uint64_t bench_now_us(void);

/* Times in µs, kept one by one: a run has millions at most. */
struct samples {
	uint32_t *at;
	size_t n, capacity;
};

void samples_add(struct samples *s, uint64_t us);
void samples_fini(struct samples *s);

/* The value below which `percent` of the samples lie, in ms; 0 when there are none. Sorts them. */
double samples_ms(struct samples *s, double percent);

/* A number of the command line within its bounds, or exit 64. */
uint64_t bench_number(const char *option, const char *text, uint64_t most);

/* The content of a file into the arena, or exit 66. */
struct str bench_file(struct arena *a, const char *path);

#endif
