/* proof.c - see proof.h. */
#include "proof.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct sockaddr_un local;
};

static int socket_option(int fd, int option)
{
	socklen_t n = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, option, &value, &n) == 0 ? value : -1;
}

/* A connection. Of a listening socket the kernel would say who listens: master. */
static bool is_stream(int fd)
{
	return socket_option(fd, SO_TYPE) == SOCK_STREAM && socket_option(fd, SO_ACCEPTCONN) == 0;
}

struct str proof_address(struct arena *a, int fd)
{
	union address peer = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof peer;
	char text[INET6_ADDRSTRLEN] = "";

	if (!is_stream(fd) || getpeername(fd, &peer.any, &n) != 0)
		return S("");
	if (peer.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &peer.four.sin_addr, text, sizeof text);
	else if (peer.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer.six.sin6_addr))
		inet_ntop(AF_INET, peer.six.sin6_addr.s6_addr + 12, text, sizeof text);
	else if (peer.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &peer.six.sin6_addr, text, sizeof text);
	return arena_str(a, str_of(text));
}

/* master binds the socket from within its directory, so the kernel knows only the name. */
static bool is_at(int fd, struct str path)
{
	union address own = { .any.sa_family = AF_UNSPEC };
	socklen_t n = sizeof own;
	struct str name;

	if (path.n == 0 || getsockname(fd, &own.any, &n) != 0 || own.any.sa_family != AF_UNIX ||
	    n <= offsetof(struct sockaddr_un, sun_path))
		return false;
	name = str_make(own.local.sun_path, strnlen(own.local.sun_path, n - offsetof(struct sockaddr_un, sun_path)));
	return str_eq(name, str_from(path, str_rfind(path, '/') + 1));
}

bool proof_user(int fd, struct str path, uint64_t *uid_out)
{
	socklen_t n = sizeof(struct ucred);
	struct ucred who;

	if (!is_stream(fd) || !is_at(fd, path) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return false;
	*uid_out = who.uid;
	return true;
}

/* The form of drop files, see local.h: none of its lines is the beginning of another kind of file. */
static bool begins_as_dropped(int fd)
{
	char head[4];

	return pread(fd, head, sizeof head, 0) == sizeof head &&
	       (memcmp(head, "from", sizeof head) == 0 || memcmp(head, "to: ", sizeof head) == 0);
}

bool proof_owner(int fd, bool any, uint64_t *uid_out)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (!any && (st.st_nlink != 1 || !(st.st_mode & S_IXUSR) || !begins_as_dropped(fd)))
		return false;
	*uid_out = st.st_uid;
	return true;
}
