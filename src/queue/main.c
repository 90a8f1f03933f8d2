/* main.c - the queue role's executable where a file has the queue. */
#include "queue.h"

int main(int argc, char **argv)
{
	queue_use_engine(&store_engine_sqlite, ENGINE_SQLITE);
	return role_main(argc, argv, &queue_ops);
}
