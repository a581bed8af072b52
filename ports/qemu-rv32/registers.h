/*
 * registers.h - access to the board's registers, and to the core's (CSRs). For the drivers in this folder.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define REG16(address) (*(volatile uint16_t *)(uintptr_t)(address))
#define REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))

#define CSR_WRITE(csr, value) __asm__ volatile("csrw " #csr ", %0" : : "r"((uint32_t)(value)) : "memory")
#define CSR_READ(csr, to) __asm__ volatile("csrr %0, " #csr : "=r"(to))

#endif
