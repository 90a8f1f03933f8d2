/* cli.h - what the commands share. Each command is `int command_NAME(int argc, char **argv, const char *config_path)`: argv[0] is its
 * name, the value is a code of sysexits(3). */
#ifndef POSTHOUSE_CLI_H
#define POSTHOUSE_CLI_H

#include "posthouse/config.h"
#include "posthouse/control.h"

#include <jansson.h>

int command_serve(int argc, char **argv, const char *config_path);
int command_check(int argc, char **argv, const char *config_path);
int command_init(int argc, char **argv, const char *config_path);
int command_user(int argc, char **argv, const char *config_path);
int command_queue(int argc, char **argv, const char *config_path);
int command_limits(int argc, char **argv, const char *config_path);
int command_trace(int argc, char **argv, const char *config_path);
int command_status(int argc, char **argv, const char *config_path);
int command_reload(int argc, char **argv, const char *config_path);

/* check_tls.c: would submission take these certificates? Prints what is wrong, and warns of certificates that no client can get. The number of faults. */
unsigned check_certificates(const struct config *c);

/* A conversation with the running relay: dies with 69 when none runs, 77 when we may not. */
struct session {
	struct control *control;
	struct arena arena; /* answers live here */
	struct str realm;   /* of logins without @ */
};
void session_open(struct session *s, const char *config_path);
/* The same, and dies with 69 when all is not over within that time. */
void session_open_within(struct session *s, const char *config_path, uint64_t within_ms);
void session_close(struct session *s);

/* A login as the relay knows it: with its realm, in lower case. In the session's arena; "" stays. */
struct str session_login(struct session *s, struct str who);

/* One call; dies with the reason when it cannot be made, or (75, 69, 65 or 78) when the answer's verdict is not OK. */
union ipc_message *session_ask(struct session *s, enum msg_type request, const void *message, enum msg_type reply);

/* Is this argument the flag? Take it out of argv when it is there. */
bool take_flag(int *argc, char **argv, const char *flag);
/* The value of `--name value` or `--name=value`, taken out too; NULL when it is not given. Dies with 64 when the value is missing. */
const char *take_option(int *argc, char **argv, const char *name);
/* What was not taken out ends here: dies with 64 when there are more than n arguments, the command's name counted. */
void no_more_arguments(int argc, char **argv, int n);

/* Text for people: control characters become '?', so that nothing a peer said moves a terminal's cursor. Kept in the arena. */
struct str printable(struct arena *a, struct str s);
/* "2026-11-21 19:37:54Z", and "3 m", "2 h" for ages. */
struct str time_text(struct arena *a, uint64_t ms);
struct str age_text(struct arena *a, uint64_t ms);
struct str since_text(struct arena *a, uint64_t now, uint64_t at); /* the age of `at`; "0 s" when a clock was set back since */

json_t *json_text(struct str s); /* bytes that are not UTF-8 are replaced */
void json_print(json_t *j);      /* on a line of its own; takes j */

#endif
