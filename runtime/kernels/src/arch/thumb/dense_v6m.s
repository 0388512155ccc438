@ Matrix products on Cortex-M0 and M0+: see dense.rs for what the function needs.
@
@ fixie_dot_1x4(args, sums): a patch with four rows of weights.
@
@ r0 patch, r1-r4 rows, r5 tap, r6 value, r7 weight, r8-r11 sums, r12 taps, lr sums
    .equ DOT_UNROLL, 4
    .equ DOT_TAP_BYTES, 28

    .section .text.fixie_dot_1x4, "ax", %progbits
    .global fixie_dot_1x4
    .type fixie_dot_1x4, %function
    .thumb_func
fixie_dot_1x4:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
    mov     lr, r1
    ldr     r7, [r0, #20]
    ldm     r0, {r0-r4}
    subs    r7, r7, r0
    mov     r12, r7
    @ The first pass starts so far into the loop that all passes end at its end.
    rsbs    r7, r7, #0
    movs    r6, #DOT_UNROLL - 1
    ands    r7, r7, r6
    movs    r6, #DOT_TAP_BYTES
    muls    r7, r6, r7
    adr     r6, 1f
    adds    r6, r6, r7
    adds    r6, r6, #1
    movs    r5, #0
    mov     r8, r5
    mov     r9, r5
    mov     r10, r5
    mov     r11, r5
    bx      r6
    .p2align 2
1:  .rept DOT_UNROLL
    ldrsb   r6, [r0, r5]
    ldrsb   r7, [r1, r5]
    muls    r7, r6, r7
    add     r8, r7
    ldrsb   r7, [r2, r5]
    muls    r7, r6, r7
    add     r9, r7
    ldrsb   r7, [r3, r5]
    muls    r7, r6, r7
    add     r10, r7
    ldrsb   r7, [r4, r5]
    muls    r7, r6, r7
    add     r11, r7
    adds    r5, r5, #1
    .endr
    cmp     r5, r12
    bne     1b
    mov     r0, lr
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    stmia   r0!, {r4-r7}
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .size fixie_dot_1x4, . - fixie_dot_1x4
