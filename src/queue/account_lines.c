/* account_lines.c - see account_lines.h. What login brings is a stranger's bytes too. */
#include "account_lines.h"

#include "posthouse/accounts.h"
#include "posthouse/file.h"
#include "posthouse/utf8.h"

#include <stdlib.h>
#include <sys/stat.h>

static struct verdict read_file(int fd, struct account_lines *l)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > ACCOUNTS_BYTES_MAX)
		return perm(550, S("5.6.0"), S("this is no file of accounts"));
	l->bytes_n = (size_t)st.st_size;
	l->bytes = xmalloc(l->bytes_n + 1);
	if (file_read_at(fd, l->bytes, l->bytes_n, 0) != st.st_size)
		return perm(550, S("5.6.0"), S("the file of accounts cannot be read"));
	return ok();
}

static bool read_line(struct str line, struct store_account *row_out)
{
	struct account account;

	if (!utf8_valid(line))
		return false;
	if (account_parse_line(line, &account)) {
		*row_out = (struct store_account){ .name = account.name, .device = account.device, .line = line };
		return true;
	}
	row_out->line = S("");
	return account_parse_removal(line, &row_out->name, &row_out->device);
}

struct verdict account_lines_read(int fd, struct account_lines *out)
{
	struct verdict v;
	struct str rest, line;
	size_t capacity = 0;

	*out = (struct account_lines){ .rows_n = 0 };
	v = read_file(fd, out);
	rest = str_make(out->bytes, out->bytes_n);
	while (v.class == OK && str_split(&rest, '\n', &line)) {
		ARRAY_GROW(out->rows, out->rows_n, capacity);
		if (read_line(line, &out->rows[out->rows_n]))
			out->rows_n++;
		else
			v = perm(550, S("5.6.0"), S("a line is none of an account file, or not in UTF-8"));
	}
	return v;
}

void account_lines_free(struct account_lines *l)
{
	if (l->bytes)
		wipe(l->bytes, l->bytes_n);
	free(l->bytes);
	free(l->rows);
}
