/* listeners.c - our own listeners, as a client on this machine sees them, and their certificates. */
#include "listeners.h"

#include "posthouse/policy.h"

#include <time.h>

const struct machine_facts *machine_of(const struct doctor *d)
{
	static const struct machine_facts nothing;
	const struct machine_facts *m = facts_machine(d);

	return m ? m : &nothing;
}

struct str day_text(struct arena *a, uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[32] = "";

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%d", &tm);
	return arena_str(a, str_of(text));
}

struct str listener_text(struct doctor *d, const struct cfg_listen *l)
{
	bool v6 = str_find(l->address, ':') < l->address.n;

	return arena_printf(doctor_arena(d), v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(l->address), (unsigned)l->port);
}

struct str listener_address(const struct cfg_listen *l)
{
	if (str_eq(l->address, S("*")) || str_eq(l->address, S("0.0.0.0")))
		return S("127.0.0.1");
	return str_eq(l->address, S("::")) ? S("::1") : l->address;
}

bool listener_wants_proxy(const struct cfg_listen *l, struct str client)
{
	return networks_contain(&l->proxy_protocol, client);
}

const struct fact_probe *listener_probe(struct doctor *d, const struct cfg_listen *l)
{
	struct probe p = { .host = listener_address(l),
			   .port = (unsigned)l->port,
			   .tls = l->tls == LISTEN_IMPLICIT ? PROBE_IMPLICIT : PROBE_STARTTLS,
			   .tls_name = doctor_config(d)->hostname };

	return l->port == 0 || listener_wants_proxy(l, p.host) ? NULL : facts_probe(d, &p);
}

/* ---- certificates ---- */

static struct served *find(struct served *all, size_t n, struct str fingerprint)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(all[i].c.fingerprint, fingerprint))
			return &all[i];
	return NULL;
}

static size_t add_served(struct doctor *d, const struct cfg_listen *l, struct str pem, struct served *all, size_t n)
{
	struct served one = { .where = listener_text(d, l), .seen = true }, *same;

	if (!certificate_facts(doctor_arena(d), pem, machine_of(d)->authorities, &one.c))
		return n;
	same = find(all, n, one.c.fingerprint);
	if (!same)
		all[n] = one;
	else
		same->where = arena_printf(doctor_arena(d), "%.*s, %.*s", STR_ARG(same->where), STR_ARG(one.where));
	return same ? n : n + 1;
}

static size_t add_files(struct doctor *d, struct served *all, size_t n)
{
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->certificates_n; i++) {
		struct served one = { .where = c->certificates[i].chain, .file = &c->certificates[i] }, *same;

		if (!certificate_facts(doctor_arena(d), one.file->chain_pem, machine_of(d)->authorities, &one.c))
			continue;
		same = find(all, n, one.c.fingerprint);
		if (same)
			same->file = one.file;
		else
			all[n++] = one;
	}
	return n;
}

size_t served_all(struct doctor *d, struct served **out, bool *pending_out)
{
	const struct config *c = doctor_config(d);
	struct served *all = ARENA_ARRAY(doctor_arena(d), struct served, c->listen_n + c->certificates_n + 1);
	size_t n = 0;

	*pending_out = false;
	for (size_t i = 0; i < c->listen_n; i++) {
		const struct fact_probe *p = listener_probe(d, &c->listen[i]);

		*pending_out = *pending_out || (p && p->state == FACT_PENDING);
		if (p && p->state == FACT_THERE && p->chain_pem.n > 0)
			n = add_served(d, &c->listen[i], p->chain_pem, all, n);
	}
	*out = all;
	return add_files(d, all, n);
}
