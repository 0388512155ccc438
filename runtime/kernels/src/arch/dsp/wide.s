@ Products of 16-bit elements with 8-bit weights on cores with the DSP extension: see wide.rs for what
@ the functions need.

@ fixie_dot_wide(args, sums): a patch with four rows of weights, four taps at a time.
@
@ SXTB16 extends taps 0 and 2 of a word of weights, or with a rotation taps 1 and 3; the elements of
@ the patch lie in that order.
@
@ r0 patch, r1-r4 rows, r5-r8 sums, r9-r10 elements, r11 weights, r12 two of them, lr patch end
    .equ WIDE_UNROLL, 4
    .equ WIDE_QUAD_BYTES, 84

    .macro WIDE_ROW row, sum
    ldr     r11, [\row], #4
    sxtb16  r12, r11
    smlad   \sum, r12, r9, \sum
    sxtb16  r12, r11, ror #8
    smlad   \sum, r12, r10, \sum
    .endm

    .section .text.fixie_dot_wide, "ax", %progbits
    .global fixie_dot_wide
    .type fixie_dot_wide, %function
    .thumb_func
fixie_dot_wide:
    push    {r1, r4-r11, lr}
    ldm     r0, {r0-r4, lr}
    @ The first pass starts so far into the loop that all passes end at its end.
    sub     r5, r0, lr
    lsr     r5, r5, #3
    and     r5, r5, #WIDE_UNROLL - 1
    mov     r6, #WIDE_QUAD_BYTES
    adr     r7, 1f
    mla     r9, r5, r6, r7
    orr     r9, r9, #1
    mov     r5, #0
    mov     r6, #0
    mov     r7, #0
    mov     r8, #0
    bx      r9
    .p2align 2
1:  .rept WIDE_UNROLL
    ldrd    r9, r10, [r0], #8
    WIDE_ROW r1, r5
    WIDE_ROW r2, r6
    WIDE_ROW r3, r7
    WIDE_ROW r4, r8
    .endr
    cmp     r0, lr
    bne.w   1b
    pop     {r0}
    stm     r0, {r5-r8}
    pop     {r4-r11, pc}
    .size fixie_dot_wide, . - fixie_dot_wide

@ fixie_arrange_wide(patch, patch_end): elements 0 1 2 3 become 0 2 1 3, four at a time.
    .section .text.fixie_arrange_wide, "ax", %progbits
    .global fixie_arrange_wide
    .type fixie_arrange_wide, %function
    .thumb_func
fixie_arrange_wide:
1:  ldrd    r2, r3, [r0]
    pkhbt   r12, r2, r3, lsl #16
    pkhtb   r3, r3, r2, asr #16
    strd    r12, r3, [r0], #8
    cmp     r0, r1
    bne     1b
    bx      lr
    .size fixie_arrange_wide, . - fixie_arrange_wide
