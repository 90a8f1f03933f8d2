/* same.c - what would make an input of a target take another way each time: clocks and random numbers. The linker puts these in the
 * place of the real ones (--wrap). libFuzzer has its own clock, which goes on. */
#include "fuzz.h"

#define NOW_MS UINT64_C(1767225600000) /* 2026-01-01 */

/* clang-format off */
uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_clock_mono_ms(void);
uint64_t __wrap_random_u64(void);
int __wrap_RAND_bytes(unsigned char *out, int n);
/* clang-format on */

uint64_t __wrap_clock_now_ms(void)
{
	return NOW_MS;
}

uint64_t __wrap_clock_mono_ms(void)
{
	return NOW_MS;
}

/* Different ones within a process, the same in the next process. */
uint64_t __wrap_random_u64(void)
{
	static uint64_t given;

	return ++given * UINT64_C(0x9e3779b97f4a7c15);
}

int __wrap_RAND_bytes(unsigned char *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = (unsigned char)(__wrap_random_u64() >> 56);
	return 1;
}
