/* user.h - shared by the files of `user`, and by `init`. */
#ifndef POSTHOUSE_CLI_USER_H
#define POSTHOUSE_CLI_USER_H

#include "cli.h"
#include "columns.h"

#include "posthouse/accounts.h"
#include "posthouse/users.h"

struct user_command {
	struct config *config;
	struct control *control; /* NULL: no relay runs, and this process has its lock */
	struct arena arena;
	const char *state_dir;
	enum account_operation operation;
	struct str name, device, shown; /* `shown` is name/device for people */
	struct secret password;
	struct str reason;    /* of a lock */
	struct str last_name; /* of the row before */
	struct columns table; /* of `user list` */
	size_t listed;
	uint64_t expires_at; /* as accounts_change() takes it */
};

/* ---- user_password.c ---- */
/* The first line of standard input, without its end. False: there is none, or it is longer than the longest password. */
bool read_password_line(struct secret *password_out);

/* One line from the person at the terminal; what is typed is shown only when `shown` is true. False: nothing was typed. Dies when
 * there is no terminal. */
bool ask_person(const char *question, bool shown, struct secret *answer_out);

/* The new password: generated, from standard input, or entered twice at the terminal. Dies when there is none. */
void get_password(struct secret *password_out, bool generate, bool from_stdin);

/* ---- user_change.c ---- */
/* Become this user permanently. False: errno has the reason. */
bool become_user(const struct user *user);

void connect_or_take_over(struct user_command *u);

/* Make the change that `u` describes. OK, or the reason of the failure (in its arena). */
struct verdict user_change(struct user_command *u);

#endif
