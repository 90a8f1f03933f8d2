/* init_questions.c - what `posthouse init` asks a person at a terminal who has not said it by options. Enter takes what is in
 * brackets; after an answer that does not fit, the question is asked again. */
#include "init.h"

#include "user.h"

#include "posthouse/names.h"

#include <sysexits.h>

const char *init_ask(struct init *t, const char *question)
{
	struct secret typed = { 0 };
	const char *answer = NULL;

	if (ask_person(question, true, &typed))
		answer = arena_cstr(&t->arena, str_trim(secret_view(&typed)));
	secret_fini(&typed); /* an empty line has memory too */
	return answer && *answer ? answer : NULL;
}

static void ask_hostname(struct init *t)
{
	struct str question = arena_printf(&t->arena, "Name of this relay [%.*s]: ", STR_ARG(t->hostname));
	const char *answer;

	while ((answer = init_ask(t, arena_cstr(&t->arena, question)))) {
		struct str name = domain_canonical(&t->arena, str_of(answer));

		if (host_name_valid(name)) {
			t->hostname = name;
			return;
		}
		fprintf(stderr, "That is no name of a host such as relay.example.org.\n");
	}
}

/* A server that no profile is of. */
static void ask_login(struct init *t)
{
	struct str question = arena_printf(&t->arena, "Login at %.*s [none]: ", STR_ARG(t->upstream_host));

	t->upstream_tls = "starttls";
	if (!t->login)
		t->login = init_ask(t, arena_cstr(&t->arena, question));
	if (t->login && !t->password_file)
		ask_person("Password there: ", false, &t->typed);
}

/* False: the answer is neither a provider nor a server. */
static bool take_next_hop(struct init *t, const char *answer)
{
	t->profile = profile_find(arena_lower(&t->arena, str_of(answer)));
	if (t->profile)
		return true;
	if (!strchr(answer, '.') && !strchr(answer, ':')) {
		struct str why = init_no_profile(t, answer);

		fprintf(stderr, "posthouse: %.*s\n", STR_ARG(why));
		return false;
	}
	if (init_read_upstream(t, answer)) {
		ask_login(t);
		return true;
	}
	t->upstream_host = t->upstream_port = S("");
	fprintf(stderr, "That is no server such as smtp.example.net or smtp.example.net:465.\n");
	return false;
}

static void ask_next_hop(struct init *t)
{
	const char *answer;

	do {
		answer = init_ask(t, "Who takes the mail? The name of a provider (gmail, ionos, ses ...; `posthouse upstream\n"
				     "profiles` lists them) or of a server, or Enter for delivery straight to the\n"
				     "recipients' servers: ");

	} while (answer && !take_next_hop(t, answer));
}

static void ask_user(struct init *t)
{
	const char *answer;

	while ((answer = init_ask(t, "First user [user]: ")) && !init_read_user(t, answer))
		fprintf(stderr, "That is no name such as alice.\n");
}

static void ask_password(struct init *t)
{
	struct str question = arena_printf(&t->arena, "Password of %.*s at %.*s [none is needed]: ", STR_ARG(t->personal),
					   STR_ARG(t->upstream_host));

	if (ask_person(arena_cstr(&t->arena, question), false, &t->typed) && t->typed.n > 0 && !t->login)
		t->login = arena_cstr(&t->arena, t->personal);
}

static void ask_reports(struct init *t)
{
	struct str question = arena_printf(&t->arena,
					   "Daily reports about TLS, to the domains that ask for them (RFC 8460), from\n"
					   "tls-reports@%.*s? [no]: ",
					   STR_ARG(t->domain));
	const char *answer = init_ask(t, arena_cstr(&t->arena, question));

	t->tls_reports = answer && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Who has said by an option where the mail goes knows the other options too, and gets what they are by default. */
void init_ask_questions(struct init *t, const struct options *o)
{
	if (!t->asks)
		return;
	if (t->personal.n > 0) {
		if (t->upstream_host.n > 0 && !t->password_file)
			ask_password(t);
		return;
	}
	if (t->mx || init_has_upstream(t))
		return;
	if (!options_value(o, "hostname"))
		ask_hostname(t);
	ask_next_hop(t);
	if (!options_value(o, "user"))
		ask_user(t);
	if (!init_has_upstream(t) && !t->tls_reports)
		ask_reports(t);
}
