/* fuzz_path.c - addresses, paths and parameters. */
#include "../../../src/smtp/grammar.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make(data, size), address, rest;
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;

	if (smtp_address_valid(input, false))
		assert(smtp_address_valid(input, true) && smtp_address_domain(input).n > 0);
	smtp_address_valid(input, true);
	smtp_address_domain(input);
	if (smtp_mail_params(input, &mail).class == OK) /* promises: both are passed on as they came */
		assert(mail.ret <= RET_HDRS && mail.envid.n <= 100 && smtp_xtext_valid(mail.envid));
	if (smtp_rcpt_params(input, &rcpt).class == OK)
		assert(rcpt.orcpt.n <= 500 && smtp_xtext_valid(rcpt.orcpt) &&
		       (rcpt.notify == NOTIFY_NEVER || (rcpt.notify & NOTIFY_NEVER) == 0));
	smtp_xtext_valid(input);
	if (smtp_parse_keyword(input, S("FROM"), &rest))
		input = rest;
	if (smtp_parse_path(input, &address, &rest))
		smtp_mail_params(rest, &mail);
	return 0;
}
