/*
 * cc.h - what lwIP wants to know of compiler and platform: nothing special; assertions end the program on a PC and are
 * left out on a board.
 */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <stdlib.h>

#define LWIP_NO_INTTYPES_H 0
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#if defined(__linux__)
#define LWIP_PLATFORM_ASSERT(x) abort()
#else
#define LWIP_NOASSERT 1
#define LWIP_PLATFORM_ASSERT(x) ((void)0)
#endif

#endif
