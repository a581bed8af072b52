/* random.c - random numbers of the PC that emulates, through a file that semihosting opens. */
#include <stdio.h>
#include <sys/random.h>

ssize_t getrandom(void *data, size_t n, unsigned flags)
{
    FILE *f = fopen("/dev/urandom", "rb");
    size_t got = 0;

    (void)flags;
    if (f != NULL) {
        setvbuf(f, NULL, _IONBF, 0);
        got = fread(data, 1, n, f);
        fclose(f);
    }
    return got == n ? (ssize_t)n : -1;
}
