/* fuzz_complaints.c - the verdicts of a delivery: four bytes and a line each. One recipient or one message closes no next hop, and
 * what goes to queue is a verdict that it can keep. The first byte says what kind of next hop it is. */
#include "delivery.h"
#include "fuzz.h"
#include "pool.h"

#define RECIPIENTS_MAX 8

static const char *const addresses[] = { "a@one.example", "b@one.example", "c@two.example", "A@one.example" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), reason;
	unsigned how = fuzz_byte(&rest);
	struct recipient recipients[RECIPIENTS_MAX] = { 0 };
	struct pool pool = { .mx = how & 1, .host = how & 2 ? S("smtp.gmail.com") : S("mx.one.example") };
	struct delivery d = { .id = 1, .pool = how & 4 ? NULL : &pool, .recipients = recipients };
	bool fine = false;
	enum gate_state gate;
	struct meaning m;

	if (how & 8)
		d.envelope.sender = S("alice@example.org");
	while (rest.n > 0 && d.recipients_n < RECIPIENTS_MAX) {
		struct recipient *r = &recipients[d.recipients_n++];
		unsigned to = fuzz_byte(&rest), code = fuzz_byte(&rest), step = fuzz_byte(&rest), enhanced = fuzz_byte(&rest);
		struct verdict v = { .code = (uint16_t)(400 + code % 200), .text = fuzz_line(&rest) };

		r->address = str_of(addresses[to % 4]);
		v.class = v.code >= 500 ? PERM : TEMP;
		if (code > 200)
			v = (struct verdict){ .class = OK, .code = 250, .text = v.text };
		else if (enhanced)
			v.enhanced = arena_printf(&d.arena, "%u.%u.%u", v.code / 100u, enhanced % 8, enhanced / 8);
		delivery_outcome(&d, d.recipients_n - 1, (enum smtp_step)(step % (STEP_OURS + 1)), v);
		fine |= v.class != OK && reply_class_gate(r->meaning) == GATE_FINE;
	}
	gate = delivery_gate(&d, &m, &reason);
	assert(gate == GATE_FINE || (!fine && d.recipients_n > 0 && reason.n > 0 && m.trouble < TROUBLES));
	for (size_t i = 0; i < d.recipients_n; i++) {
		struct rec_outcome o = delivery_answer(&d, i);

		assert(o.verdict.class <= PERM && o.scope < SCOPES && o.pause_ms <= 24 * 3600 * 1000ull);
		assert(o.verdict.class != TEMP || o.verdict.enhanced.n == 0 || o.verdict.enhanced.p[0] == '4');
		assert((o.verdict.class == OK) == (recipients[i].verdict.class == OK));
	}
	(void)delivery_met_rate(&d);
	arena_fini(&d.arena);
	return 0;
}
