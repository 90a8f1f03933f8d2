/* doctor_json.c - the findings of doctor for programs. */
#include "doctor.h"

#include "posthouse/dns.h"
#include "posthouse/records.h"

#include <stdio.h>

#define EVIDENCE_MAX 20

static json_t *text_or_null(struct str s)
{
	return s.n > 0 ? json_text(s) : json_null();
}

static json_t *records_json(const struct doctor_finding *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->remedy.records_n; i++) {
		const struct dns_entry *e = &f->remedy.records[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:i}", "type", e->type, "name", json_text(e->name),
						      "value", json_text(e->value), "ttl", (int)e->ttl));
	}
	return list;
}

static const char *type_name(unsigned type)
{
	switch (type) {
	case DNS_A: return "A";
	case DNS_AAAA: return "AAAA";
	case DNS_NS: return "NS";
	case DNS_CNAME: return "CNAME";
	case DNS_SOA: return "SOA";
	case DNS_PTR: return "PTR";
	case DNS_MX: return "MX";
	case DNS_TXT: return "TXT";
	case DNS_SRV: return "SRV";
	case DNS_TLSA: return "TLSA";
	case DNS_CAA: return "CAA";
	default: return "other";
	}
}

static struct str answer_text(struct arena *a, const struct fact_dns *f)
{
	struct str all = S("");

	if (f->state == FACT_NO_NAME)
		return S("NXDOMAIN");
	if (f->state == FACT_EMPTY)
		return S("no record");
	if (f->state != FACT_THERE)
		return f->why;
	for (size_t i = 0; i < f->n; i++)
		all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? "; " : "", STR_ARG(f->records[i].text));
	return all;
}

static json_t *evidence_json(struct doctor *d, const struct doctor_finding *f)
{
	json_t *list = json_array();
	struct doctor_evidence e;

	for (size_t i = 0; i < EVIDENCE_MAX && f->result != DOCTOR_OK && doctor_evidence(d, f, i, &e); i++)
		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o, s:i}", "question",
					json_text(arena_printf(doctor_arena(d), "%.*s %s",
							       STR_ARG(text_without_key(doctor_arena(d), e.question->name)),
							       type_name(e.question->type))),
					"server", json_text(e.answer->server), "answer",
					json_text(answer_text(doctor_arena(d), e.answer)), "ms", (int)e.answer->ms));
	return list;
}

static json_t *finding_json(struct doctor *d, const struct doctor_finding *f)
{
	json_t *remedy = json_pack("{s:o, s:o, s:o, s:o}", "text", json_text(f->remedy.text), "records", records_json(f),
				   "config", text_or_null(f->remedy.config), "command", text_or_null(f->remedy.command));

	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", "check", "id",
			 doctor_check_id(f->check), "domain", text_or_null(f->domain), "subject", text_or_null(f->subject),
			 "result", doctor_result_name(f->result), "found", text_or_null(f->found), "expected",
			 text_or_null(f->expected), "text", json_text(f->text), "why", json_text(f->why), "after",
			 text_or_null(f->after), "remedy", remedy, "evidence", evidence_json(d, f));
}

void doctor_print_json(struct doctor_run *run, const struct config *c)
{
	struct doctor *d = doctor_of(run);
	size_t n, counts[DOCTOR_RESULTS];
	const struct doctor_finding *findings = doctor_findings(d, &n);
	json_t *summary =
		json_pack("{s:s, s:o}", "kind", "summary", "situation", json_text(doctor_situation_text(doctor_arena(d), d, c)));

	for (size_t i = 0; i < n; i++)
		json_print(finding_json(d, &findings[i]));
	doctor_count(d, counts);
	for (int i = 0; i < DOCTOR_RESULTS; i++)
		json_object_set_new(summary, doctor_result_name((enum doctor_result)i), json_integer((json_int_t)counts[i]));
	json_object_set_new(summary, "world", json_boolean(doctor_sees_world(run)));
	json_print(summary);
}
