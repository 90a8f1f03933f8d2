/* engine_under_test.h - what the conformance suite has to know of an engine beyond store.h. Each engine has a folder with a file that
 * implements this; its other tests are what only this engine can be asked. */
#ifndef STORE_ENGINE_UNDER_TEST_H
#define STORE_ENGINE_UNDER_TEST_H

#include "engine.h"
#include "fixture.h"

extern const struct store_engine *const engine_under_test;

/* Before the store is opened for the first time: what else of f->options the engine needs. */
void engine_begin(struct fixture *f);

/* Large texts are files below state_dir, which the suite looks at; a clock that was set back is found at the start. */
extern const bool engine_has_files, engine_knows_clock;

/* ---- of an open store ---- */

/* Fail where what the engine keeps contradicts itself. */
void engine_check(struct fixture *f);

/* Wait until the engine has nothing more to do in idle time that makes mail faster to find. */
void engine_index(struct fixture *f);

/* The size of the file that grows with the next commits. */
uint64_t engine_growing_bytes(struct fixture *f);

/* From now on a message whose first event is "bad" fails within the engine, in one of so many ways. */
#define ENGINE_FAILURES 3
void engine_fail_bad(struct fixture *f, unsigned way);

/* How many recipients the login has written to, at `since` or later. */
uint64_t engine_known(struct fixture *f, const char *login, uint64_t since);

/* What the sender was told of each recipient, as "2,2,0": 1 a failure, 2 a delay, 4 a success; 8: is still to be told of a success. */
struct str engine_told(struct fixture *f, uint64_t id);

/* ---- of a closed one ---- */

/* The latest time that the engine has seen is later by so much. */
void engine_move_clock(struct fixture *f, uint64_t ms);

/* Replace all rows by those of an earlier version; returns the number of open messages. */
uint64_t engine_make_older(struct fixture *f);

#endif
