/* fuzz_local.c - users of this machine and what they write as addresses: lines user, sender, recipient. A user without an entry
 * sends as itself only, whatever it is called. */
#include "fuzz.h"
#include "schema.h"

#include "posthouse/policy.h"

static struct cfg_local_user users[] = { { .user = S("cron") }, { .user = S("1000") } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), user = fuzz_line(&rest), sender = fuzz_line(&rest), recipient = fuzz_line(&rest);
	struct config c = { .hostname = S("relay.example.org"), .local = { .users = users, .users_n = 2 } };
	struct local_user u;
	struct arena a = { 0 };
	struct str name, is;
	bool postmaster;

	c.auth.realm = S("example.org");
	c.postmaster = S("postmaster@example.org");
	local_user_of(&c, &a, user, size, &u);
	assert(u.entry <= 2);
	if (u.login.n > 0) {
		fuzz_assert_one_line(u.login);
		assert(str_find(u.login, ' ') == u.login.n && str_find(u.login, '/') == u.login.n);
	}
	if (local_name(&c, sender, &name))
		assert(name.n <= sender.n && str_starts(sender, name));
	is = local_sender(&c, &a, &u, sender);
	assert(is.n <= sender.n + u.sender.n + c.auth.realm.n + 1);
	(void)local_field(&c, &a, &u, size & 1, sender);
	is = local_recipient(&c, &a, S("cron daemon"), recipient, &postmaster);
	assert(!postmaster || str_eq(is, c.postmaster));
	arena_fini(&a);
	return 0;
}
