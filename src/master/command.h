/* command.h - runs the commands of upstreams.oauth.command, whose output is a token. */
#ifndef MASTER_COMMAND_H
#define MASTER_COMMAND_H

#include "master.h"

#include "posthouse/buf.h"
#include "posthouse/units.h"

#define COMMAND_MS         (60 * SECOND_MS) /* then it is killed */
#define COMMAND_OUTPUT_MAX (64 * KIB)

/* One run. Its parts close one after the other; the last one frees it. */
struct command {
	struct list in_master;
	struct master *master;
	struct channel *ch; /* who has asked; NULL: nobody waits for the answer */
	uint64_t call;
	char *upstream, *program;
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t limit;
	unsigned parts;     /* handles that are open */
	bool runs;          /* its process has not been reaped */
	struct buf output;  /* a secret: all its memory is allocated at once */
	const char *killed; /* what master has ended it for; NULL: nothing */
};

/* Run the command of this upstream as the user of the roles, without a shell, in a process group of its own; its standard error
 * goes to the log. The answer `command_output` has the first line of its output. TEMP says what went wrong, also when the
 * upstream's command runs already: vault renews a token once at a time. */
void command_run(struct master *m, struct channel *ch, const struct msg_command_run *request);

/* The channel has closed (NULL: master stops): end what was asked for by it. */
void commands_end(struct master *m, const struct channel *ch);

/* Is this a command's process? */
bool commands_have(const struct master *m, pid_t pid);

#endif
