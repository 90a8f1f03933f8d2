/* state.c - what the login role holds, apart from the frame: so that tests can drive it. */
#include "login.h"

void login_init(struct login *l, uv_loop_t *loop, const char *state_dir, const struct cfg_auth *auth)
{
	*l = (struct login){ .loop = loop };
	list_init(&l->exchanges);
	list_init(&l->changes);
	l->backend = backend_find(auth->backend);
	l->workers = workers_open(loop, l->backend->threads);
	l->directory = directory_new(state_dir);
	l->cache = cache_new();
}

void login_close(struct login *l)
{
	workers_close(l->workers);
}

void login_fini(struct login *l)
{
	cache_free(l->cache);
	directory_free(l->directory);
	secret_fini(&l->fault);
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

void login_check_idle(struct login *l)
{
	if (l->on_idle && l->open_exchanges == 0 && list_empty(&l->changes))
		l->on_idle(l);
}
