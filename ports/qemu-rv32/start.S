# start.S - from the first instruction to main(), for bootloader and images alike; and what happens at a fault.
#
# C expects: a stack pointer, initialized variables with their values (.data), the others zero (.bss), and two registers
# that the compiler uses as it likes: gp, in the middle of the small variables, and tp, for variables of a thread
# (the C library's errno). boot.ld and app.ld define the symbols. An image is loaded to where it was linked: its .data
# is in place already, _data_load is _data, and nothing is copied.

    .section .text.start, "ax"
    .globl _start
_start:
    csrw mie, zero              # no interrupt ends a wait that is not asked for
    .option push
    .option norelax             # or the linker would use gp to set gp
    la gp, __global_pointer$
    .option pop
    la sp, _stack_top
    la tp, _thread
    la a0, _data
    la a1, _data_load
    la a2, _data_end
    beq a0, a1, 2f
1:  bgeu a0, a2, 2f             # copy initialized variables, and code that runs from RAM
    lw t0, 0(a1)
    sw t0, 0(a0)
    addi a0, a0, 4
    addi a1, a1, 4
    j 1b
2:  la a0, _bss
    la a2, _bss_end
3:  bgeu a0, a2, 4f             # zero the others
    sw zero, 0(a0)
    addi a0, a0, 4
    j 3b
4:  fence.i                     # code that was copied is code now
#ifdef BOOTLOADER
    la t0, fault
    csrw mtvec, t0              # stays for the image: the handler is in flash that nobody can write
#endif
    call main
    j .

#ifdef BOOTLOADER
# A fault of bootloader or image: says so in the RAM that survives (retained.c), resets. Uses no stack: it may be gone.
    .section .text.fault, "ax"
    .balign 4
fault:
    li t0, 0x80063e00           # BOARD_RETAINED
    li t1, 0x47570003           # MARK | GW_CAUSE_FAULT
    sw t1, 0(t0)
    not t1, t1
    sw t1, 4(t0)
    csrr t1, mcause
    sw t1, 8(t0)
    csrr t1, mepc
    sw t1, 12(t0)
    csrr t1, mtval
    sw t1, 16(t0)
    li t0, 0x100000             # SiFive test finisher: reset
    li t1, 0x7777
    sw t1, 0(t0)
    j .
#else
# Of an image that takes the timer's interrupt (board_every): a fault goes on to the bootloader's handler, without using
# the stack; an interrupt to timer.c.
    .section .text.trap, "ax"
    .balign 4
    .globl board_trap
board_trap:
    csrw mscratch, t0
    csrr t0, mcause
    bltz t0, 1f
    lw t0, board_fault_handler
    jr t0
1:  csrr t0, mscratch
    j board_interrupt
#endif
