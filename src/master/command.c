/* command.c - one command that prints a token: started, read, ended in time. Nothing of its output is logged. */
#include "command.h"

#include "posthouse/log.h"
#include "posthouse/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the answer ---- */
static void answer(struct channel *ch, uint64_t call, struct verdict v, struct str output)
{
	struct msg_command_output m = { .call = call, .verdict = v, .output = output };

	ipc_send_command_output(ch, &m, -1);
}

static void refuse(struct channel *ch, uint64_t call, struct str why)
{
	answer(ch, call, temp(451, S("4.7.0"), why), S(""));
}

/* The process has ended: its token, or what went wrong. */
static void answer_end(struct command *c, int64_t status, int signal)
{
	struct str output = buf_view(&c->output), line = str_trim(str_head(output, str_find(output, '\n'))), why;
	struct arena a = { 0 };

	if (c->killed)
		why = arena_printf(&a, "the command %s %s", c->program, c->killed);
	else if (signal != 0)
		why = arena_printf(&a, "the command %s was ended by signal %d", c->program, signal);
	else if (status != 0)
		why = arena_printf(&a, "the command %s has ended with exit code %d", c->program, (int)status);
	else if (line.n == 0)
		why = arena_printf(&a, "the command %s has printed nothing", c->program);
	else
		why = S("");
	if (why.n > 0)
		refuse(c->ch, c->call, why);
	else
		answer(c->ch, c->call, ok(), line);
	arena_fini(&a);
}

/* ---- the end ---- */
static void on_part_closed(uv_handle_t *h)
{
	struct command *c = h->data;

	if (--c->parts > 0)
		return;
	if (c->output.p)
		wipe(c->output.p, c->output.capacity);
	buf_fini(&c->output);
	free(c->upstream);
	free(c->program);
	free(c);
}

static void command_close(struct command *c)
{
	list_remove(&c->in_master);
	c->runs = false;
	uv_close((uv_handle_t *)&c->process, on_part_closed);
	uv_close((uv_handle_t *)&c->pipe, on_part_closed);
	uv_close((uv_handle_t *)&c->limit, on_part_closed);
}

/* All of its group. The exit of its process ends the rest. `why` continues "the command PROGRAM". */
static void command_kill(struct command *c, const char *why)
{
	if (c->killed)
		return;
	c->killed = why;
	kill(-c->process.pid, SIGKILL);
}

static void on_time_over(uv_timer_t *timer)
{
	command_kill(timer->data, "has not ended within 60 s");
}

/* ---- output ---- */
/* Room for one byte more than the limit, which shows that there is more. */
static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	struct command *c = h->data;
	size_t room = COMMAND_OUTPUT_MAX + 1 - c->output.n;

	*b = uv_buf_init(buf_reserve(&c->output, room), (unsigned)room);
}

static void take(struct command *c, ssize_t n)
{
	if (n > 0)
		buf_claim(&c->output, (size_t)n);
	if (c->output.n <= COMMAND_OUTPUT_MAX)
		return;
	uv_read_stop((uv_stream_t *)&c->pipe);
	command_kill(c, "has printed more than 64 KiB");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	take(stream->data, n);
	if (n < 0)
		uv_read_stop(stream);
}

/* What is still in the pipe. Its end is not waited for: a process that the command has left behind can hold it open. */
static void read_rest(struct command *c)
{
	ssize_t n = 1;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&c->pipe, &fd) != 0)
		return;
	while (n > 0 && c->output.n <= COMMAND_OUTPUT_MAX) {
		size_t room = COMMAND_OUTPUT_MAX + 1 - c->output.n;

		n = read(fd, buf_reserve(&c->output, room), room);
		take(c, n);
	}
}

static void on_exit_of_command(uv_process_t *process, int64_t status, int signal)
{
	struct command *c = process->data;

	kill(-process->pid, SIGKILL); /* what it has left behind in its group */
	read_rest(c);
	answer_end(c, status, signal);
	command_close(c);
}

/* ---- the beginning ---- */
/* 0, or a negative libuv code. */
static int spawn(struct command *c, const struct str_list *words, int output_fd, int error_fd)
{
	static char home[] = "HOME=/";
	const struct master *m = c->master;
	char *kept[ENVIRONMENT_MAX], **arguments = xcalloc(words->n + 1, sizeof *arguments);
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = output_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = error_fd } };
	uv_process_options_t options = { .file = c->program,
					 .args = arguments,
					 .env = clean_environment(false, kept),
					 .exit_cb = on_exit_of_command,
					 .flags = UV_PROCESS_DETACHED,
					 .stdio = stdio,
					 .stdio_count = 3 };
	size_t n = 0;
	int error;

	while (kept[n])
		n++;
	kept[n] = home;
	kept[n + 1] = NULL;
	for (size_t i = 0; i < words->n; i++)
		arguments[i] = str_dup(words->at[i]);
	if (m->users.drop) { /* libuv gives up the supplementary groups too */
		options.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
		options.uid = m->users.of[AS_RUN_AS].uid;
		options.gid = m->users.of[AS_RUN_AS].gid;
	}
	error = uv_spawn(m->loop, &c->process, &options);
	for (size_t i = 0; i < words->n; i++)
		free(arguments[i]);
	free(arguments);
	return error;
}

static struct command *command_new(struct master *m, struct channel *ch, uint64_t call, const struct cfg_upstream *u)
{
	struct command *c = NEW(struct command);

	*c = (struct command){ .master = m,
			       .ch = ch,
			       .call = call,
			       .upstream = str_dup(u->name),
			       .program = str_dup(u->oauth.command.at[0]),
			       .parts = 3 };
	buf_init(&c->output, COMMAND_OUTPUT_MAX + 1);
	list_append(&m->commands, &c->in_master);
	uv_pipe_init(m->loop, &c->pipe, 0);
	uv_timer_init(m->loop, &c->limit);
	c->process.data = c->pipe.data = c->limit.data = c;
	return c;
}

static void begin(struct master *m, struct channel *ch, uint64_t call, const struct cfg_upstream *u)
{
	struct command *c = command_new(m, ch, call, u);
	struct arena a = { 0 };
	int ends[2] = { -1, -1 }, log_fd = logs_pipe(m, NULL, u->name), error = UV_EMFILE;

	if (log_fd >= 0 && pipe2(ends, O_CLOEXEC) == 0)
		error = spawn(c, &u->oauth.command, ends[1], log_fd);
	close(ends[1]);
	close(log_fd);
	if (error) {
		close(ends[0]);
		refuse(ch, call, arena_printf(&a, "the command %s cannot be started: %s", c->program, uv_strerror(error)));
		arena_fini(&a);
		command_close(c); /* libuv needs a close also after a failed spawn */
		return;
	}
	c->runs = true;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	if (uv_pipe_open(&c->pipe, ends[0]) != 0 || uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
		abort(); /* epoll accepts every new pipe: a refusal is a bug */
	uv_timer_start(&c->limit, on_time_over, COMMAND_MS, 0);
}

void command_run(struct master *m, struct channel *ch, const struct msg_command_run *request)
{
	const struct cfg_upstream *u = config_upstream(m->config, request->upstream);
	bool runs = false;

	LIST_EACH_OF (struct command, c, &m->commands, in_master)
		runs |= str_eq(str_of(c->upstream), request->upstream);
	if (m->stopping)
		refuse(ch, request->call, S("the relay is being stopped"));
	else if (!u || u->oauth.command.n == 0)
		refuse(ch, request->call, S("the upstream has no command in the configuration"));
	else if (runs)
		refuse(ch, request->call, S("the upstream's command runs already"));
	else if (!allowance_take(&m->runs))
		refuse(ch, request->call, S("commands were run too often, try again"));
	else
		begin(m, ch, request->call, u);
}

void commands_end(struct master *m, const struct channel *ch)
{
	LIST_EACH_OF (struct command, c, &m->commands, in_master) {
		if (ch && c->ch != ch)
			continue;
		command_kill(c, "was ended, because the relay stops");
		if (ch)
			c->ch = NULL;
	}
}

bool commands_have(const struct master *m, pid_t pid)
{
	LIST_EACH_OF (struct command, c, &m->commands, in_master)
		if (c->runs && c->process.pid == pid)
			return true;
	return false;
}
