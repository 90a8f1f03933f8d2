/* cluster.h - a PostgreSQL server for tests: in a temporary directory, on a unix socket there, until the program ends. */
#ifndef POSTGRESQL_CLUSTER_H
#define POSTGRESQL_CLUSTER_H

/* Start it, with the same data as before when it was stopped: the words to connect to its database postgres. NULL when PostgreSQL
 * is not installed: then the program says so and skips. Ends the program when it does not start. */
const char *cluster_start(void);
/* The same with fsync, which is off otherwise; until it is stopped. */
const char *cluster_start_durable(void);
/* Stop it at once, as if it had died. */
void cluster_stop(void);
/* The directory of its socket. */
const char *cluster_directory(void);

/* Make an empty database as the store wants it, or empty the one with this name and close what is connected to it: the words to connect to it, valid until the next
 * call. */
const char *cluster_database(const char *name);

/* Run SQL on a connection of its own: the first value as text, "" when there is none, valid until the next call. Ends the program
 * when the SQL fails. */
const char *cluster_sql(const char *connection, const char *sql);

/* From now on a transaction that has changed one of these tables ("a,b") fails at its end when it would not wait for a standby. */
void cluster_demand_synchronous(const char *connection, const char *tables);

#endif
