/* faults.c */
#include "faults.h"

#include "posthouse/file.h"
#include "posthouse/records.h"

#include <fcntl.h>

void faults_read(struct faults *f, const char *path)
{
	json_t *all = json_load_file(path, 0, NULL);

	f->known = json_is_object(all) ? all : json_object();
	if (all != f->known)
		json_decref(all);
}

/* By rename: a fault that was told must not be told again. */
int faults_write(const struct faults *f, const char *path)
{
	struct arena a = { 0 };
	const char *new = arena_cstr(&a, arena_printf(&a, "%s.new", path));
	int fd = file_put_begin(AT_FDCWD, new, 0600);
	bool written = fd >= 0 && json_dumpfd(f->known, fd, JSON_COMPACT | JSON_ENSURE_ASCII) == 0;
	int error = file_put_end(AT_FDCWD, new, path, fd, written);

	arena_fini(&a);
	return error;
}

void faults_free(struct faults *f)
{
	json_decref(f->known);
	f->known = NULL;
}

/* ---- words ---- */

static struct str key_of(struct arena *a, const struct doctor_finding *f)
{
	return arena_printf(a, "%s %.*s %.*s", doctor_check_id(f->check), STR_ARG(f->domain), STR_ARG(f->subject));
}

static struct str sentence(struct arena *a, const struct doctor_finding *f)
{
	struct str who = f->subject.n > 0 ? f->subject : f->domain;

	return arena_printf(a, "%.*s%s%.*s", STR_ARG(who), who.n > 0 ? " " : "", STR_ARG(f->text));
}

static void add_line(struct arena *a, struct str *words, struct str line)
{
	if (line.n > 0)
		*words = arena_printf(a, "%.*s%.*s\n", STR_ARG(*words), STR_ARG(line));
}

static void add_fault(struct arena *a, struct str *words, const struct doctor_finding *f)
{
	add_line(a, words, arena_printf(a, "%s: %.*s", doctor_check_id(f->check), STR_ARG(sentence(a, f))));
	add_line(a, words, f->why);
	add_line(a, words, f->remedy.text);
	for (size_t i = 0; i < f->remedy.records_n; i++)
		add_line(a, words, dns_entry_line(a, &f->remedy.records[i]));
	add_line(a, words, f->remedy.config);
	add_line(a, words, f->remedy.command);
	*words = arena_printf(a, "%.*s\n", STR_ARG(*words));
}

/* ---- comparing ---- */

static bool is_fault(const struct doctor_finding *f)
{
	return f->result == DOCTOR_FAILURE || f->result == DOCTOR_WARNING;
}

/* Whether a known fault is mended. What could not be found out, or is skipped, says nothing; a fault whose subject is not
 * judged any more is gone when the others of its check were. */
static bool is_mended(struct arena *a, const char *key, const struct doctor_finding *findings, size_t n)
{
	bool judged = false;
	struct str id = str_head(str_of(key), str_find(str_of(key), ' '));

	for (size_t i = 0; i < n; i++) {
		if (!str_eq(str_of(doctor_check_id(findings[i].check)), id))
			continue;
		if (str_eq(key_of(a, &findings[i]), str_of(key)))
			return findings[i].result == DOCTOR_OK || findings[i].result == DOCTOR_ADVICE ||
			       findings[i].result == DOCTOR_IGNORED;
		if (findings[i].result == DOCTOR_UNKNOWN || findings[i].result == DOCTOR_SKIPPED)
			return false;
		judged = true;
	}
	return judged;
}

static struct str mended_words(struct arena *a, struct faults *f, json_t *after, const struct doctor_finding *findings, size_t n,
			       size_t *told_n)
{
	struct str words = S("");
	const char *key;
	json_t *entry;

	json_object_foreach(f->known, key, entry)
	{
		if (!is_mended(a, key, findings, n))
			continue;
		json_object_del(after, key);
		if (!json_is_true(json_object_get(entry, "told")))
			continue;
		++*told_n;
		add_line(a, &words, arena_printf(a, "Mended: %s", json_string_value(json_object_get(entry, "words")) ?: key));
	}
	return words;
}

static struct str fault_words(struct arena *a, json_t *after, const struct doctor_finding *findings, size_t n, uint64_t now,
			      uint64_t apart, struct faults_news *news, size_t *told_n)
{
	struct str words = S("");

	for (size_t i = 0; i < n; i++) {
		const char *key = arena_cstr(a, key_of(a, &findings[i]));
		json_t *entry = json_object_get(after, key);
		uint64_t since = (uint64_t)json_integer_value(json_object_get(entry, "since"));

		if (!is_fault(&findings[i]) || json_is_true(json_object_get(entry, "told")))
			continue;
		if (entry && since <= now && now - since >= apart) {
			add_fault(a, &words, &findings[i]);
			json_object_set_new(entry, "told", json_true());
			++*told_n;
			continue;
		}
		news->waits = true;
		if (!entry || since > now)
			json_object_set_new(after, key,
					    json_pack("{s:I, s:b, s:s}", "since", (json_int_t)now, "told", 0, "words",
						      arena_cstr(a, sentence(a, &findings[i]))));
	}
	return words;
}

struct faults_news faults_compare(struct faults *f, struct arena *a, const struct doctor_finding *findings, size_t n,
				  uint64_t now, uint64_t apart)
{
	struct faults_news news = { .subject = S(""), .words = S(""), .known = json_deep_copy(f->known) };
	size_t mended_n = 0, faults_n = 0;
	struct str mended = mended_words(a, f, news.known, findings, n, &mended_n);
	struct str faults = fault_words(a, news.known, findings, n, now, apart, &news, &faults_n);

	if (mended_n + faults_n == 0)
		return news;
	news.words = arena_printf(a, "%.*s%.*s%s", STR_ARG(faults), STR_ARG(mended),
				  "\nAll findings, and what mends them: posthouse doctor\n");
	news.subject = faults_n > 0 ? arena_printf(a, "Doctor has found %zu fault%s", faults_n, faults_n == 1 ? "" : "s")
				    : arena_printf(a, "%zu fault%s mended", mended_n, mended_n == 1 ? " is" : "s are");
	return news;
}

void faults_told(struct faults *f, json_t *known)
{
	json_decref(f->known);
	f->known = known;
}
