/* cli.h - what the commands share. Each command is rows in commands.def, and a file with
 * `int command_NAME(const struct options *o, const char *config_path)`. */
#ifndef POSTHOUSE_CLI_H
#define POSTHOUSE_CLI_H

#include "options.h"

#include "posthouse/config.h"
#include "posthouse/control.h"
#include "posthouse/records.h"
#include "posthouse/utf8.h"

#include <jansson.h>
#include <time.h>

/* src/master/serve.c: runs the relay until it is told to stop. Returns the exit code. */
int serve(const char *config_path);
/* src/master/spawn.c: "posthouse-PROGRAM" in the directory of this program (a build directory), or else in libexecdir. */
#define PROGRAM_PATH_MAX 4096
const char *program_path(const char *program, char path[PROGRAM_PATH_MAX]);

/* check_tls.c: would submission take these certificates? Prints what is wrong, and warns of certificates that no client can get.
 * The number of faults. */
unsigned check_certificates(const struct config *c);

/* A dialogue with the running relay: dies with 69 when none runs, with 77 when this user has no permission. */
struct session {
	struct control *control;
	struct arena arena; /* answers live here */
	struct str realm;   /* of logins without @ */
};
void session_open(struct session *s, const char *config_path);
/* The same, but dies with 69 when the dialogue has not ended within that time. */
void session_open_within(struct session *s, const char *config_path, uint64_t within_ms);
void session_close(struct session *s);

/* A login as the relay knows it: with its realm, in lower case. In the session's arena; "" stays. */
struct str session_login(struct session *s, struct str who);

/* Makes one call, whatever the verdict of its answer. Dies with the reason when the call cannot be made. */
union ipc_message *session_call(struct session *s, enum msg_type request, const void *message, enum msg_type reply);
/* Makes one call. Dies with the reason when the call cannot be made, or (75, 69, 65 or 78) when the answer's verdict is not
 * OK. */
union ipc_message *session_ask(struct session *s, enum msg_type request, const void *message, enum msg_type reply);

/* ---- message_name.c ---- */

/* A message as it is named on the command line: an id, or (id 0) a Message-ID. Dies with 64 when the text is neither. */
struct message_name {
	uint64_t id;
	struct str message_id;
};
struct message_name message_name_read(const char *text);
/* The messages of that name, finished ones too: a Message-ID can name several. Dies with 65 when there is none of this
 * Message-ID; whether there is one with this id is not looked up. */
#define MESSAGES_NAMED_MAX 100
size_t session_messages(struct session *s, const struct message_name *m, uint64_t ids[MESSAGES_NAMED_MAX]);

/* ---- program.c ---- */

/* "posthouse", with the options that lead to this configuration, for people to type. */
struct str program_with(struct arena *a, const char *config_path);

/* ---- duration.c ---- */

/* "90s", "15m", "4h", "5d", "2w". False: the text is no duration, or a longer one than `max_ms`. */
bool read_duration(struct str text, uint64_t max_ms, uint64_t *ms_out);

/* ---- words.c ---- */

/* The words of a text from the column `at` on, broken before column 80; further lines are indented. Ends the line. */
void print_words(FILE *out, struct str text, unsigned at, unsigned indent);
/* What of the text fits into `room` bytes, broken at a blank; a word that is longer stays whole. */
struct str words_head(struct str text, size_t room);

/* ---- format.c: texts are in the arena. Texts of peers are printed by utf8_shown(), so that no peer can move a cursor ---- */

/* Times are those of this machine's zone, or those of UTC from now on. */
void format_in_utc(bool on);
bool format_is_utc(void);
struct tm format_tm(uint64_t ms);

/* "2026-11-21 19:37:54", in UTC with a Z, and "3 m", "2 h" for ages. */
struct str time_text(struct arena *a, uint64_t ms);
struct str age_text(struct arena *a, uint64_t ms);
struct str since_text(struct arena *a, uint64_t now, uint64_t at); /* the age of `at`; "0 s" when a clock was set back since */

/* "192.0.2.7, 10.1.0.0/24": the listed hosts that send as this login without a password, "" when there are none. *first_out
 * (NULL: not wanted): the number of the first entry, from 1. */
struct str hosts_text(struct arena *a, const struct config *c, struct str login, size_t *first_out);

/* ---- print_records.c: DNS records to publish ---- */

/* "zone", "table", "route53", "json". False: it is none of these words. */
enum records_format { RECORDS_ZONE, RECORDS_TABLE, RECORDS_ROUTE53, RECORDS_JSON };
bool records_format_find(const char *word, enum records_format *format_out);
/* To standard output, as records.h says; JSON: a document for each, and the end. */
void print_records(const struct dns_entries *list, struct str origin, struct str title, enum records_format format);

json_t *json_text(struct str s); /* bytes that are not UTF-8 are replaced */
json_t *json_time(uint64_t ms);  /* "2027-03-02T14:02:11.204Z"; 0: null */
void json_print(json_t *j);      /* on a line of its own; takes j */

/* Each output is documents, which begin with their kind; a kind has one schema, see posthouse(8). A listing ends with
 * json_end(). */
json_t *json_document(const char *kind);                    /* further fields are set in it */
void json_print_document(const char *kind, json_t *fields); /* the kind in front of the fields; takes them */
void json_end(size_t n, bool truncated);                    /* n documents came before; truncated: there are more */

#endif
