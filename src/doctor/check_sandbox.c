/* check_sandbox.c - the walls around the roles of the relay that runs here: those of the kernel, and users of their own. */
#include "listeners.h"

/* ---- sandbox.walls ---- */

/* The names of the roles that lack this, each once: "login, queue". */
static struct str roles_without(struct arena *a, const struct machine_facts *m, struct str missing)
{
	struct str names = S(""), last = S("");

	for (size_t i = 0; i < m->walls.n; i++) {
		const struct role_walls *w = &m->walls.at[i];

		if (!str_eq(w->missing, missing) || str_eq(w->role, last))
			continue;
		names = arena_printf(a, "%.*s%s%.*s", STR_ARG(names), names.n ? ", " : "", STR_ARG(w->role));
		last = w->role;
	}
	return names;
}

/* Was this reported with an earlier role? */
static bool was_told(const struct machine_facts *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(m->walls.at[i].missing, m->walls.at[n].missing))
			return true;
	return false;
}

static void advise_walls(struct doctor *d, struct str missing)
{
	const struct machine_facts *m = machine_of(d);
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_ADVICE,
				    .found = missing,
				    .text = arena_printf(a, "without %.*s run: %.*s", STR_ARG(missing),
							 STR_ARG(roles_without(a, m, missing))) };

	if (doctor_config(d)->sandbox == SANDBOX_OFF) {
		f.remedy.text = S("The configuration says so. When no fault is looked for any more, restart the relay with:");
		f.remedy.config = S("sandbox = \"on\";");
	} else if (doctor_situation(d)->container) {
		f.remedy.text =
			S("The engine that runs the container forbids it, or the kernel of its machine lacks it. Update the "
			  "engine (Docker 23 and Podman 4 allow both), or let its seccomp profile allow seccomp, "
			  "landlock_create_ruleset, landlock_add_rule and landlock_restrict_self.");
	} else {
		f.remedy.text =
			S("The kernel or the service manager refuses it. Landlock needs Linux 5.13 or later (6.12 for all of "
			  "it), and \"landlock\" in this list, which the boot option lsm= can replace:");
		f.remedy.command = S("cat /sys/kernel/security/lsm");
	}
	finding_add(d, &f);
}

void check_sandbox_walls(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);
	bool any = false;

	for (size_t i = 0; i < m->walls.n; i++) {
		struct str missing = m->walls.at[i].missing;

		if (missing.n > 0 && !was_told(m, i))
			advise_walls(d, missing);
		any |= missing.n > 0;
	}
	if (m->walls.n > 0 && !any)
		finding_ok(d, S(""), S(""), S("each role gives up what it does not need: seccomp and landlock hold"));
}

/* ---- sandbox.users ---- */

void check_sandbox_users(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);
	struct str user = m->walls.user;

	if (m->walls.n == 0 || doctor_situation(d)->container) /* there it is one user, whichever it is */
		return;
	if (user.n == 0)
		finding_ok(d, S(""), S(""), S("the roles have users of their own"));
	else
		finding_add(
			d,
			&(struct doctor_finding){
				.result = DOCTOR_ADVICE,
				.found = user,
				.text = arena_printf(doctor_arena(d), "all roles run as %.*s", STR_ARG(user)),
				.remedy = { .text = S("Users of their own need a first process that is root; "
						      "posthouse-operation(7), USERS OF THE ROLES, says what that is worth, and "
						      "how to have it so.") } });
}
