/* queue_import.c - `posthouse queue import`: each exported message goes to the relay in a file of its own, without a name. */
#include "queue.h"

#include "posthouse/export_form.h"
#include "posthouse/file.h"
#include "posthouse/id.h"
#include "posthouse/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define FILE_MAX_BYTES (UINT64_C(4) << 30)

struct importing {
	struct session *session;
	bool json;
	size_t done, before, refused, failed;
};

static void report(struct importing *im, const char *path, uint64_t id, struct verdict v)
{
	char name[ID_TEXT_MAX];
	bool here = v.class == OK && v.code == 250;

	im->done += v.class == OK && !here;
	im->before += here;
	im->refused += v.class == PERM;
	im->failed += v.class == TEMP;
	if (v.class != OK)
		fprintf(stderr, "posthouse: %s%s%s: %.*s\n", path, id ? ": " : "", id ? id_format(id, name) : "",
			STR_ARG(utf8_shown(&im->session->arena, v.text)));
	else if (im->json)
		json_print_document("imported",
				    json_pack("{s:s, s:s, s:b}", "id", id_format(id, name), "file", path, "before", here));
	else
		printf("%s  %.*s\n", id_format(id, name),
		       STR_ARG(here ? utf8_shown(&im->session->arena, v.text) : S("imported")));
}

/* A copy that nobody changes meanwhile. */
static struct verdict give(struct importing *im, struct str message)
{
	int fd = memfd_create("import", MFD_CLOEXEC);
	union ipc_message *answer = NULL;
	const char *why = "";

	if (fd < 0)
		die(EX_OSERR, "no file in memory: %s", strerror(errno));
	if (!file_write(fd, message))
		die(EX_OSERR, "no memory for a message: %s", strerror(errno));
	if (!control_call_with(im->session->control, MSG_queue_import, &(struct msg_queue_import){ 0 }, fd, MSG_queue_imported,
			       &im->session->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	close(fd);
	return answer->queue_imported.verdict;
}

/* All messages of a file, one behind the other. */
static void import_bytes(struct importing *im, const char *path, struct str bytes)
{
	struct arena *a = &im->session->arena;

	do {
		struct exported x;
		size_t head = 0;
		struct verdict v = export_read(a, str_head(bytes, EXPORT_HEAD_MAX), &x, &head);
		uint64_t length = head + x.prefix_size + x.size;

		if (v.class == OK && length > bytes.n)
			v = perm(550, S("5.6.0"), S("the file ends before the message does"));
		if (v.class != OK) { /* what follows cannot be found */
			report(im, path, x.id, v);
			return;
		}
		report(im, path, x.id, give(im, str_head(bytes, (size_t)length)));
		bytes = str_from(bytes, (size_t)length);
		arena_reset(a);
	} while (bytes.n > 0);
}

static struct str read_all(FILE *in, const char *path, char **bytes_out)
{
	size_t n = 0, capacity = 0, got;

	*bytes_out = NULL;
	do {
		if (n == capacity) {
			capacity = capacity ? 2 * capacity : 64 * 1024;
			*bytes_out = xrealloc(*bytes_out, capacity);
		}
		got = fread(*bytes_out + n, 1, capacity - n, in);
		n += got;
	} while (got > 0 && n < FILE_MAX_BYTES);
	if (ferror(in))
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	return str_make(*bytes_out, n);
}

static void import_file(struct importing *im, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *in = standard ? stdin : fopen(path, "re");
	char *bytes;
	struct str all;

	if (!in)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	all = read_all(in, path, &bytes);
	import_bytes(im, path, all);
	free(bytes);
	if (!standard)
		fclose(in);
}

static int is_message(const struct dirent *entry)
{
	return str_ends(str_of(entry->d_name), S(".eml"));
}

/* Its files *.eml, in the order of their names, which is that of their times. */
static void import_directory(struct importing *im, const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_message, alphasort);

	if (n < 0)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[4096];

		if (snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name) < (int)sizeof file)
			import_file(im, file);
		free(entries[i]);
	}
	free(entries);
}

int queue_import(struct session *s, char **paths, size_t n, bool json)
{
	struct importing im = { .session = s, .json = json };

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (strcmp(paths[i], "-") != 0 && stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			import_directory(&im, paths[i]);
		else
			import_file(&im, paths[i]);
	}
	if (json)
		json_end(im.done + im.before, im.refused + im.failed > 0);
	else
		printf("%zu imported, %zu here already, %zu refused\n", im.done, im.before, im.refused + im.failed);
	if (im.refused > 0)
		return EX_DATAERR;
	return im.failed > 0 ? EX_TEMPFAIL : EX_OK;
}
