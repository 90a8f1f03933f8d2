/* bench.c - SQLite in store_bench. */
#include "../store_bench.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <sys/stat.h>

void bench_engine(struct store_options *options, const char *connection)
{
	if (connection)
		die(64, "SQLite knows no connection");
	options->engine = &store_engine_sqlite;
}

static uint64_t size_of(const char *state_dir, const char *name)
{
	char path[96];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t bench_size(const char *state_dir)
{
	return size_of(state_dir, "queue.db") + bench_log_size(state_dir);
}

uint64_t bench_log_size(const char *state_dir)
{
	return size_of(state_dir, "queue.db-wal");
}

uint64_t bench_server_us(void)
{
	return 0;
}
