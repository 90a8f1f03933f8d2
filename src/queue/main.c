/* main.c - the queue role's executable. */
#include "queue.h"

int main(int argc, char **argv)
{
	queue_use_engine(&store_engine_sqlite);
	return role_main(argc, argv, &queue_ops);
}
