/* main.c - the queue role's executable. */
#include "queue.h"

int main(int argc, char **argv)
{
	return role_main(argc, argv, &queue_ops);
}
