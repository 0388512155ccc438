@ Convolution on Cortex-M0 and M0+: see blocked.rs for what each function needs.
@
@ A word holds one tap of two pixels as x = x0 + 2^16 x1. The products of two taps with their
@ weights still fit in 16 bits per pixel; with BIAS added to both halves no half borrows from the
@ other, and they are added to the sums of their pixels.

@ fixie_blocked_expand(args): one run of bytes of four pixels -> [pixels 0, 1] [pixels 2, 3] per tap.
    .section .text.fixie_blocked_expand, "ax", %progbits
    .global fixie_blocked_expand
    .type fixie_blocked_expand, %function
    .thumb_func
fixie_blocked_expand:
    push    {r4-r7, lr}
    ldr     r5, [r0, #20]
    mov     r12, r5
    ldm     r0, {r0-r4}
    movs    r5, #0
1:  ldrsb   r6, [r1, r5]
    ldrsb   r7, [r2, r5]
    lsls    r7, r7, #16
    adds    r6, r6, r7
    stmia   r0!, {r6}
    ldrsb   r6, [r3, r5]
    ldrsb   r7, [r4, r5]
    lsls    r7, r7, #16
    adds    r6, r6, r7
    stmia   r0!, {r6}
    adds    r5, r5, #1
    cmp     r0, r12
    bne     1b
    pop     {r4-r7, pc}
    .size fixie_blocked_expand, . - fixie_blocked_expand

@ fixie_blocked_channels(args): all channels of a block.
@
@ r0 patch, r1 weights, r2-r5 two taps of the four pixels, r6 weight, r8-r11 sums,
@ r12 BIAS in both halves, lr patch end
@ The stack starts with the pixels' outputs, as the arguments do.
    .equ IS_SHORT, 16       @ whether products are short
    .equ ROUNDING, 20       @ zero point and half of the rounding, both shifted up by 16
    .equ PATCH, 24
    .equ WEIGHTS_END, 28
    .equ ENTRY, 32          @ where to enter the loop
    .equ SKIPPED, 36        @ bytes of weights of what is skipped there
    .equ EXCESS, 40         @ what BIAS adds to each sum
    .equ MULTIPLIER, 44
    .equ CHANNEL, 48        @ counted from 0
    .equ FRAME, 52
    .equ UNROLL, 4
    .equ QUAD_BYTES, 84
    .equ BIAS, 32640        @ the products of two taps are from -32512 to 32768

@ Adds both halves of a word to the sums of their pixels.
    .macro ADD_HALVES word, low, high
    add     \word, r12
    uxth    r7, \word
    add     \low, r7
    lsrs    \word, \word, #16
    add     \high, \word
    .endm

    .macro TWO_TAPS at
    ldmia   r0!, {r2-r5}
    ldrb    r6, [r1, #\at]
    sxtb    r6, r6
    muls    r2, r6, r2
    muls    r3, r6, r3
    ldrb    r6, [r1, #\at + 1]
    sxtb    r6, r6
    muls    r4, r6, r4
    muls    r5, r6, r5
    adds    r2, r2, r4
    adds    r3, r3, r5
    ADD_HALVES r2, r8, r9
    ADD_HALVES r3, r10, r11
    .endm

    .macro OUTPUT sum, out
    REQUANTIZE \sum
    ldr     r0, [sp, #\out]
    ldr     r3, [sp, #CHANNEL]
    strb    r2, [r0, r3]
    .endm

    .macro OUTPUT_SHORT sum, out
    REQUANTIZE_SHORT \sum
    ldr     r0, [sp, #\out]
    strb    r2, [r0, r3]
    .endm

    .section .text.fixie_blocked_channels, "ax", %progbits
    .global fixie_blocked_channels
    .type fixie_blocked_channels, %function
    .thumb_func
fixie_blocked_channels:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
    sub     sp, sp, #FRAME
    mov     r1, sp
    ldmia   r0!, {r2-r6}
    stmia   r1!, {r2-r6}
    ldmia   r0!, {r2-r5}
    lsls    r2, r2, #16
    ldr     r6, =1 << 15
    adds    r2, r2, r6
    @ The first pass starts so far into the loop that all passes end at its end.
    ldr     r7, =2 * BIAS
    muls    r7, r5, r7
    rsbs    r6, r5, #0
    movs    r5, #UNROLL - 1
    ands    r6, r6, r5
    movs    r5, #QUAD_BYTES
    muls    r5, r6, r5
    lsls    r6, r6, #2
    stmia   r1!, {r2-r4}
    adr     r3, 2f
    adds    r5, r5, r3
    adds    r5, r5, #1
    stmia   r1!, {r5-r7}
    movs    r5, #0
    str     r5, [sp, #CHANNEL]
    ldmia   r0!, {r1, r2}
    mov     lr, r1
    mov     r1, r2
    ldr     r2, =BIAS << 16 | BIAS
    mov     r12, r2

1:  ldmia   r1!, {r2, r3}
    str     r3, [sp, #MULTIPLIER]
    ldr     r4, [sp, #EXCESS]
    subs    r2, r2, r4
    mov     r8, r2
    mov     r9, r2
    mov     r10, r2
    mov     r11, r2
    ldr     r4, [sp, #SKIPPED]
    subs    r1, r1, r4
    ldr     r0, [sp, #PATCH]
    ldr     r4, [sp, #ENTRY]
    bx      r4
    .p2align 2
2:  TWO_TAPS 0
    TWO_TAPS 2
    TWO_TAPS 4
    TWO_TAPS 6
    TWO_TAPS 8
    TWO_TAPS 10
    TWO_TAPS 12
    TWO_TAPS 14
    adds    r1, r1, #16
    cmp     r0, lr
    beq     3f
    b       2b
3:  ldr     r5, [sp, #MULTIPLIER]
    ldr     r6, [sp, #ROUNDING]
    ldr     r0, [sp, #IS_SHORT]
    cmp     r0, #0
    beq     5f
    asrs    r5, r5, #16
    movs    r4, #127
    ldr     r3, [sp, #CHANNEL]
    OUTPUT_SHORT r8, 0
    OUTPUT_SHORT r9, 4
    OUTPUT_SHORT r10, 8
    OUTPUT_SHORT r11, 12
    b       6f
5:  uxth    r4, r5
    asrs    r5, r5, #16
    OUTPUT  r8, 0
    OUTPUT  r9, 4
    OUTPUT  r10, 8
    OUTPUT  r11, 12
6:  adds    r3, r3, #1
    str     r3, [sp, #CHANNEL]
    ldr     r2, [sp, #WEIGHTS_END]
    cmp     r1, r2
    beq     4f
    b       1b
4:  add     sp, sp, #FRAME
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .pool
    .size fixie_blocked_channels, . - fixie_blocked_channels
