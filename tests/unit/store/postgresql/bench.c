/* bench.c - PostgreSQL in store_bench, with fsync. */
#include "../store_bench.h"

#include "cluster.h"

#include "posthouse/log.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char words[300];
static long postmaster;

void bench_engine(struct store_options *options, const char *connection)
{
	static struct store_database d = { .node_timeout_ms = 20000, .patience_ms = 3000 };

	if (!connection && !cluster_start_durable())
		exit(77); /* there is no PostgreSQL here */
	(void)snprintf(words, sizeof(words), "%s", connection ? connection : cluster_database("bench"));
	postmaster = strtol(cluster_sql(words, "SELECT split_part(pg_read_file('postmaster.pid'),E'\\n',1)"), NULL, 10);
	d.connection = str_of(words);
	options->engine = &store_engine_postgresql;
	options->database = &d;
}

static uint64_t number(const char *sql)
{
	return strtoull(cluster_sql(words, sql), NULL, 10);
}

uint64_t bench_size(const char *state_dir)
{
	(void)state_dir;
	return number("SELECT pg_database_size(current_database())");
}

/* All that was ever written to it, since a server keeps files of the log and uses them again. */
uint64_t bench_log_size(const char *state_dir)
{
	(void)state_dir;
	return number("SELECT (pg_current_wal_lsn()-'0/0')::int8");
}

/* Ticks of a process, and the number of its parent; those of children that have ended too when `all`. */
static uint64_t ticks_of(const char *path, bool all, long *parent_out)
{
	FILE *f = fopen(path, "re");
	char line[1000] = "", *p = NULL;
	uint64_t field[16] = { 0 };

	if (f && fgets(line, sizeof(line), f))
		p = strrchr(line, ')'); /* the name, which can have spaces, is in brackets */
	if (f)
		(void)fclose(f);
	if (!p || !p[1] || !p[2])
		return 0;
	p += 3;                         /* the state, a letter */
	for (size_t i = 0; i < 14; i++) /* from the parent (4) to the children's system time (17) */
		field[i] = strtoull(p, &p, 10);
	*parent_out = (long)field[0];
	return field[10] + field[11] + (all ? field[12] + field[13] : 0);
}

uint64_t bench_server_us(void)
{
	char path[64];
	long parent = 0;
	uint64_t ticks;
	glob_t found;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", postmaster);
	ticks = ticks_of(path, true, &parent);
	if (ticks == 0 || glob("/proc/[0-9]*/stat", 0, NULL, &found) != 0)
		return 0; /* on another machine */
	for (size_t i = 0; i < found.gl_pathc; i++) {
		uint64_t own = ticks_of(found.gl_pathv[i], false, &parent);

		ticks += parent == postmaster ? own : 0;
		parent = 0;
	}
	globfree(&found);
	return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}
