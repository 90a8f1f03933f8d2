/* state.c - the state of the login role without the frame, so that tests can use it. */
#include "login.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <string.h>

#define CACHE_MS (5 * MINUTE_MS)
#define TRIED_MS DAY_MS
#define KEEP_MS  MINUTE_MS /* between two times that uses are written */

void login_init(struct login *l, uv_loop_t *loop, const char *state_dir, const struct cfg_auth *auth)
{
	*l = (struct login){ .loop = loop };
	list_init(&l->exchanges);
	list_init(&l->hosts);
	list_init(&l->changes);
	watch_init(l);
	vouches_init(l);
	local_users_init(l);
	shared_init(l);
	l->backend = backend_find(auth->backend);
	l->workers = workers_open(loop, l->backend->threads);
	l->directory = directory_new(state_dir);
	l->uses = account_uses_open(state_dir, clock_now_ms());
	l->cache = cache_new(CACHE_MS);
	l->judged = cache_new(TRIED_MS);
	l->counted = cache_new(TRIED_MS);
}

void login_close(struct login *l)
{
	watch_close(l);
	vouches_close(l);
	shared_close(l);
	workers_close(l->workers);
}

void login_fini(struct login *l)
{
	cache_free(l->cache);
	cache_free(l->judged);
	cache_free(l->counted);
	account_uses_close(l->uses);
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

void login_note_use(struct login *l, struct str name, struct str device, bool fitted)
{
	const struct accounts *known = backend_is_ours(l->backend) ? directory_accounts(l->directory) : NULL;

	if (known && accounts_find(known, name, device) && account_uses_note(l->uses, name, device, fitted, clock_now_ms()))
		l->uses_due = true;
}

void login_keep_uses(struct login *l, bool last)
{
	const struct accounts *known = directory_accounts(l->directory);
	uint64_t now = clock_mono_ms();

	if (!known || (!last && (!l->uses_due || now < l->uses_write_at)))
		return;
	l->uses_due = false;
	l->uses_write_at = now + KEEP_MS;
	if (account_uses_write(l->uses, known))
		return;
	log_warning(NULL, "login.uses_unwritten", kv("reason", strerror(errno)));
	l->uses_due = true;
}
