/* headers_judge.c - what the fields of a received message say of the way that it took. Of Authentication-Results only those of
 * the topmost server count: those below can have been written by anybody. */
#include "headers.h"

#include "posthouse/address.h"
#include "posthouse/base64.h"
#include "posthouse/dmarc.h"

#include <openssl/evp.h>

struct judge {
	struct arena *a;
	const struct headers_input *in;
	struct headers_line *lines;
	size_t n;
	struct str from;   /* address */
	struct str domain; /* its domain, in lower case */
	bool aligned;      /* by SPF or DKIM, as the receiver saw it */
	bool dmarc_said;
};

#define SAY(...) arena_printf(j->a, __VA_ARGS__)

static void say(struct judge *j, const char *id, enum doctor_result result, struct str text, struct str remedy)
{
	if (j->n < HEADERS_LINES_MAX)
		j->lines[j->n++] = (struct headers_line){ id, result, text, remedy };
}

/* ---- reading ---- */

/* With CRLF at the end of each line, without the "From " line of a mailbox file and blank lines in front. */
static struct str with_line_ends(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, 2 * text.n + 2);
	size_t n = 0;

	while (text.n > 0 && (*text.p == '\n' || *text.p == '\r'))
		text = str_from(text, 1);
	if (str_starts(text, S("From ")))
		text = str_from(text, str_find(text, '\n') + 1);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n' && (n == 0 || p[n - 1] != '\r'))
			p[n++] = '\r';
		p[n++] = text.p[i];
	}
	if (n > 0 && p[n - 1] != '\n') {
		p[n++] = '\r';
		p[n++] = '\n';
	}
	return str_make(p, n);
}

bool headers_read(struct arena *a, struct str text, struct headers_input *in)
{
	size_t end;

	text = with_line_ends(a, text);
	end = str_search(text, S("\r\n\r\n"));
	in->body = str_from(text, end + 4);
	if (header_parse(a, str_head(text, end + 2), &in->header).class != OK || in->header.n == 0)
		return false;
	in->signatures_n = dkim_signatures(a, &in->header, in->signatures);
	for (size_t i = 0; i < in->signatures_n; i++)
		in->keys[i] = (struct headers_key){
			.name = arena_printf(a, "%.*s._domainkey.%.*s", STR_ARG(in->signatures[i].selector),
					     STR_ARG(in->signatures[i].domain)),
			.state = KEY_UNKNOWN,
		};
	return true;
}

static struct str field(const struct judge *j, const char *name)
{
	const struct header_field *f = header_find(&j->in->header, str_of(name));

	return f ? str_trim(f->value) : S("");
}

/* The one address in a field; "": there is none. */
static struct str address_in(struct judge *j, const char *name)
{
	struct str_list list = { 0 };

	return header_addresses(j->a, field(j, name), &list) && list.n > 0 ? list.at[0] : S("");
}

static struct str domain_of(struct judge *j, struct str address)
{
	size_t at = str_rfind(address, '@');

	return arena_lower(j->a, at < address.n ? str_from(address, at + 1) : address);
}

/* ---- what was changed on the way ---- */

static void judge_author(struct judge *j)
{
	struct str original = field(j, "X-Google-Original-From");

	j->from = address_in(j, "From");
	j->domain = domain_of(j, j->from);
	if (j->from.n == 0) {
		say(j, "from", DOCTOR_FAILURE, S("From cannot be read"), S(""));
		return;
	}
	if (original.n > 0)
		say(j, "from", DOCTOR_WARNING,
		    SAY("From was replaced on the way: it was %.*s, and is %.*s", STR_ARG(original), STR_ARG(j->from)),
		    S("Confirm the address in Gmail's settings: Accounts, \"Send mail as\"."));
	else
		say(j, "from", DOCTOR_OK, SAY("From is %.*s", STR_ARG(j->from)), S(""));
}

static void judge_return_path(struct judge *j)
{
	struct str value = field(j, "Return-Path"), domain;
	size_t open = str_find(value, '<'), close = str_rfind(value, '>');

	if (value.n == 0) {
		say(j, "return.path", DOCTOR_UNKNOWN, S("has no Return-Path: the envelope's sender is not known"),
		    S("Take the message from the mailbox itself (\"show original\"), not a forwarded copy."));
		return;
	}
	if (open < close && close < value.n)
		value = str_make(value.p + open + 1, close - open - 1);
	if (value.n == 0) {
		say(j, "return.path", DOCTOR_OK, S("the envelope has no sender: it is a report"), S(""));
		return;
	}
	domain = domain_of(j, value);
	if (domains_align(domain, j->domain, false))
		say(j, "return.path", DOCTOR_OK, SAY("the envelope's sender is %.*s, of the author's domain", STR_ARG(value)),
		    S(""));
	else
		say(j, "return.path", DOCTOR_ADVICE,
		    SAY("the envelope's sender is %.*s: of another domain than the author, so SPF says nothing for %.*s",
			STR_ARG(value), STR_ARG(j->domain)),
		    S("Usual behind providers that take failure reports themselves: DKIM has to align then."));
}

static void judge_message_id(struct judge *j)
{
	static const char *const names[] = { "X-Microsoft-Original-Message-ID", "X-Original-Message-ID",
					     "X-Google-Original-Message-ID" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (field(j, names[i]).n > 0) {
			say(j, "message.id", DOCTOR_ADVICE,
			    SAY("Message-ID was replaced on the way: it was %.*s", STR_ARG(field(j, names[i]))),
			    S("posthouse find and trace know the old one; signatures over it break."));
			return;
		}
}

/* The address between brackets in the topmost field that names one of another machine. */
static struct str address_in_received(struct judge *j)
{
	for (size_t i = 0; i < j->in->header.n; i++) {
		const struct header_field *f = &j->in->header.fields[i];
		struct str v = f->value, text;
		size_t open = str_find(v, '['), close;

		if (!str_ieq(f->name, S("Received")) || open == v.n)
			continue;
		v = str_from(v, open + 1);
		close = str_find(v, ']');
		text = str_head(v, close);
		if (str_istarts(text, S("IPv6:")))
			text = str_from(text, 5);
		if (!str_starts(text, S("127.")) && !str_starts(text, S("10.")) && !str_eq(text, S("::1")))
			return text;
	}
	return S("");
}

static void judge_address(struct judge *j, struct str from_results)
{
	struct str address = from_results, spf = field(j, "Received-SPF");
	size_t at = str_search(spf, S("client-ip="));

	if (address.n == 0 && at < spf.n) {
		address = str_from(spf, at + 10);
		for (size_t n = 0; n < address.n; n++)
			if (strchr(" ;\r\n\t", address.p[n])) {
				address.n = n;
				break;
			}
	}
	if (address.n == 0)
		address = address_in_received(j);
	if (address.n > 0)
		say(j, "address", DOCTOR_OK, SAY("the receiver saw the address %.*s", STR_ARG(address)), S(""));
	else
		say(j, "address", DOCTOR_UNKNOWN, S("no field tells from which address it came"), S(""));
}

/* ---- what the receiver decided ---- */

static void judge_spf(struct judge *j, const struct auth_result *r)
{
	struct str who = auth_property_find(r, S("smtp.mailfrom"));
	struct str domain = domain_of(j, who.n > 0 ? who : auth_property_find(r, S("smtp.helo")));
	bool pass = str_ieq(r->result, S("pass")), aligned = pass && domains_align(domain, j->domain, false);

	j->aligned |= aligned;
	if (pass)
		say(j, "spf", DOCTOR_OK,
		    SAY("SPF passes for %.*s%s", STR_ARG(domain),
			aligned ? ", the author's domain" : ", not the author's domain"),
		    S(""));
	else if (str_ieq(r->result, S("fail")) || str_ieq(r->result, S("softfail")) || str_ieq(r->result, S("permerror")))
		say(j, "spf", str_ieq(r->result, S("softfail")) ? DOCTOR_WARNING : DOCTOR_FAILURE,
		    SAY("SPF of %.*s: %.*s%s%.*s", STR_ARG(domain), STR_ARG(r->result), r->reason.n > 0 ? ": " : "",
			STR_ARG(r->reason)),
		    SAY("The address that the receiver saw is not in the record: posthouse doctor %.*s --only spf",
			STR_ARG(domain)));
	else
		say(j, "spf", DOCTOR_WARNING, SAY("SPF of %.*s: %.*s", STR_ARG(domain), STR_ARG(r->result)),
		    SAY("posthouse doctor %.*s --only spf", STR_ARG(domain)));
}

static void judge_receivers_dkim(struct judge *j, const struct auth_result *r)
{
	struct str d = auth_property_find(r, S("header.d")), i = auth_property_find(r, S("header.i"));
	struct str domain = domain_of(j, d.n > 0 ? d : i), selector = auth_property_find(r, S("header.s"));
	bool pass = str_ieq(r->result, S("pass")), aligned = pass && domains_align(domain, j->domain, false);
	struct str which = selector.n > 0 ? SAY("%.*s of %.*s", STR_ARG(selector), STR_ARG(domain)) : domain;

	j->aligned |= aligned;
	if (pass)
		say(j, "dkim.receiver", DOCTOR_OK, SAY("the receiver verified the signature of %.*s", STR_ARG(which)), S(""));
	else if (str_ieq(r->result, S("none")))
		say(j, "dkim.receiver", DOCTOR_WARNING, S("the receiver found no signature"),
		    S("See below whether one is there; if not: posthouse doctor --only dkim"));
	else
		say(j, "dkim.receiver", str_ieq(r->result, S("temperror")) ? DOCTOR_UNKNOWN : DOCTOR_FAILURE,
		    SAY("the receiver says of the signature of %.*s: %.*s%s%.*s", STR_ARG(which), STR_ARG(r->result),
			r->reason.n > 0 ? ": " : "", STR_ARG(r->reason)),
		    S("What is said below about the same signature tells the cause."));
}

static void judge_dmarc(struct judge *j, const struct auth_result *r)
{
	struct str domain = auth_property_find(r, S("header.from"));

	j->dmarc_said = true;
	if (str_ieq(r->result, S("pass")))
		say(j, "dmarc", DOCTOR_OK, SAY("DMARC passes for %.*s", STR_ARG(domain.n > 0 ? domain : j->domain)), S(""));
	else if (str_ieq(r->result, S("none")))
		say(j, "dmarc", DOCTOR_WARNING, SAY("%.*s has no DMARC record", STR_ARG(j->domain)),
		    SAY("posthouse doctor %.*s --only dmarc", STR_ARG(j->domain)));
	else
		say(j, "dmarc", DOCTOR_FAILURE,
		    SAY("DMARC of %.*s: %.*s%s%.*s", STR_ARG(j->domain), STR_ARG(r->result), r->reason.n > 0 ? ": " : "",
			STR_ARG(r->reason)),
		    S("Neither SPF nor a signature of the author's domain passed: see these lines."));
}

static void judge_results(struct judge *j)
{
	struct str server = S(""), address = S("");
	struct auth_results r;

	for (size_t i = 0; i < j->in->header.n; i++) {
		const struct header_field *f = &j->in->header.fields[i];

		if (!str_ieq(f->name, S("Authentication-Results")) || !auth_results_parse(j->a, f->value, &r) ||
		    (server.n > 0 && !str_ieq(server, r.server)))
			continue;
		if (server.n == 0)
			say(j, "receiver", DOCTOR_OK, SAY("received and judged by %.*s", STR_ARG(r.server)), S(""));
		server = r.server;
		for (size_t k = 0; k < r.n; k++) {
			const struct auth_result *m = &r.results[k];

			if (str_ieq(m->method, S("spf")))
				judge_spf(j, m);
			else if (str_ieq(m->method, S("dkim")))
				judge_receivers_dkim(j, m);
			else if (str_ieq(m->method, S("dmarc")))
				judge_dmarc(j, m);
			if (address.n == 0)
				address = auth_property_find(m, S("smtp.remote-ip"));
			if (address.n == 0)
				address = auth_property_find(m, S("policy.iprev"));
		}
	}
	if (server.n == 0)
		say(j, "receiver", DOCTOR_UNKNOWN, S("has no Authentication-Results: what the receiver decided is not known"),
		    S("Save the whole message as received (\"show original\"), best from a mailbox at another provider."));
	judge_address(j, address);
}

/* ---- our signatures, once more ---- */

static void judge_signature(struct judge *j, const struct dkim_signature *s, const struct headers_key *k)
{
	bool ed25519 = str_ieq(s->algorithm, S("ed25519-sha256"));
	struct str bytes = S(""), who = SAY("%.*s of %.*s", STR_ARG(s->selector), STR_ARG(s->domain));
	EVP_PKEY *key = NULL;

	if (s->fault.n > 0) {
		say(j, "dkim.again", DOCTOR_FAILURE,
		    SAY("the signature %.*s cannot be verified: %.*s", STR_ARG(who), STR_ARG(s->fault)), S(""));
		return;
	}
	if (k->state != KEY_THERE) {
		say(j, "dkim.again", k->state == KEY_MISSING ? DOCTOR_FAILURE : DOCTOR_UNKNOWN,
		    k->state == KEY_MISSING ? SAY("the key %.*s is not in the DNS: nobody can verify the signature", STR_ARG(who))
					    : SAY("the key %.*s could not be looked up: %.*s", STR_ARG(who), STR_ARG(k->why)),
		    k->state == KEY_MISSING ? SAY("Publish it: posthouse dkim show %.*s", STR_ARG(s->domain)) : S(""));
		return;
	}
	if (base64_decode(j->a, dkim_tag(j->a, k->record, S("p")), &bytes))
		key = dkim_public_key(bytes, ed25519);
	switch (key ? dkim_verify(s, &j->in->header, j->in->body, key, j->in->now) : DKIM_UNUSABLE) {
	case DKIM_GOOD:
		say(j, "dkim.again", DOCTOR_OK,
		    SAY("%.*s verifies here too: nothing that it covers was changed on the way", STR_ARG(who)), S(""));
		break;
	case DKIM_BODY_CHANGED:
		say(j, "dkim.again", DOCTOR_FAILURE, SAY("%.*s: the body is not the one that was signed", STR_ARG(who)),
		    S("Something on the way added or changed text: a footer of a list, a virus scanner, broken lines. Or "
		      "this copy is not what was received: copy the source, not the text that is shown."));
		break;
	case DKIM_HEADER_CHANGED:
		say(j, "dkim.again", DOCTOR_FAILURE,
		    SAY("%.*s: the signature does not fit. A signed field was changed or added, or the key in the DNS is another "
			"one",
			STR_ARG(who)),
		    SAY("posthouse dkim check %.*s tells whether the key is right. If it is: the provider changes one of %.*s",
			STR_ARG(s->domain), STR_ARG(s->names)));
		break;
	case DKIM_EXPIRED:
		say(j, "dkim.again", DOCTOR_WARNING, SAY("%.*s: the signature has expired", STR_ARG(who)), S(""));
		break;
	case DKIM_UNUSABLE:
		say(j, "dkim.again", DOCTOR_FAILURE, SAY("%.*s: the record has no key of this kind", STR_ARG(who)),
		    SAY("posthouse dkim check %.*s", STR_ARG(s->domain)));
		break;
	}
	EVP_PKEY_free(key);
}

/* Those of the author's organisation, and of domains that we sign for. */
static void judge_signatures(struct judge *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->in->signatures_n; i++) {
		const struct dkim_signature *s = &j->in->signatures[i];

		if (!domains_align(arena_lower(j->a, s->domain), j->domain, false) && !config_signs(j->in->config, s->domain))
			continue;
		judge_signature(j, s, &j->in->keys[i]);
		n++;
	}
	if (n > 0)
		return;
	say(j, "dkim.again", DOCTOR_WARNING,
	    SAY("has no signature of %.*s: the relay did not make one, or it was removed on the way", STR_ARG(j->domain)),
	    config_signs(j->in->config, j->domain)
		    ? S("The relay has a key for this domain: look at the mail's trace (posthouse trace MESSAGE-ID).")
		    : SAY("posthouse dkim generate %.*s", STR_ARG(j->domain)));
}

static void judge_alignment(struct judge *j)
{
	if (j->aligned)
		say(j, "alignment", DOCTOR_OK, SAY("the author's domain %.*s is proven: DMARC can pass", STR_ARG(j->domain)),
		    S(""));
	else if (header_find(&j->in->header, S("Authentication-Results")))
		say(j, "alignment", j->dmarc_said ? DOCTOR_WARNING : DOCTOR_FAILURE,
		    SAY("neither SPF nor DKIM passed for the author's domain %.*s", STR_ARG(j->domain)),
		    S("One of both is enough. DKIM with a key for this domain works behind every provider."));
}

size_t headers_judge(struct arena *a, const struct headers_input *in, struct headers_line lines_out[HEADERS_LINES_MAX])
{
	struct judge j = { .a = a, .in = in, .lines = lines_out };

	judge_author(&j);
	judge_results(&j);
	judge_signatures(&j);
	judge_alignment(&j);
	judge_return_path(&j);
	judge_message_id(&j);
	return j.n;
}
