/* include.c - which files an @include stands for. */
#include "loader.h"

#include <errno.h>
#include <glob.h>
#include <sys/stat.h>

static int on_glob_error(const char *path, int error)
{
	errno = error;
	return 1;
}

/* glob() sorts by the bytes of names, since nobody has set a locale. Names that begin with a dot are left out: editors and
 * Kubernetes have their own files in such directories. */
static const char *list_matches(struct loader *l, const char *pattern, struct str_list *files_out)
{
	const char *why = NULL;
	glob_t found = { 0 };
	int result;

	errno = 0;
	result = glob(pattern, GLOB_ERR, on_glob_error, &found);
	if (result != 0 && result != GLOB_NOMATCH)
		why = errno ? strerror(errno) : "it cannot be listed";
	files_out->at = ARENA_ARRAY(l->arena, struct str, found.gl_pathc + 1);
	for (size_t i = 0; i < found.gl_pathc && !why; i++)
		files_out->at[files_out->n++] = arena_str(l->arena, str_of(found.gl_pathv[i]));
	globfree(&found);
	return why;
}

const char *include_files(struct loader *l, struct str path, struct str_list *files_out)
{
	const char *name = arena_cstr(l->arena, path);
	struct stat st;
	bool exists = stat(name, &st) == 0;

	if (exists && S_ISDIR(st.st_mode))
		return list_matches(l, arena_cstr(l->arena, arena_printf(l->arena, "%s/*.conf", name)), files_out);
	if (!exists && strpbrk(name, "*?["))
		return list_matches(l, name, files_out);
	files_out->at = ARENA_ARRAY(l->arena, struct str, 1);
	files_out->at[files_out->n++] = path;
	return NULL;
}
