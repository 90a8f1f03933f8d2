/* upstream_test.c - `posthouse upstream test NAME`: what relay did and where it failed, in words. */
#include "upstream.h"

#include "posthouse/log.h"
#include "posthouse/meaning.h"
#include "posthouse/smtp_client.h"

#include <stdio.h>
#include <sysexits.h>

/* Words for where the session ended. */
static const char *place_of(const struct msg_upstream_tested *m)
{
	if (m->step == STEP_MAIL)
		return "the sender";
	if (m->step == STEP_AUTH || meaning_trouble(m->meaning) == TROUBLE_LOGIN)
		return "the login";
	if (m->remote.n == 0)
		return "the name";
	if (meaning_trouble(m->meaning) == TROUBLE_TLS)
		return "TLS";
	return m->extensions.n > 0 ? "the dialogue" : "the connection";
}

/* "PLAIN LOGIN" of "PIPELINING … AUTH PLAIN LOGIN" */
static struct str mechanisms_of(const struct msg_upstream_tested *m)
{
	size_t at = str_search(m->extensions, S("AUTH "));

	return at < m->extensions.n ? str_from(m->extensions, at + 5) : S("");
}

static void print_fact(struct arena *a, const char *label, struct str text)
{
	if (text.n > 0)
		printf("  %-12s %.*s\n", label, STR_ARG(utf8_shown(a, text)));
}

static struct str reply_text(struct arena *a, const struct msg_upstream_tested *m)
{
	return arena_printf(a, "%u %.*s%s%.*s", m->verdict.code, STR_ARG(m->verdict.enhanced), m->verdict.enhanced.n ? " " : "",
			    STR_ARG(m->verdict.text));
}

static void print_failure(struct arena *a, const struct msg_upstream_tested *m)
{
	const char *hint = meaning_hint(m->meaning);
	struct str transcript = m->transcript, line;

	printf("failed at %s: %.*s\n", place_of(m), STR_ARG(utf8_shown(a, reply_text(a, m))));
	if (*hint)
		printf("%s\n", hint);
	else if (meaning_trouble(m->meaning) != TROUBLE_NONE)
		printf("%.*s\n", STR_ARG(meaning_advice(a, m->meaning)));
	printf("the dialogue:\n");
	while (str_split(&transcript, '\n', &line))
		printf("    %.*s\n", STR_ARG(utf8_shown(a, str_trim(line))));
}

static void print_result(struct arena *a, const char *name, const struct msg_upstream_tested *m)
{
	bool works = m->verdict.class == OK;

	printf("upstream %s\n", name);
	print_fact(a, "address", m->remote);
	print_fact(a, "TLS", m->tls.n > 0 ? m->tls : works ? S("none: all goes in clear text") : S(""));
	print_fact(a, "certificate", str_head(m->fingerprints, str_find(m->fingerprints, ' ')));
	print_fact(a, "its key", str_from(m->fingerprints, str_find(m->fingerprints, ' ') + 1));
	print_fact(a, "offers", m->extensions);
	if (m->mechanism.n > 0)
		print_fact(a, "login by", m->mechanism);
	if (works)
		printf("works: the server %s\n", m->mechanism.n ? "has accepted the login" : "takes mail without a login");
	else
		print_failure(a, m);
}

static json_t *words_json(struct str words)
{
	json_t *list = json_array();
	struct str word;

	while (str_split(&words, ' ', &word))
		if (word.n > 0)
			json_array_append_new(list, json_text(word));
	return list;
}

static json_t *result_json(struct arena *a, const char *name, const struct msg_upstream_tested *m)
{
	bool works = m->verdict.class == OK;

	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:i, s:o, s:o, s:s, s:s, s:s, s:o, s:o}", "upstream",
			 name, "works", (int)works, "remote", json_text(m->remote), "tls", json_text(m->tls), "fingerprints",
			 words_json(m->fingerprints), "extensions",
			 words_json(str_head(m->extensions, str_search(m->extensions, S("AUTH ")))), "mechanisms",
			 words_json(mechanisms_of(m)), "mechanism", json_text(m->mechanism), "size", (json_int_t)m->size,
			 "failed_at", works ? "" : place_of(m), "code", (int)m->verdict.code, "enhanced",
			 json_text(m->verdict.enhanced), "reply", json_text(m->verdict.text), "class",
			 trouble_name(meaning_trouble(m->meaning)), "who", works ? "" : actor_name(meaning_actor(m->meaning)),
			 "hint", meaning_hint(m->meaning), "advice", json_text(meaning_advice(a, m->meaning)), "transcript",
			 json_text(m->transcript));
}

/* 75: it passes by itself. A connection that cannot be made is as the network or the configuration has it. */
static int exit_code(const struct msg_upstream_tested *m)
{
	if (m->verdict.class == OK)
		return EX_OK;
	if (meaning_actor(m->meaning) != ACTOR_NOBODY)
		return EX_UNAVAILABLE;
	return meaning_trouble(m->meaning) == TROUBLE_TEMPORARY && *meaning_hint(m->meaning) ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

int upstream_test(struct session *s, const char *name, const char *sender, bool json)
{
	const struct msg_upstream_test ask = { .upstream = str_of(name), .sender = str_of(sender) };
	const struct msg_upstream_tested *m = &session_call(s, MSG_upstream_test, &ask, MSG_upstream_tested)->upstream_tested;

	if (m->verdict.class != OK && m->transcript.n == 0) { /* there was no test */
		fprintf(stderr, "posthouse: upstream %s: %.*s\n", name, STR_ARG(utf8_shown(&s->arena, m->verdict.text)));
		return m->verdict.class == TEMP ? EX_TEMPFAIL : EX_UNAVAILABLE;
	}
	if (json)
		json_print_document("upstream_test", result_json(&s->arena, name, m));
	else
		print_result(&s->arena, name, m);
	return exit_code(m);
}
