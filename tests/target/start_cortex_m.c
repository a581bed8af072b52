/*
 * start_cortex_m.c - from reset to main() on QEMU's mps2-an385 (Cortex-M3), and back out to the emulator's exit code.
 *
 * Data are where the linker put them when the emulator starts (it loads the whole ELF file), so only .bss is cleared.
 * Files and the console are newlib's rdimon (semihosting). A fault ends the program with a message: nothing hangs.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern uint8_t bss_start[], bss_end[], stack_top[]; /* cortex_m.ld */
void initialise_monitor_handles(void);              /* librdimon */
int main(void);
void reset(void);

#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

static _Noreturn void leave(int code)
{
    const uint32_t block[2] = { APPLICATION_EXIT, (uint32_t)code };
    register uint32_t operation __asm__("r0") = SYS_EXIT_EXTENDED;
    register const uint32_t *argument __asm__("r1") = block;

    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument), "m"(block) : "memory");
    for (;;) {
    }
}

static void fault(void)
{
    static const char text[] = "fault: the processor took an exception\n";
    register uint32_t operation __asm__("r0") = 0x04; /* SYS_WRITE0 */
    register const char *argument __asm__("r1") = text;

    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    leave(98);
}

void reset(void)
{
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    initialise_monitor_handles();
    int code = main();
    (void)fflush(stdout);
    (void)fflush(stderr);
    leave(code);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)stack_top, reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};
