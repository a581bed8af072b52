/*
 * board.h - the board: qemu-system-riscv32 -M virt -cpu lowrisc-ibex -m 400K; an ESP32-C3's instruction set and RAM,
 * and two banks of NOR flash. What bootloader and applications share; one file for each peripheral implements it.
 *
 *   flash   0x20000000  bank 0, write-protected: bootloader, identity, factory image     (layout.c, board.json)
 *           0x22000000  bank 1: trust bundles, journal, slot A, slot B
 *   RAM     0x80000000  the image that runs, up to 384 KB; code, data and heap
 *           0x80060000  stack of the image; before it starts, everything of the bootloader
 *           0x80063e00  what survives a reset: why it happened, the hand-over (retained.c)
 *           0x80063f00  parameters of a test: text that QEMU's loader device puts there
 *
 * Everything is polled, and interrupts only end a wait (board_wait), but one: the timer's, for what must not be late
 * (board_every).
 */
#ifndef BOARD_H
#define BOARD_H

#include "godwit/boot.h"

#define BOARD_BANK0 0x20000000u
#define BOARD_BANK1 0x22000000u
#define BOARD_SECTOR 4096u
#define BOARD_IMAGE 0x80000000u      /* where images run */
#define BOARD_IMAGE_ROOM 0x60000u
#define BOARD_RETAINED 0x80063e00u
#define BOARD_PARAMETERS 0x80063f00u /* 256 bytes */

extern const struct gw_flash board_flash;   /* flash.c; worst times there */
extern const struct gw_layout board_layout; /* layout.c */
extern const struct gw_area board_settings; /* layout.c: text of the factory, ports/common/settings.h */

/* uart.c */
void board_put(const void *bytes, size_t n);
void board_print(const char *text);
void board_print_number(uint32_t n);       /* decimal */
void board_print_hex(uint32_t n);          /* 0x and 8 digits */
int board_get(void);                       /* a byte, or -1: none came */

/* timer.c: since reset. board_wait sleeps until a byte or a frame comes or `us` have passed, whatever is first. */
uint64_t board_time_us(void);
void board_wait(uint32_t us);
void board_wait_for(uint32_t irq); /* this interrupt ends waits too; for drivers */
/* Calls a function every `us`, from an interrupt: whatever else runs, it is late by as long as interrupts are off,
 * which is nowhere but in board_wait(). It may not wait, print, draw random numbers or touch flash. */
void board_every(uint32_t us, void (*call)(void));

/* rtc.c: seconds since 1970, 0 if there is no clock. */
uint32_t board_clock(void);

/* virtio/rng.c: 0, or -1 when the device gives nothing. */
int board_random(void *bytes, size_t n);

/* virtio/net.c: Ethernet frames, up to 1514 bytes. False: there is no card. */
bool board_net_start(uint8_t mac[6]);
/* Hands over what has come, at most six frames; how many. */
uint32_t board_net_receive(void (*take)(void *ctx, const uint8_t *frame, uint32_t n), void *ctx);
uint8_t *board_net_frame(void); /* room for a frame to send; NULL: none just now */
void board_net_send(uint8_t *frame, uint32_t n); /* from board_net_frame() */

/* watchdog.c: resets the board unless it is fed in time. Once started it runs until the next reset. */
void board_watchdog_start(uint32_t ms);
void board_watchdog_feed(void);
bool board_watchdog_bit(void);                       /* did it cause the last reset? Once */

/* retained.c: why the last reset happened, and what the bootloader hands over; RAM that no reset clears. */
enum gw_cause board_cause(void);                     /* once for each reset: it is used up */
void board_handover_put(const struct gw_handover *h);
int board_handover_get(struct gw_handover *h);       /* GW_OK, or GW_ERR_FORMAT: not started by the bootloader */
_Noreturn void board_reset(enum gw_cause cause);     /* GW_CAUSE_SOFTWARE: asked for; GW_CAUSE_FAULT: gave up */
_Noreturn void board_exit(int code);                 /* ends QEMU with this exit code: for tests */

/* protect.c: physical memory protection: flash cannot be changed by stray stores, bank 0 not at all. */
void board_protect(void);
void board_flash_unlock(void);                       /* for the flash driver alone */
void board_flash_lock(void);

#endif
