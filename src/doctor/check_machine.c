/* check_machine.c - the clock, the disk, the state directory, secrets, and mail that waits. */
#include "listeners.h"

#include "posthouse/units.h"

#include <stdio.h>
#include <time.h>

/* ---- clock.sync ---- */

#define WRONG_MS (5 * MINUTE_MS)

/* The date that a greeting ends in, as Microsoft's and Exim's do (RFC 5322 3.3: "Tue, 2 Mar 2027 14:02:11 +0000"); 0: none. */
static uint64_t greeting_date(struct str greeting)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct str line = str_head(greeting, str_find(greeting, '\r'));
	size_t comma = str_rfind(str_head(line, str_find(line, '\n')), ',');
	char text[48], month[4] = "", sign;
	struct tm tm = { 0 };
	unsigned zone;
	const char *at;

	if (comma >= line.n)
		return 0;
	snprintf(text, sizeof text, "%.*s", STR_ARG(str_from(line, comma + 1)));
	if (sscanf(text, " %2d %3[A-Za-z] %4d %2d:%2d:%2d %c%4u", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec, &sign, &zone) != 8 ||
	    (sign != '+' && sign != '-') || strlen(month) != 3)
		return 0;
	at = strstr(months, month);
	if (!at || (at - months) % 3 != 0 || tm.tm_year < 2000)
		return 0;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	return (uint64_t)(timegm(&tm) - (sign == '+' ? 1 : -1) * (time_t)(zone / 100 * 60 + zone % 100) * 60) * 1000;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static struct str time_words(struct arena *a, uint64_t ms)
{
	char text[40] = "";
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm);
	return arena_str(a, str_of(text));
}

static void tell_clock(struct doctor *d, struct str text)
{
	finding_add(d, &(struct doctor_finding){
			       .result = DOCTOR_FAILURE,
			       .found = time_words(doctor_arena(d), doctor_now(d)),
			       .text = text,
			       .remedy = { .text = doctor_situation(d)->container ? S("The clock is the host's: set it there.")
										  : S("Have the clock set from the network:"),
					   .command = doctor_situation(d)->container ? S("") : S("timedatectl set-ntp true") } });
}

/* What the clock must be later than; "": it is not wrong. */
static struct str clock_fault(struct doctor *d, const struct clock_facts *k)
{
	const struct config *c = doctor_config(d);
	struct arena *a = doctor_arena(d);
	uint64_t now = doctor_now(d);
	struct certificate one;

	if (k->built_at > now + WRONG_MS)
		return arena_printf(a, "the clock says %.*s, which is before this program was built (%.*s)",
				    STR_ARG(time_words(a, now)), STR_ARG(day_text(a, k->built_at)));
	if (k->stored_at > now + WRONG_MS)
		return arena_printf(a, "the clock says %.*s, but mail was stored at %.*s", STR_ARG(time_words(a, now)),
				    STR_ARG(time_words(a, k->stored_at)));
	for (size_t i = 0; i < c->certificates_n; i++)
		if (certificate_facts(a, c->certificates[i].chain_pem, S(""), &one) && one.not_before > now + DAY_MS)
			return arena_printf(a, "the clock says %.*s, which is before our certificate was made (%.*s)",
					    STR_ARG(time_words(a, now)), STR_ARG(day_text(a, one.not_before)));
	return S("");
}

/* The date of a mail server that was greeted for another check. */
static struct str greeting_fault(struct doctor *d)
{
	struct str_list greetings = facts_greetings(d);
	struct arena *a = doctor_arena(d);

	for (size_t i = 0; i < greetings.n; i++) {
		uint64_t theirs = greeting_date(greetings.at[i]);

		if (theirs > 0 && distance(theirs, doctor_now(d)) > WRONG_MS)
			return arena_printf(a, "the clock says %.*s, that of a mail server says %.*s",
					    STR_ARG(time_words(a, doctor_now(d))), STR_ARG(time_words(a, theirs)));
	}
	return S("");
}

void check_clock_sync(struct doctor *d)
{
	const struct clock_facts *k = &machine_of(d)->clock;
	struct str wrong = clock_fault(d, k);

	if (wrong.n == 0)
		wrong = greeting_fault(d);
	if (wrong.n > 0)
		tell_clock(d, wrong);
	else if (!k->known)
		finding_unknown(d, S(""), S(""),
				arena_printf(doctor_arena(d),
					     "whether the clock is set from the network cannot be seen here: %.*s",
					     STR_ARG(k->why.n ? k->why : S("nobody has looked"))));
	else if (!k->synchronised)
		finding_add(
			d, &(struct doctor_finding){
				   .result = DOCTOR_WARNING,
				   .text = S("the clock is not set from the network"),
				   .why = S("It will go wrong; certificates and limits then fail, receivers distrust Date."),
				   .remedy = { .text = doctor_situation(d)->container ? S("The clock is the host's: do it there:")
										      : S("Let a service do it:"),
					       .command = S("apt install systemd-timesyncd; timedatectl set-ntp true") } });
	else
		finding_ok(d, S(""), S(""), S("the clock is set from the network"));
}

/* ---- disk.space ---- */

#define PLENTY 3 /* times min_free */

static struct str size_text(struct arena *a, uint64_t bytes)
{
	if (bytes >= 10 * 1024 * MIB)
		return arena_printf(a, "%llu GiB", (unsigned long long)(bytes / (1024 * MIB)));
	return bytes >= 10 * MIB ? arena_printf(a, "%llu MiB", (unsigned long long)(bytes / MIB))
				 : arena_printf(a, "%llu KiB", (unsigned long long)(bytes / KIB));
}

void check_disk_space(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	const struct state_facts *s = &machine_of(d)->state;
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = c->state_dir };

	if (!s->known) {
		finding_unknown(d, S(""), c->state_dir, arena_printf(a, "could not be looked at: %.*s", STR_ARG(s->why)));
		return;
	}
	if (s->free_bytes < c->queue.min_free)
		f.text = arena_printf(a, "has %.*s free, less than queue.min_free (%.*s)", STR_ARG(size_text(a, s->free_bytes)),
				      STR_ARG(size_text(a, c->queue.min_free)));
	else if (s->total_files > 0 && s->free_files * 100 < s->total_files)
		f.text = arena_printf(a, "has only %llu of %llu inodes free", (unsigned long long)s->free_files,
				      (unsigned long long)s->total_files);
	else if (s->free_bytes < PLENTY * c->queue.min_free) {
		f.result = DOCTOR_WARNING;
		f.why = S("When it falls below queue.min_free, new mail is refused with 452.");
		f.text = arena_printf(a, "has %.*s free; mail is refused below %.*s", STR_ARG(size_text(a, s->free_bytes)),
				      STR_ARG(size_text(a, c->queue.min_free)));
	} else {
		finding_ok(d, S(""), c->state_dir, arena_printf(a, "has %.*s free", STR_ARG(size_text(a, s->free_bytes))));
		return;
	}
	f.found = size_text(a, s->free_bytes);
	f.remedy.text = arena_printf(a, "Make room: of %.*s, the mail takes %.*s. Then look at what waits:",
				     STR_ARG(size_text(a, s->total_bytes)), STR_ARG(size_text(a, s->queue_bytes)));
	f.remedy.command = S("posthouse queue summary");
	finding_add(d, &f);
}

/* ---- state.filesystem ---- */

/* The mail of a node is in the database that it shares with others. */
static void of_the_container(const struct config *c, struct doctor_finding *f)
{
	f->text = S("is in the container itself: the queue goes with the container");
	if (c->store.engine != ENGINE_POSTGRESQL)
		return;
	f->result = DOCTOR_WARNING;
	f->text = S("is in the container itself: each new container is a new node");
	f->why = S("The number of the old one stays in use until `posthouse node remove`, and there are 15. "
		   "Mail is in the database, but results that could not be stored there are lost, and such mail comes twice.");
}

void check_state_filesystem(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	const struct state_facts *s = &machine_of(d)->state;
	bool box = doctor_situation(d)->container;
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = c->state_dir };

	if (!s->known) {
		finding_unknown(d, S(""), c->state_dir, arena_printf(a, "could not be looked at: %.*s", STR_ARG(s->why)));
		return;
	}
	if (s->unsafe.n > 0)
		f.text = arena_printf(a, "is on %.*s, where mail is not safe", STR_ARG(s->unsafe));
	else if (box && (s->overlay || s->same_as_root))
		of_the_container(c, &f);
	else {
		finding_ok(d, S(""), c->state_dir, S("is on a file system that keeps mail"));
		return;
	}
	f.found = s->unsafe.n ? s->unsafe : s->overlay ? S("overlay") : S("the file system of /");
	if (box) {
		f.remedy.text = S("Give it a volume, when the container is made:");
		f.remedy.command = arena_printf(a, "docker run -v posthouse:%.*s …", STR_ARG(c->state_dir));
	} else {
		f.remedy.text = S("Put it on a local disk (ext4, xfs, btrfs, zfs):");
		f.remedy.config = S("state_dir = \"/var/lib/posthouse\";");
	}
	finding_add(d, &f);
}

/* ---- state.access ---- */

void check_state_access(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	const struct state_facts *s = &machine_of(d)->state;
	struct arena *a = doctor_arena(d);

	if (!s->access_known) {
		finding_unknown(d, S(""), c->state_dir, S("only root and the relay's user can try this"));
		return;
	}
	for (size_t i = 0; i < s->faults.n; i++)
		finding_add(d, &(struct doctor_finding){
				       .result = DOCTOR_FAILURE,
				       .subject = s->fault_paths.at[i],
				       .text = s->faults.at[i],
				       .remedy = { .text = S("Give it to the relay's user:"),
						   .command = arena_printf(a, "chown -R %.*s: %.*s", STR_ARG(s->user),
									   STR_ARG(s->fault_paths.at[i])) } });
	if (s->faults.n == 0)
		finding_ok(d, S(""), c->state_dir, arena_printf(a, "can be used by %.*s", STR_ARG(s->user)));
}

/* ---- files.secrets ---- */

void check_files_secrets(struct doctor *d)
{
	const struct secret_facts *s = &machine_of(d)->secrets;

	for (size_t i = 0; i < s->readable.n; i++)
		finding_add(d, &(struct doctor_finding){ .result = DOCTOR_WARNING,
							 .subject = s->readable.at[i],
							 .text = S("holds a secret, and everybody on this machine can read it"),
							 .remedy = { .text = S("Close it:"),
								     .command = arena_printf(doctor_arena(d), "chmod 600 %.*s",
											     STR_ARG(s->readable.at[i])) } });
	if (s->readable.n == 0 && s->n > 0)
		finding_ok(d, S(""), S(""), S("no secret can be read by others"));
}

/* ---- container.clients ---- */

#define SESSIONS_LEAST 20

void check_container_clients(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);
	struct arena *a = doctor_arena(d);

	if (!m->clients.known || m->clients.all < SESSIONS_LEAST)
		return;
	if (m->clients.from_gateway * 10 <= m->clients.all * 9) {
		finding_ok(d, S(""), S(""), S("clients come with their own addresses"));
		return;
	}
	finding_add(
		d,
		&(struct doctor_finding){
			.result = DOCTOR_WARNING,
			.found = m->gateways.n > 0 ? m->gateways.at[0] : S(""),
			.text = arena_printf(
				a,
				"%llu of %llu client connections since the relay's start on %.*s seem to come from the gateway",
				(unsigned long long)m->clients.from_gateway, (unsigned long long)m->clients.all,
				STR_ARG(day_text(a, m->relay.started_at))),
			.remedy = {
				.text = S("Let the container see its clients: the host's network (docker run --network host), "
					  "a proxy with the PROXY protocol (listen.proxy_protocol), or in Kubernetes "
					  "externalTrafficPolicy: Local.") } });
}

/* ---- queue.waits ---- */

static struct str age_words(struct arena *a, uint64_t ms)
{
	return ms >= 2 * DAY_MS ? arena_printf(a, "%llu days", (unsigned long long)(ms / DAY_MS))
				: arena_printf(a, "%llu hours", (unsigned long long)(ms / HOUR_MS));
}

void check_queue_waits(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);
	struct arena *a = doctor_arena(d);

	if (!m->waiting.known)
		return;
	for (size_t i = 0; i < m->waiting.n; i++) {
		const struct waiting_fact *w = &m->waiting.at[i];
		uint64_t age = doctor_now(d) > w->received_at ? doctor_now(d) - w->received_at : 0;

		finding_add(
			d, &(struct doctor_finding){
				   .result = DOCTOR_WARNING,
				   .subject = w->destination,
				   .found = w->reply,
				   .text = arena_printf(a, "%zu message%s wait%s, the oldest for %.*s%s%.*s", w->n,
							w->n == 1 ? "" : "s", w->n == 1 ? "s" : "", STR_ARG(age_words(a, age)),
							w->reply.n ? ": " : "", STR_ARG(w->reply)),
				   .remedy = { .text = S("Look at all that waits:"), .command = S("posthouse queue summary") } });
	}
	if (m->waiting.n == 0)
		finding_ok(d, S(""), S(""), S("no mail waits for long"));
}
