/* fuzz_file.c - a configuration file: it is read to the end whatever is in it, each fault has its place, and what is accepted can
 * be dumped and read again without a fault. Nothing that it names is looked up: paths are of a directory that is not there. */
#include "fuzz.h"
#include "loader.h"

#include "posthouse/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int memory = -1;

static struct config *load(struct str text, struct config_faults *faults_out)
{
	char path[64];

	if (memory < 0)
		memory = memfd_create("configuration", MFD_CLOEXEC);
	if (ftruncate(memory, 0) != 0 || pwrite(memory, text.p, text.n, 0) != (ssize_t)text.n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	*faults_out = (struct config_faults){ 0 };
	return config_load(path, faults_out);
}

static void check_faults(const struct config_faults *faults)
{
	struct arena a = { 0 };

	assert(faults->n <= FAULTS_MAX + 1);
	for (size_t i = 0; i < faults->n; i++)
		assert(fault_text(&a, &faults->at[i]).n > 0);
	arena_fini(&a);
}

static void check_tables(struct str text)
{
	struct arena a = { 0 };
	struct str_list gateways = gateways_of(&a, text, text);

	for (size_t i = 0; i < gateways.n; i++)
		assert(gateways.at[i].n > 0 && gateways.at[i].n < 64 && str_is_ascii(gateways.at[i]));
	arena_fini(&a);
}

/* Other files of the configuration are none of the fuzzer's business, nor is this process. */
static bool names_files(struct str text)
{
	return str_search(text, S("include")) < text.n || str_search(text, S("/proc")) < text.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct config_faults faults;
	struct config *c, *again;
	struct buf dumped;

	if (size > 8192)
		return 0;
	check_tables(text);
	if (names_files(text))
		return 0;
	c = load(text, &faults);
	check_faults(&faults);
	if (!faults_serious(&faults)) {
		buf_init(&dumped, 1 << 22);
		assert(config_dump(c, &dumped));
		again = load(buf_view(&dumped), &faults);
		assert(!faults_serious(&faults));
		config_free(again);
		buf_fini(&dumped);
	}
	config_free(c);
	return 0;
}
