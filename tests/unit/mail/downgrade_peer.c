/* downgrade_peer.c - convert each file of DIR: NAME.whole with whole parts in view, NAME.once without, NAME.lines where 8 bits may stay,
 * NAME.refused with the reason;
 * downgrade_peer.py reads them with Python's mail parser. Each pass is made in pieces of several sizes, which must not matter. */
#include "posthouse/mail.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t sizes[] = { 1, 7, 4096, SIZE_MAX };

static struct str read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf b;
	char piece[65536];
	size_t n;

	buf_init(&b, SIZE_MAX / 2);
	if (!f) {
		perror(path);
		exit(1);
	}
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buf_add(&b, str_make(piece, n));
	fclose(f);
	return buf_view(&b);
}

static void write_file(const char *path, const char *suffix, struct str text)
{
	char name[4096];

	snprintf(name, sizeof name, "%s.%s", path, suffix);
	FILE *f = fopen(name, "wb");
	if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0) {
		perror(name);
		exit(1);
	}
}

/* One pass, each piece within the bound that the contract names; a whole part comes at once. */
static struct verdict pass(struct downgrade *c, struct str text, size_t size, bool whole, struct buf *all)
{
	struct verdict v = ok();
	struct buf out;

	for (size_t at = 0; v.class == OK && at < text.n; at += size < text.n ? size : text.n) {
		struct str piece = str_head(str_from(text, at), size);
		buf_init(&out, whole ? SIZE_MAX / 2 : 16 * piece.n + 1024 * 1024);
		v = downgrade_feed(c, piece, &out);
		buf_add(all, buf_view(&out));
		buf_fini(&out);
	}
	return v.class == OK ? downgrade_end(c, all) : v;
}

static void convert(const char *path, struct str text, bool whole, unsigned what)
{
	struct buf first, all;

	buf_init(&first, SIZE_MAX / 2);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct downgrade *c = downgrade_new(what, whole ? SIZE_MAX / 2 : DOWNGRADE_SAMPLE);
		struct verdict v;

		buf_init(&all, SIZE_MAX / 2);
		v = pass(c, text, sizes[i], whole, &all);
		if (v.class != OK) {
			buf_clear(&all);
			buf_printf(&all, "%u %.*s %.*s", v.code, STR_ARG(v.enhanced), STR_ARG(v.text));
		} else if (!str_starts(buf_view(&all), downgrade_header(c))) {
			fprintf(stderr, "%s: the header section is not the output's\n", path);
			exit(1);
		}
		if (i > 0 && !str_eq(buf_view(&first), buf_view(&all))) {
			fprintf(stderr, "%s: pieces of %zu bytes give something else\n", path, sizes[i]);
			exit(1);
		}
		if (i == 0)
			buf_add(&first, buf_view(&all));
		buf_fini(&all);
		downgrade_free(c);
		if (i + 1 == sizeof sizes / sizeof *sizes)
			write_file(path,
				   v.class != OK            ? "refused"
				   : what != DOWNGRADE_7BIT ? "lines"
				   : whole                  ? "whole"
							    : "once",
				   buf_view(&first));
	}
	buf_fini(&first);
}

int main(int argc, char **argv)
{
	char path[4096];
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;

	if (!d)
		return 64;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (!str_ends(str_of(e->d_name), S(".eml")))
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
		struct str text = read_file(path);
		convert(path, text, true, DOWNGRADE_HEADERS | DOWNGRADE_LINES);
		convert(path, text, true, DOWNGRADE_7BIT);
		convert(path, text, false, DOWNGRADE_7BIT);
		free((void *)(uintptr_t)text.p);
	}
	closedir(d);
	return 0;
}
