@ Matrix products on Cortex-M3: see dense.rs for what the function needs.
@
@ fixie_dot_1x4(args, sums): a patch with four rows of weights.
@
@ r0 patch, r1-r4 rows, r5-r8 sums, r9 value, r10 weight, r11 patch end, r12 sums
    .equ DOT_UNROLL, 8
    .equ DOT_TAP_BYTES, 36

    .section .text.fixie_dot_1x4, "ax", %progbits
    .global fixie_dot_1x4
    .type fixie_dot_1x4, %function
    .thumb_func
fixie_dot_1x4:
    push    {r4-r11, lr}
    mov     r12, r1
    ldm     r0, {r0-r4, r11}
    @ The first pass starts so far into the loop that all passes end at its end.
    sub     r5, r0, r11
    and     r5, r5, #DOT_UNROLL - 1
    mov     r6, #DOT_TAP_BYTES
    adr     r7, 1f
    mla     r9, r5, r6, r7
    orr     r9, r9, #1
    mov     r5, #0
    mov     r6, #0
    mov     r7, #0
    mov     r8, #0
    bx      r9
    .p2align 2
1:  .rept DOT_UNROLL
    ldrsb   r9, [r0], #1
    ldrsb   r10, [r1], #1
    mla     r5, r9, r10, r5
    ldrsb   r10, [r2], #1
    mla     r6, r9, r10, r6
    ldrsb   r10, [r3], #1
    mla     r7, r9, r10, r7
    ldrsb   r10, [r4], #1
    mla     r8, r9, r10, r8
    .endr
    cmp     r0, r11
    bne.w   1b
    stm     r12, {r5-r8}
    pop     {r4-r11, pc}
    .size fixie_dot_1x4, . - fixie_dot_1x4
