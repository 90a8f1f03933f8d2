/* logs.c - master writes the roles' log lines to its own standard error. Each role has its own pipe to master. */
#include "master.h"

#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BOUND 4096

struct log_pipe {
	uv_pipe_t pipe;
	char *upstream; /* whose command writes; NULL: a role */
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

static void write_line(const struct log_pipe *p)
{
	struct str line = str_make(p->line, p->n);

	if (p->upstream)
		log_warning(NULL, "command.complained", kv("upstream", p->upstream), kv("text", str_trim(line)));
	else
		log_forward(line);
}

/* Lines are written whole; a line longer than the buffer is passed on in pieces. */
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

	free(p->upstream);
	free(p);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct log_pipe *p = stream->data;

	if (n > 0)
		collect(p, str_make(b->base, (size_t)n));
	if (n >= 0)
		return;
	if (p->n > 0)
		write_line(p);
	uv_close((uv_handle_t *)stream, on_closed);
}

int logs_pipe(struct master *m, struct str upstream)
{
	struct log_pipe *p;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		log_error(NULL, "master.failed", kv("what", "log pipe"), kv("error", strerror(errno)));
		return -1;
	}
	p = NEW(struct log_pipe);
	p->pipe.data = p;
	p->upstream = upstream.n > 0 ? str_dup(upstream) : NULL;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	uv_pipe_init(m->loop, &p->pipe, 0);
	if (uv_pipe_open(&p->pipe, ends[0]) != 0 || uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) != 0)
		abort(); /* epoll accepts every new pipe: a refusal is a bug */
	uv_unref((uv_handle_t *)&p->pipe);
	return ends[1];
}
