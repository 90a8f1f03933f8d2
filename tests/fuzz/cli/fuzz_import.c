/* fuzz_import.c - main.cf of Postfix: what `import postfix` makes of it is a configuration without a fault of syntax, and what it
 * could not take is said in comments. */
#include "fuzz.h"
#include "options.h"

#include "posthouse/config.h"

#include <fcntl.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUTPUT_MAX (1 << 22)

static char directory[] = "/tmp/fuzz-import-XXXXXX", file[64];
static int output = -1;

static void remove_files(void)
{
	unlink(file);
	rmdir(directory);
}

static void begin(void)
{
	assert(mkdtemp(directory));
	snprintf(file, sizeof file, "%s/main.cf", directory);
	output = memfd_create("output", MFD_CLOEXEC);
	atexit(remove_files);
}

/* Standard output and standard error of the command. */
static size_t import(char *to)
{
	struct options o = { .arguments = (char *[]){ directory }, .arguments_n = 1 };
	int out, error;
	ssize_t n;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	error = dup(STDERR_FILENO);
	assert(ftruncate(output, 0) == 0 && lseek(output, 0, SEEK_SET) == 0);
	dup2(output, STDOUT_FILENO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, STDERR_FILENO);
	command_import(&o, "");
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	close(out);
	close(error);
	close(null);
	n = pread(output, to, OUTPUT_MAX - 1, 0);
	assert(n >= 0);
	to[n] = '\0';
	return (size_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char made[OUTPUT_MAX];
	struct str text = str_make(data, size);
	config_t tree;
	FILE *f;

	if (size > 4096 || str_search(text, S("/dev")) < size || str_search(text, S("/proc")) < size)
		return 0;
	if (output < 0)
		begin();
	f = fopen(file, "w");
	assert(f && fwrite(data, 1, size, f) == size);
	fclose(f);
	import(made);
	config_init(&tree);
	assert(config_read_string(&tree, made) == CONFIG_TRUE);
	config_destroy(&tree);
	return 0;
}
