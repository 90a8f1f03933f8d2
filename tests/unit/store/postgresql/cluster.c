#include "cluster.h"

#include "../../../support/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

static char programs[200], directory[100], postgres[200], database[200], value[4096];
static pid_t server, owner;

static void give_up(const char *what)
{
	(void)fprintf(stderr, "cluster: %s (%s; see %s/log)\n", what, strerror(errno), directory);
	exit(1);
}

/* The directory of initdb, of the newest version; false when there is none. */
static bool find_programs(void)
{
	static const char *const places[] = { "/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb",
					      "/usr/local/bin/initdb", "/usr/bin/initdb" };
	glob_t found;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && programs[0] == 0; i++) {
		if (glob(places[i], 0, NULL, &found) != 0)
			continue;
		(void)snprintf(programs, sizeof(programs), "%s", found.gl_pathv[found.gl_pathc - 1]);
		*strrchr(programs, '/') = 0;
		globfree(&found);
	}
	return programs[0] != 0;
}

/* Start a program of PostgreSQL, which must not be root, and which ends when we do. */
static pid_t spawn(const char *name, const char *const *arguments)
{
	const char *argv[32] = { "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT" };
	char path[300], log[200];
	size_t n = 5;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)snprintf(path, sizeof(path), "%s/%s", programs, name);
	(void)snprintf(log, sizeof(log), "%s/log", directory);
	argv[n++] = path;
	while (*arguments)
		argv[n++] = *arguments++;
	if (chdir("/") != 0 || setenv("LC_ALL", "C", 1) != 0 || dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), 2) != 2 ||
	    dup2(2, 1) != 1)
		_exit(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGQUIT); /* for the one that setpriv does not start; otherwise only seemingly lost */
	if (geteuid() == 0)
		(void)execvp(argv[0], (char *const *)argv);
	else
		(void)execv(path, (char *const *)(argv + 5));
	_exit(1);
}

/* Directories of programs that were killed: their names have the process. */
static void remove_old(const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int pid = atoi(strchr(found.gl_pathv[i], '.') + 1);

		if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
			(void)remove_tree(found.gl_pathv[i]); /* another program can do the same */
	}
	globfree(&found);
}

/* In memory when there is much of it: nothing waits for a disk then. */
static const char *place(void)
{
	struct statvfs memory;
	bool good = statvfs("/dev/shm", &memory) == 0 && access("/dev/shm", W_OK) == 0 &&
		    memory.f_bavail * memory.f_frsize > 4 * (uint64_t)1024 * 1024 * 1024;

	return good ? "/dev/shm" : "/tmp";
}

static void make_files(void)
{
	char data[150];
	struct passwd *user = getpwnam("postgres");
	int status;
	pid_t pid;

	remove_old("/dev/shm/posthouse-postgresql.*.*");
	remove_old("/tmp/posthouse-postgresql.*.*");
	(void)snprintf(directory, sizeof(directory), "%s/posthouse-postgresql.%d.XXXXXX", place(), (int)getpid());
	if (!mkdtemp(directory) || (geteuid() == 0 && (!user || chown(directory, user->pw_uid, user->pw_gid) != 0)))
		give_up("no directory");
	(void)snprintf(data, sizeof(data), "%s/data", directory);
	pid = spawn("initdb", (const char *const[]){ "-D", data, "--no-sync", "-E", "SQL_ASCII", "--locale=C", "-A", "trust",
						     "-U", "postgres", NULL });
	if (waitpid(pid, &status, 0) != pid || status != 0)
		give_up("initdb failed");
}

void cluster_stop(void)
{
	if (server == 0)
		return;
	(void)kill(server, SIGQUIT);
	(void)waitpid(server, NULL, 0);
	server = 0;
}

static void remove_all(void)
{
	if (getpid() != owner) /* a child that has only been forked */
		return;
	cluster_stop();
	if (remove_tree(directory) != 0)
		(void)fprintf(stderr, "cluster: %s remains\n", directory);
}

static const char *start(const char *fsync)
{
	char data[150];

	if (server != 0)
		return postgres;
	if (!find_programs()) {
		(void)printf("1..0 # SKIP PostgreSQL is not installed\n");
		return NULL;
	}
	if (directory[0] == 0) {
		make_files();
		owner = getpid();
		(void)atexit(remove_all);
	}
	(void)snprintf(data, sizeof(data), "%s/data", directory);
	(void)snprintf(postgres, sizeof(postgres), "host=%s port=5432 user=postgres dbname=postgres", directory);
	server = spawn("postgres", (const char *const[]){ "-D", data, "-k", directory, "-h", "", "-p", "5432", "-c", fsync, "-c",
							  "max_wal_size=4GB", NULL });
	while (PQping(postgres) != PQPING_OK) {
		if (waitpid(server, NULL, WNOHANG) != 0) {
			server = 0;
			give_up("the server does not start");
		}
		(void)poll(NULL, 0, 20);
	}
	return postgres;
}

const char *cluster_start(void)
{
	return start("fsync=off");
}

const char *cluster_start_durable(void)
{
	return start("fsync=on");
}

const char *cluster_directory(void)
{
	return directory;
}

const char *cluster_sql(const char *connection, const char *sql)
{
	PGconn *conn = PQconnectdb(connection);
	PGresult *r = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(r);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		(void)fprintf(stderr, "cluster: %s: %s", sql, PQerrorMessage(conn));
		exit(1);
	}
	(void)snprintf(value, sizeof(value), "%s", PQntuples(r) > 0 && PQnfields(r) > 0 ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	PQfinish(conn);
	return value;
}

void cluster_demand_synchronous(const char *connection, const char *tables)
{
	char sql[1000];

	(void)snprintf(
		sql, sizeof(sql),
		"CREATE FUNCTION demand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
		" IF current_setting('synchronous_commit')<>'on' THEN RAISE EXCEPTION '%% does not wait', TG_TABLE_NAME; END IF;"
		" RETURN NULL; END $$;"
		"DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY string_to_array('%s',',') LOOP"
		" EXECUTE 'CREATE CONSTRAINT TRIGGER demand AFTER INSERT OR UPDATE OR DELETE ON '||t||"
		" ' DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION demand()'; END LOOP; END $$",
		tables);
	(void)cluster_sql(connection, sql);
}

const char *cluster_database(const char *name)
{
	char sql[300];

	(void)cluster_start(); /* it is not NULL: a program that has no server has ended */
	(void)snprintf(database, sizeof(database), "host=%s port=5432 user=postgres dbname=%s", directory, name);
	(void)snprintf(sql, sizeof(sql), "SELECT 1 FROM pg_database WHERE datname='%s'", name);
	if (strcmp(cluster_sql(postgres, sql), "1") == 0) { /* emptying is ten times as fast as making */
		(void)cluster_sql(database, "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity"
					    " WHERE datname=current_database() AND pid<>pg_backend_pid()");
		(void)cluster_sql(database, "SET client_min_messages=warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
		return database;
	}
	(void)snprintf(sql, sizeof(sql),
		       "CREATE DATABASE %s TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C' STRATEGY file_copy", name);
	(void)cluster_sql(postgres, sql);
	return database;
}
