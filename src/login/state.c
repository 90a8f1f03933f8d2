/* state.c - the state of the login role without the frame, so that tests can use it. */
#include "login.h"

#include "posthouse/units.h"

#define CACHE_MS (5 * MINUTE_MS)
#define TRIED_MS DAY_MS

void login_init(struct login *l, uv_loop_t *loop, const char *state_dir, const struct cfg_auth *auth)
{
	*l = (struct login){ .loop = loop };
	list_init(&l->exchanges);
	list_init(&l->changes);
	watch_init(l);
	local_users_init(l);
	l->backend = backend_find(auth->backend);
	l->workers = workers_open(loop, l->backend->threads);
	l->directory = directory_new(state_dir);
	l->cache = cache_new(CACHE_MS);
	l->judged = cache_new(TRIED_MS);
	l->counted = cache_new(TRIED_MS);
}

void login_close(struct login *l)
{
	watch_close(l);
	workers_close(l->workers);
}

void login_fini(struct login *l)
{
	cache_free(l->cache);
	cache_free(l->judged);
	cache_free(l->counted);
	directory_free(l->directory);
	secret_fini(&l->fault);
	arena_fini(&l->local.arena);
}

struct verdict login_refresh(struct login *l)
{
	struct verdict v = directory_refresh(l->directory);

	if (directory_generation(l->directory) != l->cache_generation) {
		cache_clear(l->cache);
		l->cache_generation = directory_generation(l->directory);
	}
	return v;
}
