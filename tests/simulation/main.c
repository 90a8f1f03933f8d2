/* main.c - simulation [--schedules N] [--whole N] [--seed N] [--variant NAME] [--trace]
 * Without a seed: the whole rules over N schedules, in which there must be no fault, and then each variant that leaves a rule
 * out, until it has one within N schedules. With a seed: that schedule alone; with a variant: its first
 * schedule with a fault. --trace prints the steps. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world world;

static uint64_t bit_of_variant(const char *name)
{
	for (int i = 0; i < VARIANTS; i++)
		if (strcmp(variants[i].name, name) == 0)
			return 1ull << i;
	fprintf(stderr, "no variant is called %s\n", name);
	exit(64);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text ? text : "", &end, 10);
	if (!text || errno || end == text || *end) {
		fprintf(stderr, "a number is expected\n");
		exit(64);
	}
	return value;
}

/* The first schedule with a fault; `schedules` when there is none. */
static uint64_t first_fault(uint64_t schedules, uint64_t broken, uint64_t *steps_out)
{
	for (uint64_t seed = 0; seed < schedules; seed++) {
		schedule_run(&world, seed, broken, false);
		*steps_out += (uint64_t)world.steps;
		if (world.fault[0])
			return seed;
	}
	return schedules;
}

static int run_one(uint64_t seed, uint64_t broken, bool tracing)
{
	schedule_run(&world, seed, broken, tracing);
	printf("seed %llu: %s (%ld steps, %lld s)\n", (unsigned long long)seed, world.fault[0] ? world.fault : "no fault",
	       world.steps, (long long)(world.now / SECOND(1)));
	return world.fault[0] ? 1 : 0;
}

static int run_all(uint64_t whole, uint64_t schedules)
{
	uint64_t steps = 0, seed = first_fault(whole, 0, &steps);
	int missed = 0;

	if (seed < whole) {
		run_one(seed, 0, true);
		printf("again: simulation --seed %llu --trace\n", (unsigned long long)seed);
		return 1;
	}
	printf("the whole rules: no fault in %llu schedules, %llu steps\n", (unsigned long long)whole, (unsigned long long)steps);
	missed = situations_print();
	for (int i = 0; i < VARIANTS; i++) {
		seed = first_fault(schedules, 1ull << i, &steps);
		if (seed == schedules)
			printf("%s: NO FAULT FOUND, though %s\n", variants[i].name, variants[i].what);
		else
			printf("%s: seed %llu: %s\n", variants[i].name, (unsigned long long)seed, world.fault);
		missed += seed == schedules;
	}
	return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t schedules = 100000, whole = 0, seed = 0, broken = 0;
	bool one = false, tracing = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--schedules") == 0)
			schedules = number(argv[++i]);
		else if (strcmp(argv[i], "--whole") == 0)
			whole = number(argv[++i]);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = number(argv[++i]), one = true;
		else if (strcmp(argv[i], "--variant") == 0)
			broken |= bit_of_variant(argv[++i] ? argv[i] : "");
		else if (strcmp(argv[i], "--trace") == 0)
			tracing = true;
		else
			return fprintf(stderr,
				       "usage: simulation [--schedules N] [--whole N] [--seed N [--variant NAME] [--trace]]\n"),
			       64;
	}
	if (broken && !one)
		seed = first_fault(schedules, broken, &(uint64_t){ 0 });
	return one || broken ? run_one(seed, broken, tracing) : run_all(whole ? whole : schedules, schedules);
}
