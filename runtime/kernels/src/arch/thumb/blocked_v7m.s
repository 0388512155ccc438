@ Convolution on Cortex-M3: see blocked.rs for what each function needs.
@
@ A word holds one tap of two pixels as x = x0 + 2^23 x1. SMLAL with a weight adds to the sums of
@ both, one 64-bit number s = s0 + 2^23 s1: `op::blocked` of the image format keeps them below 2^22.

@ fixie_blocked_expand(args): one run of bytes of four pixels -> [pixels 0, 1] [pixels 2, 3] per tap.
    .section .text.fixie_blocked_expand, "ax", %progbits
    .global fixie_blocked_expand
    .type fixie_blocked_expand, %function
    .thumb_func
fixie_blocked_expand:
    push    {r4-r9, lr}
    ldm     r0, {r0-r4, r12}
    sub     lr, r12, r0
    tst     lr, #8
    beq     2f
    sub     r0, r0, #8
    b       3f
    .p2align 2
2:  ldrsb   r5, [r1], #1
    ldrsb   r6, [r2], #1
    ldrsb   r7, [r3], #1
    ldrsb   r8, [r4], #1
    add     r5, r5, r6, lsl #23
    add     r7, r7, r8, lsl #23
    strd    r5, r7, [r0]
3:  ldrsb   r5, [r1], #1
    ldrsb   r6, [r2], #1
    ldrsb   r7, [r3], #1
    ldrsb   r8, [r4], #1
    add     r5, r5, r6, lsl #23
    add     r7, r7, r8, lsl #23
    strd    r5, r7, [r0, #8]
    add     r0, r0, #16
    cmp     r0, r12
    bne     2b
    pop     {r4-r9, pc}
    .size fixie_blocked_expand, . - fixie_blocked_expand

@ fixie_blocked_channels(args): all channels of a block.
@
@ r0-r3 two taps of the four pixels, r4-r5 and r6-r7 sums of two pixels each, r8 weight,
@ r9 patch, r10 weights, r11 patch end, r12 multiplier, lr zero point
@ The stack starts with a copy of the arguments.
    .equ ZERO, 16
    .equ PATCH, 20
    .equ WEIGHTS_END, 24
    .equ ENTRY, 28          @ in the arguments: groups of four taps; then where to enter the loop
    .equ FRAME, 32
    .equ UNROLL, 8
    .equ QUAD_BYTES, 56

    .macro TAP pixels01, pixels23
    ldrsb   r8, [r10], #1
    smlal   r4, r5, r8, \pixels01
    smlal   r6, r7, r8, \pixels23
    .endm

    .section .text.fixie_blocked_channels, "ax", %progbits
    .global fixie_blocked_channels
    .type fixie_blocked_channels, %function
    .thumb_func
fixie_blocked_channels:
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    ldmia   r0!, {r1-r8}
    @ The first pass starts so far into the loop that all passes end at its end.
    rsb     r8, r8, #0
    and     r8, r8, #UNROLL - 1
    mov     r9, #QUAD_BYTES
    adr     r10, 2f
    mla     r8, r8, r9, r10
    orr     r8, r8, #1
    stm     sp, {r1-r8}
    ldrd    r11, r10, [r0]
    mov     lr, r5

1:  ldmia   r10!, {r8, r12}
    @ Sums that start at 2^22 stay positive: their halves are then simply bits.
    add     r8, r8, #1 << 22
    orr     r4, r8, r8, lsl #23
    lsr     r5, r8, #9
    mov     r6, r4
    mov     r7, r5
    ldr     r9, [sp, #PATCH]
    ldr     pc, [sp, #ENTRY]
    .p2align 2
2:  .rept UNROLL
    ldmia   r9!, {r0-r3}
    TAP     r0, r1
    TAP     r2, r3
    ldmia   r9!, {r0-r3}
    TAP     r0, r1
    TAP     r2, r3
    .endr
    cmp     r9, r11
    bne.w   2b
    ubfx    r0, r4, #0, #23
    lsl     r5, r5, #9
    orr     r1, r5, r4, lsr #23
    ubfx    r2, r6, #0, #23
    lsl     r7, r7, #9
    orr     r3, r7, r6, lsr #23
    @ The zero point and the half of the rounding, without what 2^22 contributes.
    mov     r4, #1 << 31
    subs    r4, r4, r12, lsl #22
    sbc     r5, lr, r12, asr #10
    mov     r6, r4
    mov     r7, r5
    smlal   r6, r7, r0, r12
    ssat    r0, #8, r7
    mov     r6, r4
    mov     r7, r5
    smlal   r6, r7, r1, r12
    ssat    r1, #8, r7
    mov     r6, r4
    mov     r7, r5
    smlal   r6, r7, r2, r12
    ssat    r2, #8, r7
    smlal   r4, r5, r3, r12
    ssat    r3, #8, r5
    ldm     sp, {r4-r7}
    ldr     r8, [sp, #WEIGHTS_END]
    strb    r0, [r4], #1
    strb    r1, [r5], #1
    strb    r2, [r6], #1
    strb    r3, [r7], #1
    stm     sp, {r4-r7}
    cmp     r10, r8
    bne.w   1b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size fixie_blocked_channels, . - fixie_blocked_channels
