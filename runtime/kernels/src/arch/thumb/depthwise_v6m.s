@ Depthwise convolution on Cortex-M0 and M0+: see depthwise.rs for what the function needs.
@
@ fixie_depthwise_channels(args): four channels of a pixel at a time.
@
@ r0 taps of the pixel that is seen, r1 weights, r2 value, r3 weight, r4-r6 1 to 3, r7 table,
@ r8 what the table counts from, r9-r12 sums, lr channels of the layer
@ The stack starts with a copy of the arguments.
    .equ DW_BASE, 0         @ what the table counts from, for the next four channels
    .equ DW_WEIGHTS, 4
    .equ DW_BIAS, 8
    .equ DW_MULTIPLIERS, 12
    .equ DW_OUT, 16
    .equ DW_BLOCKS, 20      @ groups of four channels left
    .equ DW_TABLE, 24
    .equ DW_TABLE_END, 28
    .equ DW_CHANNELS, 32
    .equ DW_ROUNDING, 36    @ zero point and half of the rounding, both shifted up by 16
    .equ DW_IS_SHORT, 40    @ whether products are short
    .equ DW_ENTRY, 44       @ in the arguments: taps that the first pass skips; then where to enter
    .equ DW_FRAME, 48
    .equ DW_TAP_BYTES, 42

    .macro DW_TAP
    ldmia   r7!, {r0}
    add     r0, r8
    ldrb    r2, [r0]
    sxtb    r2, r2
    ldrb    r3, [r1]
    sxtb    r3, r3
    muls    r2, r3, r2
    add     r9, r2
    ldrsb   r2, [r0, r4]
    ldrsb   r3, [r1, r4]
    muls    r2, r3, r2
    add     r10, r2
    ldrsb   r2, [r0, r5]
    ldrsb   r3, [r1, r5]
    muls    r2, r3, r2
    add     r11, r2
    ldrsb   r2, [r0, r6]
    ldrsb   r3, [r1, r6]
    muls    r2, r3, r2
    add     r12, r2
    add     r1, lr
    .endm

    .macro DW_OUTPUT sum, at
    ldmia   r1!, {r5}
    uxth    r4, r5
    asrs    r5, r5, #16
    REQUANTIZE \sum
    strb    r2, [r0, #\at]
    .endm

    .macro DW_OUTPUT_SHORT sum, at
    ldmia   r1!, {r5}
    asrs    r5, r5, #16
    REQUANTIZE_SHORT \sum
    strb    r2, [r0, #\at]
    .endm

    .section .text.fixie_depthwise_channels, "ax", %progbits
    .global fixie_depthwise_channels
    .type fixie_depthwise_channels, %function
    .thumb_func
fixie_depthwise_channels:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
    sub     sp, sp, #DW_FRAME
    mov     r1, sp
    ldmia   r0!, {r2-r7}
    stmia   r1!, {r2-r7}
    ldmia   r0!, {r2-r7}
    mov     lr, r4
    lsls    r5, r5, #16
    ldr     r0, =1 << 15
    adds    r5, r5, r0
    movs    r0, #DW_TAP_BYTES
    muls    r7, r0, r7
    adr     r0, 2f
    adds    r7, r7, r0
    adds    r7, r7, #1
    stmia   r1!, {r2-r7}

1:  ldr     r0, [sp, #DW_BIAS]
    ldmia   r0!, {r1-r4}
    str     r0, [sp, #DW_BIAS]
    mov     r9, r1
    mov     r10, r2
    mov     r11, r3
    mov     r12, r4
    ldr     r0, [sp, #DW_BASE]
    mov     r8, r0
    ldr     r1, [sp, #DW_WEIGHTS]
    ldr     r7, [sp, #DW_TABLE]
    ldr     r0, [sp, #DW_ENTRY]
    movs    r4, #1
    movs    r5, #2
    movs    r6, #3
    bx      r0
    .p2align 2
2:  DW_TAP
    DW_TAP
    DW_TAP
    ldr     r0, [sp, #DW_TABLE_END]
    cmp     r7, r0
    bne     2b
    ldr     r1, [sp, #DW_MULTIPLIERS]
    ldr     r6, [sp, #DW_ROUNDING]
    ldr     r0, [sp, #DW_OUT]
    ldr     r2, [sp, #DW_IS_SHORT]
    cmp     r2, #0
    beq     4f
    movs    r4, #127
    DW_OUTPUT_SHORT r9, 0
    DW_OUTPUT_SHORT r10, 1
    DW_OUTPUT_SHORT r11, 2
    DW_OUTPUT_SHORT r12, 3
    b       5f
4:  DW_OUTPUT r9, 0
    DW_OUTPUT r10, 1
    DW_OUTPUT r11, 2
    DW_OUTPUT r12, 3
5:  str     r1, [sp, #DW_MULTIPLIERS]
    adds    r0, r0, #4
    str     r0, [sp, #DW_OUT]
    ldr     r1, [sp, #DW_BASE]
    adds    r1, r1, #4
    str     r1, [sp, #DW_BASE]
    ldr     r1, [sp, #DW_WEIGHTS]
    adds    r1, r1, #4
    str     r1, [sp, #DW_WEIGHTS]
    ldr     r1, [sp, #DW_BLOCKS]
    subs    r1, r1, #1
    str     r1, [sp, #DW_BLOCKS]
    beq     3f
    b       1b
3:  add     sp, sp, #DW_FRAME
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .pool
    .size fixie_depthwise_channels, . - fixie_depthwise_channels
