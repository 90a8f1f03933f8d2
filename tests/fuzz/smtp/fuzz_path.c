/* fuzz_path.c - addresses, paths and parameters. */
#include "../../../src/smtp/grammar.h"

#include "posthouse/address.h"
#include "posthouse/arena.h"
#include "posthouse/date.h"

#include <assert.h>

/* Promises about parameters that are taken: all are passed on as they came. */
static void check_mail(const struct smtp_mail_params *m, const struct smtp_offer *offer)
{
	assert(m->ret <= RET_HDRS && m->envid.n <= 100 && smtp_xtext_valid(m->envid));
	assert(m->priority <= PRIORITY_MAX && m->by_s <= 999999999 && (m->by_mode == BY_NONE || m->by_s > 0));
	assert((m->by_mode & ~(unsigned)BY_TRACE) <= BY_NOTIFY && m->by_mode != BY_TRACE);
	assert(m->release_at == 0 ||
	       (m->release_at > offer->now_ms && m->release_at <= offer->now_ms + offer->future_release_s * 1000));
	assert(!m->require_tls || offer->tls);
}

/* An address has one form, which is a valid address again. */
static void check_form(struct arena *a, struct str address)
{
	struct str once = address_canonical(a, address), twice = address_canonical(a, once);

	assert(str_eq(once, twice) && address_same(once, twice));
	assert(once.n > 254 || smtp_address_valid(once, true)); /* A-labels are longer */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make(data, size), address, rest;
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	struct arena arena = { 0 };
	struct smtp_offer offer = { .tls = size % 2 != 0,
				    .utf8 = size % 3 != 0,
				    .future_release_s = 86400 * 365,
				    .now_ms = 1795301717000,
				    .arena = &arena };
	uint64_t ms;

	if (smtp_address_valid(input, false))
		assert(smtp_address_valid(input, true) && address_domain(input).n > 0);
	if (smtp_address_valid(input, true))
		check_form(&arena, input);
	address_domain(input);
	if (smtp_mail_params(input, &offer, &mail).class == OK)
		check_mail(&mail, &offer);
	if (smtp_rcpt_params(input, &offer, &rcpt).class == OK)
		assert(rcpt.orcpt.n <= 500 && smtp_xtext_valid(rcpt.orcpt) &&
		       (rcpt.notify == NOTIFY_NEVER || (rcpt.notify & NOTIFY_NEVER) == 0));
	date_parse(input, &ms);
	smtp_xtext_valid(input);
	if (smtp_parse_keyword(input, S("FROM"), &rest))
		input = rest;
	if (smtp_parse_path(input, &address, &rest))
		smtp_mail_params(rest, &offer, &mail);
	arena_fini(&arena);
	return 0;
}
