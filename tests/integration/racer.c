/* racer.c - as the user who owns a directory: exchange two names in it again and again, until killed. Root, who is asked by name for one of them
 * at the wrong moment, finds the other. Between bursts all is in its place for a while, so that root comes as far as the names that it uses
 * late. Arguments: path, path, and so on in pairs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAIRS_MAX 16

static int exchanged[PAIRS_MAX]; /* is the pair the other way round? */

static void exchange(char **argv, int pair)
{
	if (renameat2(AT_FDCWD, argv[2 * pair + 1], AT_FDCWD, argv[2 * pair + 2], RENAME_EXCHANGE) == 0)
		exchanged[pair] = !exchanged[pair];
	else if (getppid() == 1)
		exit(0); /* whoever started us is gone */
}

int main(int argc, char **argv)
{
	int pairs = (argc - 1) / 2 < PAIRS_MAX ? (argc - 1) / 2 : PAIRS_MAX;

	for (;;) {
		for (int n = rand() % 400; n > 0; n--)
			exchange(argv, rand() % pairs);
		for (int pair = 0; pair < pairs; pair++)
			if (exchanged[pair])
				exchange(argv, pair);
		usleep((unsigned)rand() % 8000);
	}
}
