@ Depthwise convolution on Cortex-M3: see depthwise.rs for what the function needs.
@
@ fixie_depthwise_channels(args): eight channels of a pixel at a time.
@
@ r0 taps of the pixel that is seen, r1 value, r2 weight, r3 weights, r4-r11 sums,
@ r12 channels of the layer, lr table
@ The stack starts with a copy of the arguments.
    .equ DW_BASE, 0         @ what the table counts from, for the next eight channels
    .equ DW_WEIGHTS, 4
    .equ DW_BIAS, 8
    .equ DW_MULTIPLIERS, 12
    .equ DW_OUT, 16
    .equ DW_BLOCKS, 20      @ groups of eight channels left
    .equ DW_TABLE, 24
    .equ DW_TABLE_END, 28
    .equ DW_CHANNELS, 32
    .equ DW_ZERO, 36
    .equ DW_SHIFT, 40
    .equ DW_ENTRY, 44       @ in the arguments: taps that the first pass skips; then where to enter
    .equ DW_FRAME, 48
    .equ DW_TAP_BYTES, 112

    .macro DW_CHANNEL sum, at
    ldrsb.w r1, [r0, #\at]
    ldrsb.w r2, [r3, #\at]
    mla     \sum, r1, r2, \sum
    .endm

    .macro DW_TAP
    ldr     r0, [lr], #4
    ldr.w   r1, [sp, #DW_BASE]
    add.w   r0, r0, r1
    DW_CHANNEL r4, 0
    DW_CHANNEL r5, 1
    DW_CHANNEL r6, 2
    DW_CHANNEL r7, 3
    DW_CHANNEL r8, 4
    DW_CHANNEL r9, 5
    DW_CHANNEL r10, 6
    DW_CHANNEL r11, 7
    add.w   r3, r3, r12
    .endm

    .macro DW_OUTPUT sum
    ldr     lr, [r0], #4
    mov     r2, #1 << 31
    mov     r3, r12
    smlal   r2, r3, \sum, lr
    ssat    r3, #8, r3
    strb    r3, [r1], #1
    .endm

    .section .text.fixie_depthwise_channels, "ax", %progbits
    .global fixie_depthwise_channels
    .type fixie_depthwise_channels, %function
    .thumb_func
fixie_depthwise_channels:
    push    {r4-r11, lr}
    sub     sp, sp, #DW_FRAME
    ldm     r0, {r1-r12}
    mov     r0, #DW_TAP_BYTES
    adr     lr, 2f
    mla     r12, r12, r0, lr
    orr     r12, r12, #1
    stm     sp, {r1-r12}
1:  ldr     r0, [sp, #DW_BIAS]
    ldmia   r0!, {r4-r11}
    str     r0, [sp, #DW_BIAS]
    ldr     r3, [sp, #DW_WEIGHTS]
    ldr     r12, [sp, #DW_CHANNELS]
    ldr     lr, [sp, #DW_TABLE]
    ldr     pc, [sp, #DW_ENTRY]
    .p2align 2
2:  DW_TAP
    DW_TAP
    DW_TAP
    ldr     r1, [sp, #DW_TABLE_END]
    cmp     lr, r1
    bne.w   2b
    ldr     r2, [sp, #DW_SHIFT]
    cbz     r2, 3f
    lsl     r4, r4, r2
    lsl     r5, r5, r2
    lsl     r6, r6, r2
    lsl     r7, r7, r2
    lsl     r8, r8, r2
    lsl     r9, r9, r2
    lsl     r10, r10, r2
    lsl     r11, r11, r2
3:  ldr     r0, [sp, #DW_MULTIPLIERS]
    ldr     r1, [sp, #DW_OUT]
    ldr     r12, [sp, #DW_ZERO]
    DW_OUTPUT r4
    DW_OUTPUT r5
    DW_OUTPUT r6
    DW_OUTPUT r7
    DW_OUTPUT r8
    DW_OUTPUT r9
    DW_OUTPUT r10
    DW_OUTPUT r11
    ldrd    r4, r5, [sp, #DW_BASE]
    ldr     r6, [sp, #DW_BLOCKS]
    strd    r0, r1, [sp, #DW_MULTIPLIERS]
    add     r4, r4, #8
    add     r5, r5, #8
    strd    r4, r5, [sp, #DW_BASE]
    subs    r6, r6, #1
    str     r6, [sp, #DW_BLOCKS]
    bne.w   1b
    add     sp, sp, #DW_FRAME
    pop     {r4-r11, pc}
    .size fixie_depthwise_channels, . - fixie_depthwise_channels
