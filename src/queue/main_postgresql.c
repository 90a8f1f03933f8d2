/* main_postgresql.c - the queue role's executable where a PostgreSQL database has the queue. master has cleared the
 * environment of what libpq would read there (PGHOST, PGOPTIONS, HOME …); connect.c closes the files that it would look for. */
#include "queue.h"

int main(int argc, char **argv)
{
	queue_use_engine(&store_engine_postgresql, ENGINE_POSTGRESQL);
	return role_main(argc, argv, &queue_ops);
}
