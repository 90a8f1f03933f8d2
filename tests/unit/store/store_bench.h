/* store_bench.h - what store_bench.c asks of the engine that it measures; sqlite/bench.c, postgresql/bench.c. */
#ifndef STORE_BENCH_H
#define STORE_BENCH_H

#include "posthouse/store.h"

/* Choose the engine. connection: words for an empty database, or NULL: the engine starts a server of its own, if it needs one. */
void bench_engine(struct store_options *options, const char *connection);

/* Bytes on the disk: all, and what of it is the log of the last commits. */
uint64_t bench_size(const char *state_dir);
uint64_t bench_log_size(const char *state_dir);

/* Processor time that a server on this machine has used so far, of all its processes; 0: there is none. */
uint64_t bench_server_us(void);

#endif
