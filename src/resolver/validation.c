/* validation.c - whether answers are validated (DNSSEC), without which there is no DANE.
 *
 * With Debian's root key alone it is not taken for granted that the name servers pass on signatures: forwarders of routers and
 * hotels often strip them, and then all that is signed would look forged, and no mail would go there. So a library is probed
 * before it is used. Where validation is not possible, answers are used without it, as insecure ones, and it is tried again from
 * time to time. Where it was possible once, it stays: signatures that are missing later are a forgery, not a reason to do without
 * them. A configured trust anchor is never probed: who names it demands validation. */
#include "resolver.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

enum {
	PROBE_MS = 5000,
	SILENT_AGAIN_MS = 5000,        /* to the probe after silence: the network is not there so far */
	AGAIN_MS = MINUTE_MS,          /* to the one after an answer without signatures, and then twice as long each time … */
	AGAIN_MAX_MS = 10 * MINUTE_MS, /* … up to this */
};

static void tell(struct resolver *r, bool validates, struct str reason, const char *remedy)
{
	enum validation_state state = validates ? VALIDATION_ON : VALIDATION_IMPOSSIBLE;

	if (r->validation.state == state)
		return;
	r->validation.state = state;
	if (validates)
		log_info(NULL, "resolver.validates");
	else
		log_warning(NULL, "resolver.unsigned", kv("reason", reason), kv("remedy", remedy));
}

bool validation_by_root_key(const struct cfg_delivery *d)
{
	return d->uses_dane &&
	       dns_tries_root_key(&(struct dns_options){ .resolver = d->resolver, .trust_anchor = d->trust_anchor });
}

void validation_stop(struct resolver *r)
{
	dns_probe_cancel(r->validation.probe);
	r->validation.probe = NULL;
	if (r->validation.candidate)
		dns_library_close(r->validation.candidate);
	r->validation.candidate = NULL;
}

/* ---- a probe ---- */

static void probe_later(struct resolver *r, bool silent)
{
	uint64_t ms = r->validation.again_ms;

	if (!silent)
		r->validation.again_ms = ms == 0 ? AGAIN_MS : 2 * ms < AGAIN_MAX_MS ? 2 * ms : AGAIN_MAX_MS;
	r->validation.again_at = clock_mono_ms() + (silent ? SILENT_AGAIN_MS : r->validation.again_ms);
}

static void not_possible(struct resolver *r, enum dns_validation result, struct str why)
{
	struct arena a = { 0 };
	const char *what = result == DNS_SILENT ? "do not answer a question about the root of the DNS"
						: "strip or refuse signatures (DNSSEC), or the clock is wrong";
	struct str reason = arena_printf(&a, "the name servers %s%s%.*s", what, why.n ? ": " : "", STR_ARG(why));

	probe_later(r, result == DNS_SILENT);
	tell(r, false, reason,
	     "use delivery.resolver = \"recursive\", or a validating resolver on this machine, as unbound; "
	     "or delivery.dane = false");
	arena_fini(&a);
}

static void on_probed(void *ctx, enum dns_validation result, struct str why)
{
	struct resolver *r = ctx;
	struct dns_library *probed = r->validation.candidate;

	r->validation.probe = NULL;
	r->validation.candidate = NULL;
	if (result == DNS_VALIDATES) {
		tell(r, true, S(""), "");
		if (probed)
			resolver_use(probed);
	} else {
		not_possible(r, result, why);
		if (probed)
			dns_library_close(probed);
		else
			resolver_use_unvalidated();
	}
	names_ask_waiting(r);
}

/* The library in use is new. */
void validation_begin(struct resolver *r, const struct cfg_delivery *d, bool by_root_key)
{
	r->validation.again_at = r->validation.again_ms = 0;
	if (!d->uses_dane && d->trust_anchor.n == 0)
		r->validation.state = VALIDATION_OFF;
	else if (by_root_key)
		r->validation.probe = dns_probe_validation(r->library, PROBE_MS, on_probed, r);
	else if (dns_library_validates(r->library))
		tell(r, true, S(""), "");
	else
		tell(r, false, S("there is no trust anchor: " DNS_ROOT_KEY " cannot be read"),
		     "install the package dns-root-data, or set delivery.trust_anchor; or delivery.dane = false");
}

bool validation_decides(const struct resolver *r)
{
	return r->validation.probe && !r->validation.candidate;
}

void validation_look_again(struct resolver *r)
{
	struct arena a = { 0 };
	struct verdict why;

	if (r->validation.again_at == 0 || r->validation.probe || clock_mono_ms() < r->validation.again_at)
		return;
	r->validation.candidate = resolver_open(DNS_ROOT_KEY, &a, &why);
	if (r->validation.candidate)
		r->validation.probe = dns_probe_validation(r->validation.candidate, PROBE_MS, on_probed, r);
	else
		probe_later(r, false);
	arena_fini(&a);
}
