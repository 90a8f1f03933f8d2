/* check_certificates.c - the certificates that clients get from us: whether they lead to an authority, have our name, last, have
 * keys that clients can use, and ask for nothing that we do not do. */
#include "listeners.h"
#include "run.h"

#include "posthouse/units.h"

#define WARN_DAYS 21
#define FAIL_DAYS 7
#define RSA_LEAST 2048

typedef void (*judge_fn)(struct doctor *d, const struct served *s);

/* One finding for each certificate, once all listeners have answered. */
static void for_each(struct doctor *d, judge_fn judge)
{
	struct served *all;
	bool pending;
	size_t n = served_all(d, &all, &pending);

	for (size_t i = 0; i < n && !pending; i++)
		judge(d, &all[i]);
}

static struct str chain_path(const struct served *s)
{
	return s->file ? s->file->chain : S("the certificate file");
}

/* ---- cert.chain ---- */

/* Printers and programs can be told to trust one certificate; without any login of a person nobody else connects. */
static bool only_devices(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);

	return m->accounts.known && m->accounts.n == 0 && doctor_config(d)->devices_n > 0;
}

static void judge_chain(struct doctor *d, const struct served *s)
{
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .subject = s->where, .result = DOCTOR_FAILURE, .found = s->c.issuer };

	switch (s->c.chain) {
	case CHAIN_GOOD: finding_ok(d, S(""), s->where, S("the certificate leads to a known authority")); return;
	case CHAIN_INCOMPLETE:
		f.text = arena_printf(a, "the certificate of the issuer is not sent: %.*s", STR_ARG(s->c.detail));
		f.remedy.text =
			arena_printf(a, "Name the whole chain (certbot: fullchain.pem, not cert.pem) in certificates%s%.*s.",
				     s->c.issuer_url.n ? ", or append the issuer's from " : "", STR_ARG(s->c.issuer_url));
		break;
	case CHAIN_DISORDERED:
		f.text = arena_printf(a, "the certificates are in the wrong order: %.*s is misplaced", STR_ARG(s->c.detail));
		f.remedy.text = arena_printf(a, "In %.*s: first the server's, then each one's issuer.", STR_ARG(chain_path(s)));
		break;
	case CHAIN_SELF_SIGNED:
		f.result = only_devices(d) ? DOCTOR_ADVICE : DOCTOR_WARNING;
		f.text = S("the certificate is self-signed: each client has to be told to trust it");
		f.why = S("Programs ask or refuse; phones often cannot be told at all.");
		f.remedy.text = S("Get one of a public authority (it is free), and name it in certificates:");
		f.remedy.command = arena_printf(a, "certbot certonly -d %.*s", STR_ARG(doctor_config(d)->hostname));
		if (name_form_fault(doctor_config(d)->hostname).n > 0) { /* no public authority certifies such a name */
			f.result = DOCTOR_ADVICE;
			f.remedy.text = S("How to trust it is said for each program by:");
			f.remedy.command = S("posthouse client NAME");
		}
		break;
	case CHAIN_PRIVATE:
		f.result = only_devices(d) ? DOCTOR_ADVICE : DOCTOR_WARNING;
		f.text = arena_printf(a, "the authority is a private one: %.*s", STR_ARG(s->c.detail));
		f.why = S("Each client has to be told to trust this authority.");
		f.remedy.text = S("Install the authority's certificate on each device, or take a public one.");
		break;
	case CHAIN_WRONG:
		f.text = arena_printf(a, "clients cannot verify the certificate: %.*s", STR_ARG(s->c.detail));
		f.remedy.text = arena_printf(a, "Get a new one in %.*s.", STR_ARG(chain_path(s)));
		break;
	}
	finding_add(d, &f);
}

void check_cert_chain(struct doctor *d)
{
	for_each(d, judge_chain);
}

/* ---- cert.names ---- */

/* Is the target of an SRV record this relay, by its name or one of its addresses? *pending_out: it is not known yet. */
static bool is_us(struct doctor *d, struct str target, bool *pending_out)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	const struct situation *s = doctor_situation(d);

	if (str_ieq(target, doctor_config(d)->hostname))
		return true;
	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *theirs = facts_dns(d, VIEW_WORLD, target, types[t]);
		const struct fact_dns *ours = facts_dns(d, VIEW_WORLD, doctor_config(d)->hostname, types[t]);

		*pending_out = *pending_out || theirs->state == FACT_PENDING || ours->state == FACT_PENDING;
		for (size_t i = 0; theirs->state == FACT_THERE && i < theirs->n; i++) {
			for (size_t k = 0; ours->state == FACT_THERE && k < ours->n; k++)
				if (str_eq(theirs->records[i].text, ours->records[k].text))
					return true;
			for (size_t k = 0; k < s->addresses_n; k++)
				if (str_eq(theirs->records[i].text, s->addresses[k].text))
					return true;
		}
	}
	return false;
}

static void add_name(struct str_list *names, struct str name)
{
	for (size_t i = 0; i < names->n; i++)
		if (str_ieq(names->at[i], name))
			return;
	names->at[names->n++] = name;
}

#define SRV_TARGETS 4 /* of a domain and a service; more are not looked at */

/* H, and the names under which SRV records (RFC 6186, RFC 8314) send clients to us. */
static bool expected_names(struct doctor *d, struct str_list *names)
{
	static const char *const services[] = { "_submissions._tcp", "_submission._tcp" };
	const struct situation *s = doctor_situation(d);
	bool pending = false;

	names->at = ARENA_ARRAY(doctor_arena(d), struct str, 1 + s->domains_n * 2 * SRV_TARGETS);
	names->n = 0;
	add_name(names, doctor_config(d)->hostname);
	for (size_t i = 0; i < s->domains_n * 2 && !s->offline; i++) {
		struct str name = arena_printf(doctor_arena(d), "%s.%.*s", services[i % 2], STR_ARG(s->domains[i / 2].name));
		const struct fact_dns *srv = facts_dns(d, VIEW_CLIENTS, name, 33); /* SRV */

		pending = pending || srv->state == FACT_PENDING;
		for (size_t k = 0; srv->state == FACT_THERE && k < srv->n && k < SRV_TARGETS; k++)
			if (srv->records[k].text.n > 1 && is_us(d, srv->records[k].text, &pending))
				add_name(names, srv->records[k].text);
	}
	return !pending;
}

static struct str names_text(struct arena *a, const struct str_list *names)
{
	struct str text = S("");

	for (size_t i = 0; i < names->n && i < 5; i++)
		text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), i ? ", " : "", STR_ARG(names->at[i]));
	return names->n > 5 ? arena_printf(a, "%.*s and %zu more", STR_ARG(text), names->n - 5) : text;
}

static void no_such_name(struct doctor *d, const struct served *like, struct str name, const struct str_list *wanted)
{
	struct arena *a = doctor_arena(d);
	struct str list = S("");
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = name, .expected = name };

	for (size_t i = 0; i < wanted->n; i++)
		list = arena_printf(a, "%.*s -d %.*s", STR_ARG(list), STR_ARG(wanted->at[i]));
	f.found = names_text(a, &like->c.names);
	if (like->c.names.n == 0 && str_ieq(like->c.common_name, name))
		f.text = S("the name is only the certificate's CN, which clients do not look at");
	else
		f.text = arena_printf(a, "is no name of the certificate at %.*s%s%.*s", STR_ARG(like->where),
				      f.found.n ? ", which has " : "", STR_ARG(f.found));
	f.remedy.text = S("Order the certificate again for all the names that clients use:");
	f.remedy.command = arena_printf(a, "certbot certonly%.*s", STR_ARG(list));
	finding_add(d, &f);
}

/* A name is good when one certificate has it: a client gets the one for the name that it asks for. */
void check_cert_names(struct doctor *d)
{
	struct str_list wanted;
	struct served *all;
	bool pending, named = expected_names(d, &wanted);
	size_t n = served_all(d, &all, &pending);

	if (pending || !named || n == 0)
		return;
	for (size_t w = 0; w < wanted.n; w++) {
		bool found = false;

		for (size_t i = 0; i < n && !found; i++)
			found = certificate_bears(&all[i].c, wanted.at[w]);
		if (found)
			finding_ok(d, S(""), wanted.at[w], S("is a name of the certificate"));
		else
			no_such_name(d, &all[0], wanted.at[w], &wanted);
	}
}

/* ---- cert.expiry ---- */

/* Of .../live/NAME/...: certbot's name for it; "": it is not certbot's. */
static struct str certbot_name(struct str path)
{
	size_t at = str_search(path, S("/letsencrypt/live/"));
	struct str rest = str_from(path, at + 18);

	return at < path.n ? str_head(rest, str_find(rest, '/')) : S("");
}

static void renewal(struct doctor *d, const struct served *s, struct doctor_finding *f)
{
	struct arena *a = doctor_arena(d);
	struct str name = s->file ? certbot_name(s->file->chain) : S("");

	if (name.n > 0) {
		f->remedy.text = S("Renew it; the new file is taken up by itself:");
		f->remedy.command = arena_printf(a, "certbot renew --cert-name %.*s", STR_ARG(name));
	} else if (s->c.chain == CHAIN_SELF_SIGNED && s->file) {
		f->remedy.text = S("Make a new one; the new file is taken up by itself:");
		f->remedy.command = arena_printf(a,
						 "openssl req -x509 -key %.*s -out %.*s -days 3650 -subj /CN=%.*s"
						 " -addext subjectAltName=DNS:%.*s",
						 STR_ARG(s->file->key), STR_ARG(s->file->chain),
						 STR_ARG(doctor_config(d)->hostname), STR_ARG(doctor_config(d)->hostname));
	} else {
		f->remedy.text =
			arena_printf(a, "Put a new certificate into %.*s; it is taken up by itself.", STR_ARG(chain_path(s)));
	}
}

/* Do the two serve the same clients? Then the newer one on disk should be the one that is served. */
static bool shares_name(const struct certificate *a, const struct certificate *b)
{
	for (size_t i = 0; i < a->names.n; i++)
		for (size_t k = 0; k < b->names.n; k++)
			if (str_ieq(a->names.at[i], b->names.at[k]))
				return true;
	return false;
}

static bool is_replaced(const struct served *s, const struct served *all, size_t n)
{
	for (size_t i = 0; i < n && s->seen && !s->file; i++)
		if (all[i].file && !all[i].seen && all[i].c.not_before > s->c.not_before && all[i].c.key == s->c.key &&
		    shares_name(&s->c, &all[i].c))
			return true;
	return false;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void judge_dates(struct doctor *d, const struct served *s)
{
	uint64_t now = doctor_now(d), life = s->c.not_after - s->c.not_before, left = s->c.not_after - now;
	struct arena *a = doctor_arena(d);
	struct str end = day_text(a, s->c.not_after);
	struct doctor_finding f = { .subject = s->where, .result = DOCTOR_FAILURE, .found = end };

	if (now >= s->c.not_after)
		f.text = arena_printf(a, "the certificate has expired on %.*s", STR_ARG(end));
	else if (now < s->c.not_before) {
		f.found = day_text(a, s->c.not_before);
		f.text = arena_printf(a, "the certificate is not valid before %.*s; is the clock right?", STR_ARG(f.found));
	} else if (left < least(WARN_DAYS * DAY_MS, life / 4)) {
		f.result = left < least(FAIL_DAYS * DAY_MS, life / 10) ? DOCTOR_FAILURE : DOCTOR_WARNING;
		f.text = left < 2 * DAY_MS
				 ? arena_printf(a, "the certificate expires in %llu hours", (unsigned long long)(left / HOUR_MS))
				 : arena_printf(a, "the certificate expires on %.*s, in %llu days", STR_ARG(end),
						(unsigned long long)(left / DAY_MS));
	} else {
		finding_ok(d, S(""), s->where, arena_printf(a, "the certificate is valid until %.*s", STR_ARG(end)));
		return;
	}
	renewal(d, s, &f);
	finding_add(d, &f);
}

static void tell_old(struct doctor *d, const struct served *s)
{
	finding_add(d, &(struct doctor_finding){
			       .subject = s->where,
			       .result = DOCTOR_FAILURE,
			       .text = arena_printf(doctor_arena(d),
						    "serves the old certificate (until %.*s); the file has a newer one",
						    STR_ARG(day_text(doctor_arena(d), s->c.not_after))),
			       .why = S("The renewal has worked, but clients do not get it."),
			       .remedy = { .text = S("Have it taken up:"), .command = S("posthouse reload") } });
}

void check_cert_expiry(struct doctor *d)
{
	struct served *all;
	bool pending;
	size_t n = served_all(d, &all, &pending);

	for (size_t i = 0; i < n && !pending; i++)
		if (is_replaced(&all[i], all, n))
			tell_old(d, &all[i]);
		else
			judge_dates(d, &all[i]);
}

/* ---- cert.keys ---- */

static bool is_common_curve(struct str curve)
{
	return str_eq(curve, S("P-256")) || str_eq(curve, S("P-384")) || str_eq(curve, S("P-521"));
}

static void judge_key(struct doctor *d, const struct served *s)
{
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .subject = s->where, .result = DOCTOR_FAILURE };

	if (s->c.old_hash.n > 0) {
		f.text = arena_printf(a, "a signature in the chain is made with %.*s", STR_ARG(s->c.old_hash));
		f.why = S("No program of today accepts that.");
	} else if (s->c.key == KEY_RSA && s->c.bits < RSA_LEAST) {
		f.text = arena_printf(a, "the RSA key has only %u bits", s->c.bits);
		f.why = S("Programs of today refuse keys below 2048 bits.");
	} else if (s->c.key == KEY_EC && !is_common_curve(s->c.curve)) {
		f.text = arena_printf(a, "the key is on the curve %.*s", STR_ARG(s->c.curve));
		f.why = S("Phones and most programs know P-256 and P-384 only.");
	} else {
		finding_ok(d, S(""), s->where, S("the key and its signatures are what programs of today want"));
		return;
	}
	f.remedy.text = arena_printf(a, "Order a new one with a new key into %.*s:", STR_ARG(chain_path(s)));
	f.remedy.command = arena_printf(a, "certbot certonly --key-type ecdsa -d %.*s", STR_ARG(doctor_config(d)->hostname));
	finding_add(d, &f);
}

static bool has_legacy_device(const struct config *c)
{
	for (size_t i = 0; i < c->devices_n; i++)
		if (c->devices[i].tls == DEVICE_TLS_LEGACY)
			return true;
	return false;
}

/* Together they should serve new and old clients: an old device takes RSA, a new phone is faster with ECDSA. */
static void judge_kinds(struct doctor *d, const struct served *all, size_t n)
{
	struct doctor_finding f = { .result = DOCTOR_ADVICE };
	bool rsa = false, others = false;

	for (size_t i = 0; i < n; i++) {
		rsa = rsa || all[i].c.key == KEY_RSA;
		others = others || all[i].c.key != KEY_RSA;
	}
	if (n == 0 || (rsa && others))
		return;
	f.subject = all[0].where;
	f.text = rsa ? S("there is an RSA certificate only") : S("there is no RSA certificate");
	f.why = rsa ? S("New clients are served faster with an ECDSA key.") : S("");
	if (!rsa && has_legacy_device(doctor_config(d))) {
		f.result = DOCTOR_WARNING;
		f.text = S("there is no RSA certificate, but devices has an entry with tls = \"legacy\"");
	}
	f.remedy.text = arena_printf(
		doctor_arena(d), "Add a second entry of certificates for the same name, with an %s key:", rsa ? "ECDSA" : "RSA");
	f.remedy.command = arena_printf(doctor_arena(d), "certbot certonly --cert-name %s --key-type %s -d %.*s",
					rsa ? "ecdsa" : "rsa", rsa ? "ecdsa" : "rsa", STR_ARG(doctor_config(d)->hostname));
	finding_add(d, &f);
}

void check_cert_keys(struct doctor *d)
{
	struct served *all;
	bool pending;
	size_t n = served_all(d, &all, &pending);

	for (size_t i = 0; i < n && !pending; i++)
		judge_key(d, &all[i]);
	if (!pending)
		judge_kinds(d, all, n);
}

/* ---- cert.staple ---- */

static void judge_staple(struct doctor *d, const struct served *s)
{
	if (!s->c.must_staple) {
		finding_ok(d, S(""), s->where, S("the certificate asks for no OCSP answer"));
		return;
	}
	finding_add(d, &(struct doctor_finding){
			       .subject = s->where,
			       .result = DOCTOR_FAILURE,
			       .text = S("the certificate demands a stapled OCSP answer, which posthouse does not send"),
			       .remedy = { .text = S("Order one without must-staple:"),
					   .command = arena_printf(doctor_arena(d), "certbot certonly --force-renewal -d %.*s",
								   STR_ARG(doctor_config(d)->hostname)) } });
}

void check_cert_staple(struct doctor *d)
{
	for_each(d, judge_staple);
}
