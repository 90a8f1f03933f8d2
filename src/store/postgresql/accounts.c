/* accounts.c - the accounts of all nodes: lines of account files, which nobody here can read, and a version that tells whether a
 * node has seen the last change. */
#include "postgresql.h"

#include "posthouse/file.h"

#include <sys/mman.h>
#include <unistd.h>

static uint64_t version_now(struct engine *e)
{
	return db_number(&e->db, db_query(&e->db, Q_accounts_version));
}

/* The version is read first: lines that are newer than it are read again. */
void run_accounts(struct engine *e, struct request *r)
{
	struct str key = S("");
	struct db_rows *q;
	bool written;

	r->out.count = version_now(e);
	r->out.fd = memfd_create("accounts", MFD_CLOEXEC);
	(void)schema_meta(&e->db, S("login_key"), &r->arena, &key); /* false: an error, which stays */
	written = r->out.fd >= 0 && file_write(r->out.fd, arena_printf(&r->arena, "# login_key=%.*s\n", STR_ARG(key)));
	q = db_query(&e->db, Q_accounts);
	while (written && db_row(&e->db, q))
		written = file_write(r->out.fd, db_str(q, 0)) && file_write(r->out.fd, S("\n"));
	db_end(q);
	if (!written)
		r->verdict = temp(451, S("4.3.0"), S("there is no room for a copy of the accounts"));
}

/* Are the rows already as they are to be? So it is when the answer to the commit was lost. */
static bool is_done(struct engine *e, const struct store_account *rows, size_t n)
{
	bool same = true;

	for (size_t i = 0; same && i < n; i++) {
		struct db_rows *q = db_query(&e->db, Q_account, TEXT(rows[i].name), TEXT(rows[i].device));
		bool found = db_row(&e->db, q);

		same = found ? str_eq(db_str(q, 0), rows[i].line) : rows[i].line.n == 0;
		db_end(q);
	}
	return same && db_error(&e->db) == DB_WELL;
}

void run_accounts_commit(struct engine *e, struct request *r)
{
	const struct store_account *rows = r->in.accounts;

	db_run(&e->db, Q_accounts_advance, INT(r->cursor));
	if (db_changes(&e->db) == 0) {
		r->out.count = version_now(e);
		if (!is_done(e, rows, r->max))
			r->verdict = store_behind;
		return;
	}
	r->out.count = r->cursor + 1;
	for (size_t i = 0; i < r->max; i++) {
		if (rows[i].line.n == 0)
			db_run(&e->db, Q_account_remove, TEXT(rows[i].name), TEXT(rows[i].device));
		else
			db_run(&e->db, Q_account_put, TEXT(rows[i].name), TEXT(rows[i].device), TEXT(rows[i].line));
	}
}
