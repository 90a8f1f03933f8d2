/* test_blame.c - what providers say, and whose fault it is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "blame.h"

static const struct {
	enum smtp_step step;
	unsigned code;
	const char *enhanced, *text;
	enum gate_state gate;
} replies[] = {
	/* Gmail */
	{ STEP_DATA, 550, "5.4.5", "Daily user sending limit exceeded. For more information", GATE_REFUSES },
	{ STEP_RCPT, 550, "5.4.5", "Daily SMTP relay limit exceeded for customer", GATE_REFUSES },
	{ STEP_MAIL, 421, "4.7.0", "Try again later, closing connection.", GATE_BUSY },
	{ STEP_DATA, 421, "4.7.28", "Our system has detected an unusual rate of unsolicited mail", GATE_REFUSES },
	{ STEP_DATA, 550, "5.7.1", "Our system has detected that this message is likely unsolicited mail", GATE_FINE },
	{ STEP_RCPT, 450, "4.2.1", "The user you are trying to contact is receiving mail at a rate limit", GATE_FINE },
	{ STEP_RCPT, 452, "4.2.2", "The email account that you tried to reach is over quota", GATE_FINE },
	{ STEP_RCPT, 552, "5.2.2", "mailbox message quota exceeded", GATE_FINE },
	/* Microsoft */
	{ STEP_MAIL, 530, "5.7.57", "Client not authenticated to send mail", GATE_OURS },
	{ STEP_DATA, 530, "5.7.57", "Client was not authenticated to send anonymous mail during MAIL FROM", GATE_OURS },
	{ STEP_MAIL, 554, "5.2.0", "STOREDRV.Submission.Exception: refused", GATE_REFUSES },
	{ STEP_DATA, 554, "5.2.0", "STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message",
	  GATE_REFUSES },
	{ STEP_DATA, 554, "5.2.0", "STOREDRV.Submission.Exception:SubmissionQuotaExceededException", GATE_REFUSES },
	{ STEP_DATA, 554, "5.2.0", "STOREDRV.Deliver.Exception:StoragePermanentException", GATE_FINE },
	{ STEP_DATA, 554, "5.2.0", "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", GATE_FINE },
	{ STEP_DATA, 554, "5.2.252", "SendAsDenied; a@example.org not allowed to send as b@example.org", GATE_FINE },
	{ STEP_RCPT, 550, "5.7.708", "Service unavailable. Access denied, traffic not accepted from this IP", GATE_REFUSES },
	{ STEP_RCPT, 550, "5.7.705", "Access denied, tenant has exceeded threshold", GATE_REFUSES },
	{ STEP_DATA, 550, "5.1.8", "Access denied, bad outbound sender", GATE_REFUSES },
	{ STEP_DATA, 432, "4.3.2", "STOREDRV.ClientSubmit; sender thread limit exceeded", GATE_REFUSES },
	{ STEP_RCPT, 550, "5.1.8", "sender's domain does not resolve", GATE_FINE },
	/* others */
	{ STEP_MAIL, 421, "", "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", GATE_REFUSES },
	{ STEP_DATA, 454, "", "Throttling failure: Maximum sending rate exceeded.", GATE_REFUSES },
	{ STEP_DATA, 550, "", "Ratelimit exceeded for mailbox a@example.org", GATE_REFUSES },
	{ STEP_DATA, 550, "", "Domain example.org has exceeded the max emails per hour (100/100) allowed", GATE_REFUSES },
	{ STEP_MAIL, 451, "4.7.1", "You have exceeded your quota for today", GATE_REFUSES },
	{ STEP_MAIL, 552, "5.7.0", "Limit exceeded", GATE_REFUSES },
	{ STEP_MAIL, 450, "4.7.1", "Greylisted, quota of new senders; come back", GATE_FINE },
	{ STEP_RCPT, 450, "4.7.1", "<a@x>: Recipient address rejected: Greylisted, see policy", GATE_FINE },
	{ STEP_RCPT, 554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", GATE_REFUSES },
	{ STEP_RCPT, 550, "5.7.1", "policy: this recipient takes no mail from you", GATE_FINE },
	{ STEP_RCPT, 550, "5.1.1", "no such user", GATE_FINE },
	{ STEP_MAIL, 550, "5.7.1", "sender address refused by policy", GATE_FINE },
	{ STEP_MAIL, 553, "5.1.8", "sender domain not found", GATE_FINE },
	{ STEP_MAIL, 530, "5.7.0", "Must issue a STARTTLS command first", GATE_OURS },
	{ STEP_DATA, 554, "5.7.1", "a link in it is listed at dbl.spamhaus.org", GATE_FINE },
	{ STEP_MAIL, 421, "4.4.2", "connection lost at MAIL", GATE_FINE },
	{ STEP_RCPT, 421, "4.3.2", "going down", GATE_FINE },
	{ STEP_DATA, 451, "4.3.0", "later", GATE_FINE },
};

static void test_replies(void **state)
{
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct verdict v = { .class = replies[i].code >= 500 ? PERM : TEMP,
				     .code = (uint16_t)replies[i].code,
				     .enhanced = str_of(replies[i].enhanced),
				     .text = str_of(replies[i].text) };
		enum gate_state gate = blame_reply(replies[i].step, v);

		if (gate != replies[i].gate)
			fail_msg("%u %s %s: %d", replies[i].code, replies[i].enhanced, replies[i].text, gate);
	}
	assert_int_equal(blame_reply(STEP_DATA, ok_text(250, S("2.0.0"), S("daily limit: 5 left"))), GATE_FINE);
	assert_int_equal(blame_reply(STEP_OPENING, temp(0, S(""), S("daily limit"))), GATE_FINE);
}

static const struct {
	enum smtp_step step;
	enum smtp_fault fault;
	bool by_peer;
	unsigned code;
	const char *enhanced, *text;
	enum gate_state gate;
} sessions[] = {
	{ STEP_OPENING, FAULT_CONNECTION, false, 421, "4.4.1", "refused", GATE_BUSY },
	{ STEP_OPENING, FAULT_CONNECTION, false, 451, "4.4.3", "our own quota of words", GATE_BUSY },
	{ STEP_OPENING, FAULT_PEER, true, 421, "4.3.2", "too many connections", GATE_BUSY },
	{ STEP_OPENING, FAULT_PEER, true, 554, "", "your address has a bad reputation", GATE_REFUSES },
	{ STEP_OPENING, FAULT_PEER, true, 554, "5.7.1", "not for you", GATE_REFUSES },
	{ STEP_OPENING, FAULT_PEER, true, 550, "", "blocked by our policy", GATE_REFUSES },
	{ STEP_OPENING, FAULT_TLS, true, 454, "4.7.0", "TLS not available", GATE_OURS },
	{ STEP_OPENING, FAULT_TLS, false, 550, "5.7.5", "certificate not accepted", GATE_OURS },
	{ STEP_AUTH, FAULT_AUTH, true, 535, "5.7.8", "Username and Password not accepted", GATE_OURS },
	{ STEP_AUTH, FAULT_AUTH, true, 534, "5.7.9", "Application-specific password required", GATE_OURS },
	{ STEP_AUTH, FAULT_AUTH, true, 454, "4.7.0", "Too many login attempts, please try again later", GATE_REFUSES },
	{ STEP_AUTH, FAULT_AUTH, true, 454, "4.7.0", "Temporary authentication failure", GATE_BUSY },
	{ STEP_AUTH, FAULT_AUTH, true, 535, "", "quota exceeded", GATE_REFUSES },
	{ STEP_AUTH, FAULT_AUTH, false, 421, "4.7.0", "no way to log in", GATE_OURS },
};

static void test_sessions(void **state)
{
	for (size_t i = 0; i < sizeof sessions / sizeof *sessions; i++) {
		struct verdict v = { .class = TEMP,
				     .code = (uint16_t)sessions[i].code,
				     .enhanced = str_of(sessions[i].enhanced),
				     .text = str_of(sessions[i].text) };

		if (blame_session(sessions[i].step, sessions[i].fault, v, sessions[i].by_peer) != sessions[i].gate)
			fail_msg("%u %s", sessions[i].code, sessions[i].text);
	}
}

static void test_too_many(void **state)
{
	assert_true(blame_too_many(STEP_RCPT, temp(452, S("4.5.3"), S(""))));
	assert_true(blame_too_many(STEP_RCPT, perm(552, S("5.5.3"), S(""))));
	assert_true(blame_too_many(STEP_RCPT, temp(452, S(""), S("Too many recipients received this hour"))));
	assert_false(blame_too_many(STEP_RCPT, temp(452, S("4.2.2"), S("mailbox full"))));
	assert_false(blame_too_many(STEP_RCPT, temp(451, S("4.5.3"), S(""))));
	assert_false(blame_too_many(STEP_DATA, temp(452, S("4.5.3"), S(""))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
