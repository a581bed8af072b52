/*
 * lwipmem.h - memory of lwIP in tests: malloc, which the sanitizers watch, and which a test can have fail. Included by
 * force into lwIP's files (cmake/host.cmake); defined in broker.c.
 */
#ifndef LWIPMEM_H
#define LWIPMEM_H

#include <stddef.h>
#include <stdlib.h>

#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC lwipmem_malloc
#define MEM_CUSTOM_CALLOC calloc
#define MEM_CUSTOM_FREE free

void *lwipmem_malloc(size_t n);

#endif
