/* init_guide.c - what `posthouse init` tells people: how to get what is needed to log in at a provider, and what to do next.
 * Lines that begin with six blanks are commands and options, and are meant to be copied. */
#include "init.h"

#include "cli.h"

#include "posthouse/config.h"

#include <stdlib.h>
#include <sysexits.h>

/* ---- registering an application ---- */

/* As the consoles of the providers were in 2026-11. */
static const char *const google[] = {
	"Open https://console.cloud.google.com/ and create a project; its name is of no matter.",
	"In \"APIs & Services\", fill in the \"OAuth consent screen\". Choose the audience \"Internal\" if the mailbox "
	"belongs to your own Google Workspace. Otherwise choose \"External\", and publish the application: as long as "
	"its status is \"Testing\", Google ends every sign-in after 7 days. For your own use Google does not need to "
	"verify it.",
	"In \"Credentials\", create an \"OAuth client ID\" with the application type \"Desktop app\": no other type fits.",
	"Note the client ID, and keep the client secret in a file: Google wants both.",
	NULL,
};
static const char *const microsoft[] = {
	"Open https://entra.microsoft.com/ and, in \"App registrations\", make a new registration. Supported account "
	"types: your organisation only (then give its domain to --tenant), or personal accounts for a mailbox at "
	"outlook.com. Leave the redirect URI empty.",
	"In its \"Authentication\", switch \"Allow public client flows\" on. Do not add a platform \"Single-page "
	"application\".",
	"In its \"API permissions\", add of \"Microsoft Graph\" the delegated permissions SMTP.Send and offline_access. "
	"Some organisations want an administrator to grant the consent.",
	"Switch SMTP AUTH on for the mailbox, which OAuth needs too: in https://admin.microsoft.com/ it is "
	"\"Authenticated SMTP\" in \"Manage email apps\" of the user. At outlook.com there is nothing to switch on.",
	"Note the \"Application (client) ID\". There is no client secret.",
	NULL,
};
static const char *const others[] = {
	"Register an application on the provider's pages for developers. It has to be one for the desktop, which returns to "
	"http://127.0.0.1, and needs the permission to send mail by SMTP.",
	"Note the client ID, and keep the client secret, if there is one, in a file.",
	NULL,
};

static const char *const provider_names[] = {
#define OAUTH(ID, name, ...) [OAUTH_##ID] = name,
#include "posthouse/oauth.def"
};

/* A provider of tokens: its name for people, and how an application is registered there. */
static const struct issuer {
	const char *shown;
	const char *const *steps; /* NULL: it registers no new applications */
} issuers[] = {
	[OAUTH_NONE] = { "", NULL },
	[OAUTH_GOOGLE] = { "Google", google },
	[OAUTH_MICROSOFT] = { "Microsoft", microsoft },
	[OAUTH_FASTMAIL] = { "Fastmail", others },
	[OAUTH_YAHOO] = { "Yahoo", NULL },
	[OAUTH_YANDEX] = { "Yandex", others },
	[OAUTH_MAILRU] = { "Mail.ru", others },
	[OAUTH_CUSTOM] = { "the provider", others },
};

static const struct issuer *issuer_of(const struct init *t)
{
	return &issuers[t->profile->oauth];
}

const char *init_provider(const struct init *t)
{
	return provider_names[t->profile->oauth];
}

static void print_registering(FILE *file, const struct init *t)
{
	const char *const *steps = issuer_of(t)->steps;

	for (char letter = 'a'; steps && *steps; steps++, letter++) {
		fprintf(file, "  %c. ", letter);
		print_words(file, str_of(*steps), 5, 5);
	}
	fprintf(file, "\n");
}

/* ---- what is missing ---- */

static const char *init_upstream_name(const struct init *t)
{
	return t->profile ? t->profile->name : "smarthost";
}

const char *init_program(struct init *t)
{
	return arena_cstr(&t->arena, program_with(&t->arena, t->config));
}

struct str init_secret_name(struct init *t)
{
	return arena_printf(&t->arena, "%s.%s", init_upstream_name(t), t->client_id ? "client-secret" : "password");
}

/* How to write a secret into a file, and how to call init with it. */
static void print_call(struct init *t, const char *what, const char *options)
{
	const char *path = init_path_in(t, t->directory, init_secret_name(t));
	bool word = t->profile->form == FORM_WORD;

	if (what)
		fprintf(stderr,
			"Keep the %s in a file. The second line reads it: type or paste it, then press Enter and Ctrl-D.\n\n"
			"      mkdir -p %s\n      (umask 077; cat >%s)\n\n",
			what, t->directory, path);
	fprintf(stderr, "Then give the same command again, with these options too:\n\n      %s%s%s%s\n\n",
		word ? "" : "--login LOGIN ", options, what ? " " : "", what ? path : "");
	if (!word)
		fprintf(stderr, "where LOGIN is %s.\n\n", t->profile->login);
}

void init_tell_missing(struct init *t)
{
	const struct profile *p = t->profile;
	const struct issuer *issuer = issuer_of(t);

	fprintf(stderr, "posthouse: more is needed to log in at %s.\n\n", p->name);
	if (p->hint)
		fprintf(stderr, "%s\n\n", p->hint);
	if (p->password && !t->client_id) {
		if (issuer->steps)
			fprintf(stderr, "One way in is a password.\n\n");
		print_call(t, p->password, "--password-file");
	}
	if (issuer->steps) {
		fprintf(stderr, "%s OAuth, by an application of your own, which you register at %s once:\n\n",
			p->password && !t->client_id ? "The other way in is" : "The way in is", issuer->shown);
		print_registering(stderr, t);
		t->client_id = "ID";
		print_call(t, p->oauth == OAUTH_GOOGLE ? "client secret" : NULL,
			   p->oauth == OAUTH_GOOGLE ? "--client-id ID --client-secret-file" : "--client-id ID");
	}
	exit(EX_USAGE);
}

/* ---- what to do next ---- */

struct steps {
	struct init *t;
	const char *program; /* posthouse, with the option for this configuration */
	unsigned n;
};

/* `command` is run with the text as its reason; NULL: the text says all. */
static void step(struct steps *s, struct str text, const char *command, const char *argument)
{
	printf("%u. ", ++s->n);
	print_words(stdout, text, 3, 3);
	if (command)
		printf("\n      %s %s%s%s\n\n", s->program, command, argument ? " " : "", argument ? argument : "");
}

static void steps_of_upstream(struct steps *s)
{
	static const char *const warned =
		". When Google warns that it has not verified the application, choose \"Advanced\" and go on";
	struct init *t = s->t;
	struct str login = str_of(t->login ? t->login : "");

	if (t->client_id)
		step(s,
		     arena_printf(
			     &t->arena,
			     "In another terminal, sign in as %.*s. The command says what to open in a browser, and waits%s:",
			     STR_ARG(login), t->profile->oauth == OAUTH_GOOGLE ? warned : ""),
		     "upstream login", t->profile->name);
	if (t->tried)
		return;
	if (t->profile)
		step(s, arena_printf(&t->arena, "See whether %s can be reached, and lets the relay in:", t->profile->name),
		     "upstream test", t->profile->name);
	else if (t->upstream_host.n)
		step(s, S("See whether the upstream can be reached, and lets the relay in:"), "upstream test", "smarthost");
}

void init_print_steps(struct init *t)
{
	bool standard = strcmp(t->config, DEFAULT_CONFIG) == 0;
	struct steps s = { t, init_program(t), 0 };

	printf("What to do next, in this order:\n\n");
	if (t->client_id) {
		step(&s,
		     arena_printf(&t->arena,
				  "Register the application at %s, if that was not done like this before:", issuer_of(t)->shown),
		     NULL, NULL);
		print_registering(stdout, t);
	}
	step(&s, S("See whether the configuration is good:"), "check", NULL);
	step(&s,
	     standard ? S("Start the relay (where systemd has its unit: systemctl enable --now posthouse):")
		      : S("Start the relay:"),
	     "serve", NULL);
	steps_of_upstream(&s);
	step(&s,
	     arena_printf(&t->arena,
			  "%s settings above in the mail client, and send a first message. `%s doctor` says what is not well.",
			  t->zone ? "Publish the DNS records, enter the" : "Enter the", s.program),
	     NULL, NULL);
}
