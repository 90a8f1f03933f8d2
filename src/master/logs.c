/* logs.c - master writes the roles' log lines to its own standard error. Each role has its own pipe to master. */
#include "master.h"

#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BOUND 4096

/* A role that writes more is not read for a while: its own lines are lost (log.dropped), and no others. A busy queue that logs
 * each step writes a few MB in a second. */
#define BYTES_PER_MS (16 * MIB / 1000)
#define BYTES_MAX    (32 * MIB)
#define PAUSE_MS     100

struct log_pipe {
	uv_pipe_t pipe;
	uv_timer_t pause;
	const struct child *child; /* who writes; NULL: a command */
	char *upstream;            /* whose command writes; NULL: a role */
	unsigned handles;          /* that are open */
	uint64_t bytes, at;        /* what it can write now, as of this time of the loop */
	size_t n;
	char line[LINE_BOUND];
};

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *b)
{
	static char bytes[64 * 1024];

	(void)h;
	(void)size;
	*b = uv_buf_init(bytes, sizeof bytes);
}

/* A role writes lines in its own name only: another line is shown as what this role has said. That can also be the last words of
 * a role that fails. */
static void write_line(const struct log_pipe *p)
{
	const struct child *c = p->child;
	struct str line = str_make(p->line, p->n);

	if (p->upstream)
		log_warning(NULL, "command.complained", kv("upstream", p->upstream), kv("text", str_trim(line)));
	else if (log_line_is_of(line, role_name(c->role), role_facts[c->role].instances == PER_WORKER ? (int)c->index : -1))
		log_forward(line);
	else if (str_trim(line).n > 0)
		log_error(NULL, "role.complained", kv("by", role_name(c->role)), kv("number", c->index),
			  kv("text", str_trim(line)));
}

/* Lines are written whole; a line longer than the buffer is shown in pieces, each of which is a line. */
static void collect(struct log_pipe *p, struct str bytes)
{
	while (bytes.n > 0) {
		size_t end = str_find(bytes, '\n');
		size_t take = end == bytes.n ? bytes.n : end + 1;

		if (take > LINE_BOUND - p->n)
			take = LINE_BOUND - p->n;
		memcpy(p->line + p->n, bytes.p, take);
		p->n += take;
		bytes = str_from(bytes, take);
		if (p->line[p->n - 1] == '\n' || p->n == LINE_BOUND) {
			write_line(p);
			p->n = 0;
		}
	}
}

static void on_closed(uv_handle_t *h)
{
	struct log_pipe *p = h->data;

	if (--p->handles > 0)
		return;
	free(p->upstream);
	free(p);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b);

static void on_pause_over(uv_timer_t *timer)
{
	struct log_pipe *p = timer->data;

	uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read);
}

/* Count what was read; when that is too much, read no more for a while. */
static void count(struct log_pipe *p, size_t n)
{
	uint64_t now = uv_now(p->pipe.loop), more = (now - p->at) * BYTES_PER_MS;

	p->at = now;
	p->bytes = more > BYTES_MAX - p->bytes ? BYTES_MAX : p->bytes + more;
	p->bytes -= n < p->bytes ? n : p->bytes;
	if (p->bytes > 0)
		return;
	uv_read_stop((uv_stream_t *)&p->pipe);
	uv_timer_start(&p->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct log_pipe *p = stream->data;

	if (n > 0) {
		count(p, (size_t)n);
		collect(p, str_make(b->base, (size_t)n));
	}
	if (n >= 0)
		return;
	if (p->n > 0)
		write_line(p);
	uv_close((uv_handle_t *)&p->pause, on_closed);
	uv_close((uv_handle_t *)stream, on_closed);
}

int logs_pipe(struct master *m, const struct child *c, struct str upstream)
{
	struct log_pipe *p;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		log_error(NULL, "master.failed", kv("what", "log pipe"), kv("error", strerror(errno)));
		return -1;
	}
	p = NEW(struct log_pipe);
	p->pipe.data = p->pause.data = p;
	p->child = c;
	p->upstream = c ? NULL : str_dup(upstream);
	p->handles = 2;
	p->bytes = BYTES_MAX;
	p->at = uv_now(m->loop);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	uv_timer_init(m->loop, &p->pause);
	uv_pipe_init(m->loop, &p->pipe, 0);
	if (uv_pipe_open(&p->pipe, ends[0]) != 0 || uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) != 0)
		abort(); /* epoll accepts every new pipe: a refusal is a bug */
	uv_unref((uv_handle_t *)&p->pipe);
	uv_unref((uv_handle_t *)&p->pause);
	return ends[1];
}
