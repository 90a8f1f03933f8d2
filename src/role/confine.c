/* confine.c - puts up the walls around a role, in the order in which none hinders the next. */
#include "confine.h"

#include "attempts.h"
#include "landlock.h"
#include "needs.h"
#include "privileges.h"
#include "syscalls.h"

#include "posthouse/log.h"
#include "posthouse/sandbox.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	bool complete;
	enum role_id role;
	struct openings openings;
	unsigned landlock; /* the version; 0: not up */
	bool calls, root, code;
} walls;

/* The words of a line of nsswitch.conf: "files", "dns", "[NOTFOUND=return]". */
static void load_name_modules_of(char *words)
{
	char *rest = words, *word, name[64];

	while ((word = strsep(&rest, " \t\n"))) {
		if (word[0] < 'a' || word[0] > 'z' || strlen(word) > 20)
			continue;
		snprintf(name, sizeof name, "libnss_%s.so.2", word);
		(void)dlopen(name, RTLD_NOW | RTLD_NODELETE);
	}
}

/* The modules that look-ups of host names use: the C library would load them at the first look-up. */
static void load_name_modules(void)
{
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	char line[512], without[] = "files dns"; /* what the C library takes when the file does not say */
	bool said = false;

	while (f && fgets(line, sizeof line, f)) {
		char *start = line + strspn(line, " \t");

		if (strncmp(start, "hosts:", 6) != 0)
			continue;
		said = true;
		load_name_modules_of(start + 6);
	}
	if (!said)
		load_name_modules_of(without);
	if (f)
		fclose(f);
}

/* What libraries read at their first use, they read now. */
static void prepare_libraries(unsigned can)
{
	EVP_MD *hash;

	tzset();
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
	hash = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_free(hash);
	if (can & CAN_CONNECT)
		load_name_modules();
}

static bool is_left_out(const char *wall)
{
#ifdef POSTHOUSE_CRASH_POINTS
	const char *without = getenv("POSTHOUSE_WITHOUT");

	return without && strstr(without, wall);
#else
	return false;
#endif
}

/* Version 4 of landlock knows ports, and version 6 signals. */
struct str sandbox_missing(struct arena *a, bool *whole_out)
{
	unsigned abi = is_left_out("landlock") ? 0 : landlock_abi();
	bool calls = !is_left_out("seccomp") && syscalls_can_be_filtered();
	const char *files = abi == 0  ? "landlock"
			    : abi < 4 ? "landlock's ports and signals"
			    : abi < 6 ? "landlock's signals"
				      : "";

	*whole_out = !calls || abi == 0;
	return arena_printf(a, "%s%s%s", calls ? "" : "seccomp", calls || !*files ? "" : ", ", files);
}

static void failed(const char *wall, int error)
{
	if (error)
		log_error(NULL, "role.unconfined", kv("what", wall), kv("error", strerror(error)));
}

/* Below version 2 no file moves or is linked to another directory: those of the drop directory, and texts in a backup. */
static void close_files(unsigned reaches)
{
	unsigned abi = is_left_out("landlock") ? 0 : landlock_abi();
	int error;

	if (abi == 0 || (abi == 1 && reaches & (AT_DROP | AT_STATE)))
		return;
	error = landlock_close(&walls.openings, abi);
	walls.landlock = error ? 0 : abi;
	failed("landlock", error);
}

static void close_calls(unsigned can)
{
	int error;

	if (is_left_out("seccomp") || !syscalls_can_be_filtered())
		return;
	error = syscalls_filter(can, walls.openings.all);
	walls.calls = !error;
	failed("seccomp", error);
}

/* No file is opened by its name any more. The tokens' directory is open. */
static bool needs_no_files(unsigned can, unsigned reaches)
{
	return !(can & CAN_CONNECT) && (reaches & ~(unsigned)AT_TOKENS) == 0;
}

/* The leak checker of a sanitizer build reads the list of threads at the end, and what it is told to leave out. */
static void open_for_sanitizer(struct openings *o)
{
#ifdef POSTHOUSE_SANITIZED
	const char *options = getenv("LSAN_OPTIONS"), *file = options ? strstr(options, "suppressions=") : NULL;
	struct str path = file ? str_from(str_of(file), str_find(str_of(file), '=') + 1) : S("");

	openings_add(o, (struct opening){ .path = "/proc" });
	if (path.n > 0)
		openings_add(o, (struct opening){ .path = arena_cstr(&o->arena, str_head(path, str_find(path, ':'))) });
#endif
}

static void put_up(enum role_id role, const struct config *c)
{
	unsigned can = role_can(role, c), reaches = role_reaches(role, c);

	prepare_libraries(can);
	openings_of(&walls.openings, role, c);
	open_for_sanitizer(&walls.openings);
	limits_set(can);
	close_files(reaches);
	walls.root = needs_no_files(can, reaches) && privileges_leave_files();
	privileges_end();
	walls.code = !walls.openings.all && refuse_new_code();
	close_calls(can);
}

void confine(enum role_id role, const struct config *c)
{
	if (walls.complete)
		return;
	walls.complete = true;
	walls.role = role;
	if (c->sandbox == SANDBOX_OFF) {
		privileges_end();
		return;
	}
	attempts_make(put_up, role, c);
	put_up(role, c);
	log_debug(NULL, "role.confined", kv("confined", role_name(role)), kv("seccomp", walls.calls),
		  kv("landlock", walls.landlock), kv("chroot", walls.root));
}

struct str confine_lack(struct arena *a, const struct config *c)
{
	return walls.landlock ? openings_lack(&walls.openings, a, walls.role, c) : S("");
}

struct str confine_moved(struct arena *a)
{
	return walls.landlock ? openings_moved(&walls.openings, a) : S("");
}

void confine_figures(struct figures *f)
{
	figures_add(f, METRIC_ROLE_WALL, S("seccomp"), walls.calls, S(""));
	figures_add(f, METRIC_ROLE_WALL, S("landlock"), walls.landlock, S(""));
	figures_add(f, METRIC_ROLE_WALL, S("chroot"), walls.root, S(""));
	figures_add(f, METRIC_ROLE_WALL, S("no_new_code"), walls.code, S(""));
	figures_add(f, METRIC_ROLE_WALL, S("own_user"), geteuid() != 0, S(""));
}
