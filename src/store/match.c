/* match.c - see match.h. */
#include "match.h"

#include "posthouse/address.h"
#include "posthouse/names.h"

/* "*" is any text, also none. The time is bounded by the product of the lengths. */
static bool glob(struct str pattern, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, back = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			back = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++back;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

/* ---- what is asked ---- */

static struct address_pattern read_pattern(struct arena *a, struct str text)
{
	struct address_pattern p = { 0 };
	struct str folded = text_folded(a, address_with_canonical_domain(a, text));
	size_t at = str_rfind(folded, '@');

	p.any = text.n == 0 || str_eq(text, S("*"));
	p.null_sender = str_eq(text, S("<>"));
	if (p.any || p.null_sender)
		return p;
	if (at == folded.n) {
		p.either = true;
		p.local = address_bare_local(folded);
		p.domain = text_folded(a, domain_canonical(a, text));
		return p;
	}
	p.local = address_bare_local(str_head(folded, at));
	p.domain = str_from(folded, at + 1);
	if (p.domain.n > 1 && p.domain.p[0] == '.') /* "@.b": all below b, as in the configuration */
		p.domain = arena_printf(a, "*%.*s", STR_ARG(p.domain));
	return p;
}

struct str match_id(struct arena *a, struct str message_id)
{
	struct str id = text_folded(a, str_trim(message_id));

	if (str_starts(id, S("<")))
		id = str_from(id, 1);
	return str_ends(id, S(">")) ? str_head(id, id.n - 1) : id;
}

void matcher_init(struct matcher *m, struct arena *a, const struct find *find)
{
	struct str rest = text_folded(a, find->subject), word;
	size_t capacity = 0;

	*m = (struct matcher){ .find = find,
			       .message_id = match_id(a, find->message_id),
			       .sender = read_pattern(a, find->sender),
			       .recipient = read_pattern(a, find->recipient) };
	while (str_split(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		ARENA_GROW(a, m->words.at, m->words.n, capacity);
		m->words.at[m->words.n++] = arena_printf(a, "*%.*s*", STR_ARG(word));
	}
}

/* ---- does it fit? ---- */

/* `a` fits `a` and `a+tag`, as in the configuration; `a+tag` only itself. */
static bool local_fits(struct str pattern, struct str local)
{
	size_t plus;

	local = address_bare_local(local);
	plus = str_find(local, '+');
	return pattern.n == 0 || glob(pattern, local) || (plus > 0 && plus < local.n && glob(pattern, str_head(local, plus)));
}

static bool address_fits(const struct address_pattern *p, struct arena *a, struct str address)
{
	struct str folded, local, domain;

	if (p->any)
		return true;
	if (address.n == 0 || p->null_sender)
		return address.n == 0 && p->null_sender;
	folded = text_folded(a, address_with_canonical_domain(a, address));
	local = address_local(folded);
	domain = address_domain(folded);
	if (p->either)
		return local_fits(p->local, local) || glob(p->domain, domain);
	return local_fits(p->local, local) && (p->domain.n == 0 || glob(p->domain, domain));
}

struct str orcpt_address(struct arena *a, struct str orcpt)
{
	size_t colon = str_find(orcpt, ';');

	return colon < orcpt.n ? xtext_decode(a, str_from(orcpt, colon + 1)) : S("");
}

bool recipient_fits(const struct matcher *m, struct arena *a, struct str address, struct str orcpt)
{
	struct str first;

	if (address_fits(&m->recipient, a, address))
		return true;
	first = orcpt_address(a, orcpt);
	return first.n > 0 && address_fits(&m->recipient, a, first);
}

static bool subject_fits(const struct matcher *m, struct arena *a, struct str subject)
{
	struct str folded = m->words.n ? text_folded(a, subject) : S("");

	for (size_t i = 0; i < m->words.n; i++)
		if (!glob(m->words.at[i], folded))
			return false;
	return true;
}

bool message_fits(const struct matcher *m, struct arena *a, const struct envelope *e, uint64_t received_at)
{
	const struct find *f = m->find;

	if ((f->since && received_at < f->since) || (f->until && received_at >= f->until))
		return false;
	if (f->user.n && !str_eq(f->user, e->login))
		return false;
	if (m->message_id.n && !str_eq(m->message_id, match_id(a, e->message_id)))
		return false;
	return address_fits(&m->sender, a, e->sender) && subject_fits(m, a, e->subject);
}
