/* fixup_peer.c - fix DIR/NAME.eml up, with "example.org" to complete addresses and old.example rewritten to new.example, into
 * DIR/NAME.fixed, after a line with what the caller would be told; fixup_peer.py has Python's mail parser read both. */
#include "posthouse/mail.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *open_in(const char *directory, const char *name, const char *ending, const char *mode)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s%s", directory, name, ending);
	FILE *f = fopen(path, mode);
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	size_t at = str_rfind(address, '@');

	(void)ctx, (void)is_sender;
	return str_ieq(str_from(address, at), S("@old.example")) ? arena_printf(a, "%.*s@new.example", (int)at, address.p)
								 : address;
}

static void fix(FILE *in, FILE *out)
{
	struct arena a = { 0 };
	char *p = xmalloc(HEADER_MAX);
	struct fixup_input fix = { .hostname = S("relay.example.org"),
				   .id = 1,
				   .envelope_sender = S("env@example.org"),
				   .domain = S("example.org"),
				   .rewrite = rewrite };
	struct fixup_result r;

	fix.section = str_make(p, fread(p, 1, HEADER_MAX, in));
	struct verdict v = mail_fixup(&a, &fix, &r);
	if (v.class != OK) {
		fprintf(out, "refused %.*s\n", STR_ARG(v.text));
	} else {
		fprintf(out, "from");
		for (size_t i = 0; i < r.from.n; i++)
			fprintf(out, " %.*s", STR_ARG(r.from.at[i]));
		fprintf(out, "\n");
		fwrite(r.section.p, 1, r.section.n, out);
	}
	free(p);
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;

	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 64;
	}
	for (struct dirent *e; (e = readdir(directory)) != NULL;) {
		if (!str_ends(str_of(e->d_name), S(".eml")))
			continue;
		FILE *in = open_in(argv[1], e->d_name, "", "r"), *out = open_in(argv[1], e->d_name, ".fixed", "w");
		fix(in, out);
		fclose(in);
		if (fclose(out) != 0)
			return 1;
	}
	closedir(directory);
	return 0;
}
