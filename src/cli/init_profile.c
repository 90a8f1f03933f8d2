/* init_profile.c - `posthouse init --profile NAME`: the provider that takes the mail, and how the relay logs in there. What was
 * not given is asked for at a terminal; without one, the command ends with the instructions how to get it. */
#include "init.h"

#include "cli.h"
#include "user.h"

#include "posthouse/log.h"

#include <sysexits.h>

/* ---- its name ---- */

static bool is_near(struct str name, struct str typed)
{
	return str_starts(name, typed) || str_starts(typed, name) || str_distance(name, typed) <= 1 + typed.n / 4;
}

struct str init_no_profile(struct init *t, const char *name)
{
	struct str near = S(""), typed = arena_lower(&t->arena, str_of(name));

	for (size_t i = 0; i < profiles_n; i++) {
		struct str one, names = arena_printf(&t->arena, "%s %.*s", profiles[i].name,
						     STR_ARG(profile_aliases(&profiles[i], &t->arena)));

		while (str_split(&names, ' ', &one))
			if (one.n > 0 && is_near(one, typed))
				near = arena_printf(&t->arena, "%.*s%s%.*s", STR_ARG(near), near.n ? ", " : "", STR_ARG(one));
	}
	return arena_printf(&t->arena, "there is no profile \"%.*s\"%s%.*s; `posthouse upstream profiles` lists them",
			    STR_ARG(typed), near.n ? "; the nearest names are " : "", STR_ARG(near));
}

void init_take_profile(struct init *t, const struct options *o)
{
	const char *name = options_value(o, "profile");

	t->login = options_value(o, "login");
	t->password_file = options_value(o, "password-file");
	t->client_id = options_value(o, "client-id");
	t->client_secret_file = options_value(o, "client-secret-file");
	t->tenant = options_value(o, "tenant");
	t->region = options_value(o, "region");
	if (name)
		t->profile = profile_find(arena_lower(&t->arena, str_of(name)));
	if (name && !t->profile)
		die(EX_USAGE, "%.*s", STR_ARG(init_no_profile(t, name)));
	if (!t->profile && t->personal.n == 0 &&
	    (t->login || t->password_file || t->client_id || t->client_secret_file || t->tenant || t->region))
		die(EX_USAGE,
		    "--login, --password-file, --client-id, --client-secret-file, --tenant and --region need --profile");
}

/* ---- what does not fit the provider ---- */

static void check_way_in(const struct init *t)
{
	const struct profile *p = t->profile;

	if (!t->client_id && (t->client_secret_file || t->tenant))
		die(EX_USAGE, "--client-secret-file and --tenant belong to --client-id");
	if (t->client_id && t->password_file)
		die(EX_USAGE, "expected one of --password-file and --client-id: with OAuth a password is never sent");
	if (t->client_id && p->oauth == OAUTH_NONE)
		die(EX_USAGE, "%s is not known to take OAuth; expected --password-file in place of --client-id", p->name);
	if (t->password_file && !p->password)
		die(EX_USAGE, "%s takes no password, only OAuth; expected --client-id in place of --password-file", p->name);
}

static void check_server(const struct init *t)
{
	const struct profile *p = t->profile;

	if (t->region && !profile_wants_region(p))
		die(EX_USAGE, "%s has the same host everywhere; expected no --region", p->name);
	if (!t->region && profile_wants_region(p) && !p->region)
		die(EX_USAGE, "%s has a host for each region, %s: expected --region, such as eu-central-1. %s", p->name, p->host,
		    p->hint ? p->hint : "");
	if (p->own_ca && !t->ca)
		die(EX_USAGE, "%s has a certificate that no public authority has issued: expected --ca with a file of it",
		    p->name);
}

static void check_login(struct init *t)
{
	const struct profile *p = t->profile;

	if (p->form == FORM_WORD && !t->login)
		t->login = p->login;
	if (t->personal.n > 0 && !t->login && p->form <= FORM_ADDRESS)
		t->login = arena_cstr(&t->arena, t->personal);
	if (t->login && !profile_login_fits(p, str_of(t->login)))
		die(EX_USAGE, "--login: at %s it is %s%s, not \"%s\"", p->name, p->form == FORM_WORD ? "the word " : "", p->login,
		    t->login);
}

/* ---- what is missing ---- */

static const char *ask_login(struct init *t)
{
	return init_ask(
		t, arena_cstr(&t->arena, arena_printf(&t->arena, "Login at %s (%s): ", t->profile->name, t->profile->login)));
}

static void ask_secret(struct init *t, const char *what)
{
	struct str question =
		arena_printf(&t->arena, "%s at %s (%s): ", t->client_id ? "Application" : "Login", t->profile->name, what);

	ask_person(arena_cstr(&t->arena, question), false, &t->typed);
}

/* Google wants the secret of desktop applications too. */
static bool has_proof(const struct init *t)
{
	if (t->typed.n > 0)
		return true;
	return t->client_id ? t->client_secret_file || t->profile->oauth != OAUTH_GOOGLE : t->password_file != NULL;
}

void init_complete_profile(struct init *t)
{
	const struct profile *p = t->profile;
	bool asks = t->asks && (t->client_id || p->password);

	check_way_in(t);
	check_server(t);
	check_login(t);
	if (p->open && !t->login && !t->client_id && !t->password_file)
		return;
	if (asks && p->hint && !has_proof(t))
		printf("%s: %s\n", p->name, p->hint);
	if (asks && !t->login)
		t->login = ask_login(t);
	check_login(t);
	if (asks && t->login && !has_proof(t))
		ask_secret(t, t->client_id ? "client secret" : p->password);
	if (!t->login || !has_proof(t))
		init_tell_missing(t);
}

/* Called when the configuration's directory is known. */
void init_write_typed(struct init *t)
{
	FILE *file;
	const char *path;

	if (t->typed.n == 0)
		return;
	path = init_path_in(t, t->directory, init_secret_name(t));
	file = init_create(t, path, 0600);
	init_finish(t, file, path, fwrite(t->typed.p, 1, t->typed.n, file) == t->typed.n && fputc('\n', file) == '\n');
	if (t->client_id)
		t->client_secret_file = path;
	else
		t->password_file = path;
}
