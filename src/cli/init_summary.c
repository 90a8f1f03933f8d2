/* init_summary.c - what `posthouse init` has made, and what remains to be done by people. */
#include "init.h"
#include "self_signed.h"

#include "client.h"
#include "smtp_call.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <sysexits.h>
#include <time.h>

static struct str title(struct init *t)
{
	time_t now = (time_t)(clock_now_ms() / SECOND_MS);
	struct tm tm;

	gmtime_r(&now, &tm);
	return arena_printf(&t->arena, "written by posthouse init on %04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
			    tm.tm_mday);
}

void init_write_zone(struct init *t)
{
	FILE *file = init_create(t, t->zone, 0644);
	struct buf b;

	init_make_records(t);
	buf_init(&b, MIB);
	dns_write_zone(&b, &t->records, t->domain, title(t));
	init_finish(t, file, t->zone, fwrite(b.p + b.from, 1, b.n, file) == b.n);
	buf_fini(&b);
}

/* ---- parts of the summary ---- */

static void say(struct str text)
{
	print_words(stdout, text, 0, 0);
}

static void print_files(struct init *t)
{
	printf("Written:\n  %s\n", t->config);
	if (t->has_certificate)
		printf("  (the certificate stays in %s)\n", t->chain);
	else
		printf("  %s\n    (self-signed, %d days: clients must be told to trust it; better take one of\n"
		       "    an authority)\n  %s\n  %s\n  %s\n    (the same for old devices, which know only RSA)\n",
		       t->chain, CERTIFICATE_DAYS, t->key, t->rsa_chain, t->rsa_key);
	for (size_t i = 0; i < INIT_KEYS && t->zone; i++)
		printf("  %s\n", t->keys[i].path);
	if (t->zone)
		printf("  %s\n", t->zone);
	printf("  %s\n", t->accounts);
	if (t->typed.n)
		printf("  %s\n", t->client_id ? t->client_secret_file : t->password_file);
	printf("\n");
}

static void print_renewal(const struct init *t)
{
	if (t->has_certificate)
		printf("The relay sees by itself when the certificate is renewed: certbot needs no hook.\n"
		       "A directory that only root can enter is good, as the files are read by the\n"
		       "process that stays root.\n\n");
}

static void print_dns(struct init *t)
{
	if (!t->zone)
		return;
	say(arena_printf(&t->arena, "DNS records to publish, as a zone file has them (%s has them too):", t->zone));
	printf("\n");
	print_records(&t->records, t->domain, title(t), RECORDS_ZONE);
	printf("\nThe same for the forms of a registrar or DNS host:\n\n");
	print_records(&t->records, t->domain, title(t), RECORDS_TABLE);
	printf("\n");
}

static void print_settings(struct init *t)
{
	printf("Settings for a mail client (outgoing server, SMTP):\n\n"
	       "  server      %.*s\n  port        %s with STARTTLS, or %s with SSL/TLS\n  login       %.*s\n",
	       STR_ARG(t->hostname), t->port_starttls, t->port_implicit, STR_ARG(t->name));
	if (!t->password_given && t->personal.n == 0)
		printf("  password    %.*s   (shown only now)\n", STR_ARG(secret_view(&t->password)));
	printf("  method      normal password (PLAIN or LOGIN) or, as \"encrypted password\",\n"
	       "              SCRAM-SHA-256\n\n");
	say(arena_printf(&t->arena, "Click by click, or line by line: `%s client NAME`, where NAME is one of", init_program(t)));
	say(client_names(&t->arena));
	printf("\n");
}

static void print_way(struct init *t)
{
	if (t->personal.n > 0 || init_has_upstream(t))
		return;
	say(arena_printf(&t->arena,
			 "Mail goes directly to its recipients' servers. They expect that this machine can connect to port 25 "
			 "elsewhere, that its address has the reverse name %.*s, and that SPF of %.*s allows it.",
			 STR_ARG(t->hostname), STR_ARG(t->domain)));
	if (!t->mx)
		say(S("Otherwise fill in `upstreams`: a server that takes the mail from here."));
	printf("\n");
}

/* The password goes to standard error where standard output has records for a program. */
static void print_only_records(struct init *t)
{
	print_records(&t->records, t->domain, title(t), t->format);
	fprintf(stderr, "Written: %s\nlogin %.*s", t->config, STR_ARG(t->name));
	if (!t->password_given)
		fprintf(stderr, ", password %.*s (shown only now)", STR_ARG(secret_view(&t->password)));
	fprintf(stderr, "\n");
}

/* What a person needs who has nothing but a mailbox: as little as possible. */
static void print_personal(struct init *t)
{
	say(arena_printf(&t->arena, "Made %s and the login %.*s%s", t->config, STR_ARG(t->name), t->password_given ? "." : ","));
	if (!t->password_given)
		printf("password %.*s (shown only now). ", STR_ARG(secret_view(&t->password)));
	printf("Mail leaves as %.*s.\n", STR_ARG(t->personal));
	if (t->typed.n)
		say(arena_printf(&t->arena, "The %s is in %s.", t->client_id ? "client secret" : "password of the provider",
				 t->client_id ? t->client_secret_file : t->password_file));
	printf("\n");
}

void init_print_summary(struct init *t)
{
	if (t->only_records && t->zone) {
		print_only_records(t);
		return;
	}
	if (t->personal.n > 0)
		print_personal(t);
	else
		print_files(t);
	print_renewal(t);
	print_dns(t);
	print_settings(t);
	print_way(t);
	init_print_steps(t);
}
