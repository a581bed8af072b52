/* random.h - getrandom() for programs under emulation. */
#ifndef TARGET_SYS_RANDOM_H
#define TARGET_SYS_RANDOM_H

#include <sys/types.h>

/* From the PC's /dev/urandom, by semihosting. The bytes drawn, or -1. */
ssize_t getrandom(void *data, size_t n, unsigned flags);

#endif
