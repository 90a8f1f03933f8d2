/* lite_text.c - the files of large texts: large/ID in state_dir. */
#include "lite.h"

#include "posthouse/file.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Have the file of this text open; *missing_out: there is none. */
static bool open_text(struct lite *l, uint64_t id, int flags, bool *missing_out)
{
	char name[ID_TEXT_MAX];

	*missing_out = false;
	if (l->text_id == id && l->text_fd >= 0)
		return true;
	if (l->text_fd >= 0)
		(void)close(l->text_fd); /* only read from, or synced */
	l->text_id = id;
	l->text_fd = openat(l->large_fd, id_format(id, name), flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	*missing_out = l->text_fd < 0 && (errno == ENOENT || errno == EBADF);
	return l->text_fd >= 0 || *missing_out || side_fail(&l->side, "large/%s: %s", name, strerror(errno));
}

bool lite_piece(struct side *s, uint64_t id, uint64_t seq, struct arena *a, struct str *piece_out)
{
	char *bytes = arena_alloc(a, PIECE_BYTES);
	bool missing;
	ssize_t n;

	*piece_out = S("");
	if (s->failed || !open_text(lite_of(s), id, O_RDONLY, &missing) || missing)
		return !s->failed;
	n = file_read_at(lite_of(s)->text_fd, bytes, PIECE_BYTES, (seq - 1) * PIECE_BYTES);
	if (n < 0)
		return side_fail(s, "a large text cannot be read: %s", strerror(errno));
	*piece_out = str_make(bytes, (size_t)n);
	return true;
}

bool lite_put_piece(struct side *s, uint64_t id, uint64_t seq, struct str piece)
{
	off_t at = (off_t)((seq - 1) * PIECE_BYTES);
	bool missing;

	if (s->failed || !open_text(lite_of(s), id, O_RDWR | O_CREAT | (seq == 1 ? O_TRUNC : 0), &missing))
		return false;
	while (piece.n > 0) {
		ssize_t n = pwrite(lite_of(s)->text_fd, piece.p, piece.n, at);

		if (n < 0 && errno != EINTR)
			return side_fail(s, "a large text cannot be written: %s", strerror(errno));
		piece = str_from(piece, n > 0 ? (size_t)n : 0);
		at += n > 0 ? n : 0;
	}
	return true;
}

bool lite_end_text(struct side *s, uint64_t id)
{
	struct lite *l = lite_of(s);

	return l->text_id != id || l->text_fd < 0 || (fsync(l->text_fd) == 0 && fsync(l->large_fd) == 0) ||
	       side_fail(s, "a large text cannot be written: %s", strerror(errno));
}
