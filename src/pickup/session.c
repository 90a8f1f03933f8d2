/* session.c - a session with submission as the user whose file it is. login looks at the file, and gives the pass for it. */
#include "pickup.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* About a file that cannot be opened login is not asked: reading it tells why. */
void owner_ask(struct file *f, bool report, ipc_on_drop_owner done)
{
	int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct msg_drop_owner_is none = { .verdict = perm(554, S("5.6.0"), S("the file cannot be read")) };

	if (fd < 0) {
		done(f, ok(), &none, -1);
		return;
	}
	ipc_call_drop_owner(role_peer(f->pickup->role, ROLE_LOGIN, 0), &(struct msg_drop_owner){ .report = report }, fd, done, f);
	close(fd);
}

int session_open(struct pickup *p, struct str pass, uint64_t id, uint64_t token)
{
	struct msg_local_client m = { .pass = pass, .id = id, .token = token };
	struct channel *ch = NULL;
	int ends[2];

	for (unsigned i = 0; i < ROLE_PEERS_MAX && !ch; i++)
		ch = role_peer(p->role, ROLE_SUBMISSION, i);
	if (!ch || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	if (!ipc_send_local_client(ch, &m, ends[1])) {
		close(ends[0]);
		ends[0] = -1;
	}
	close(ends[1]);
	return ends[0];
}
