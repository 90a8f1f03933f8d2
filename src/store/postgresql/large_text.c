/* large_text.c - texts that are too large for a row are pieces in rows of their own, so that any node can deliver them. The file
 * of the spool is only where submission has written the text; after the commit the file is removed. */
#include "postgresql.h"

#include "posthouse/file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The pieces are stored in the transaction of the message: there is none without its message, however this process ends. */
static bool store_pieces(struct engine *e, uint64_t id, int fd, uint64_t size)
{
	char *piece = postgresql_of(e)->piece;
	uint64_t done = 0;

	for (uint64_t seq = 0; done < size; seq++) {
		ssize_t n = pread(fd, piece, size - done < TEXT_PIECE ? size - done : TEXT_PIECE, (off_t)done);

		if (n <= 0 || !db_run(&e->db, Q_chunk_add, INT(id), INT(seq + 1), BLOB(str_make(piece, (size_t)n))))
			return false;
		done += (uint64_t)n;
	}
	return true;
}

struct verdict large_check(struct engine *e, const struct accepted *m)
{
	struct verdict v = spool_check(e->host, m->id, m->size);
	struct request file = { .id = m->id, .out.fd = -1 };
	bool stored;

	if (v.class != OK)
		return v;
	if (!spool_read(e->host, &file, m->size) || file.out.fd < 0)
		return temp(451, S("4.3.0"), S("the file of the text cannot be read"));
	stored = store_pieces(e, m->id, file.out.fd, m->size);
	(void)close(file.out.fd); /* only read from */
	return stored ? ok() : temp(451, S("4.3.0"), S("the text cannot be stored"));
}

void large_keep(struct engine *e, uint64_t id)
{
	spool_forget(e->host, id); /* after the commit: a repetition still finds the file */
}

void large_drop(struct engine *e, uint64_t id)
{
	db_run(&e->db, Q_chunks_drop, INT(id));
}

/* A file without a name, once for reading and once for writing. */
static bool make_file(int dir_fd, uint64_t id, int *write_out, int *read_out)
{
	char name[40];

	(void)snprintf(name, sizeof name, "copy.%llx", (unsigned long long)id);
	(void)unlinkat(dir_fd, name, 0); /* of a process that was killed here */
	*write_out = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	*read_out = *write_out >= 0 ? openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	(void)unlinkat(dir_fd, name, 0); /* no more is needed of it */
	return *read_out >= 0;
}

enum fetched { WHOLE, DAMAGED, NO_ROOM };

/* Copy the pieces into the file, one at a time, and never more than the message has. */
static enum fetched fetch_pieces(struct engine *e, uint64_t id, uint64_t size, int fd)
{
	enum fetched fetched = WHOLE;
	uint64_t bytes = 0;

	for (uint64_t seq = 1; fetched == WHOLE; seq++) {
		struct db_rows *q = db_query(&e->db, Q_chunk_get, INT(id), INT(seq));
		struct str piece = db_row(&e->db, q) ? db_str(q, 0) : S("");
		bool end = piece.n == 0;

		if (end ? bytes != size : piece.n > size - bytes)
			fetched = DAMAGED;
		else if (!file_write(fd, piece))
			fetched = NO_ROOM;
		bytes += piece.n;
		db_end(q);
		if (end)
			break;
	}
	return fetched;
}

bool large_read(struct engine *e, struct request *r, uint64_t size)
{
	int to = -1, from = -1;
	bool made = make_file(e->host->spool.dir_fd, r->id, &to, &from);
	enum fetched fetched = made ? fetch_pieces(e, r->id, size, to) : NO_ROOM;

	if (to >= 0)
		(void)close(to); /* each piece was written, or the copy is not used */
	if (fetched == WHOLE) {
		r->out.fd = from;
		return true;
	}
	if (from >= 0)
		(void)close(from); /* only read from */
	if (fetched == NO_ROOM)
		r->verdict = temp(451, S("4.3.0"), S("there is no room for a copy of the text"));
	return fetched == NO_ROOM;
}
