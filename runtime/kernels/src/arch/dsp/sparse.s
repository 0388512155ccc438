@ ConvSparse on cores with the DSP extension: see sparse.rs for what each function needs. It follows
@ conv.s, whose macros it uses.
@
@ The inner loops follow op::sparse of the image format. A couple is 20 bytes: two quads of 8 and
@ their places of 2 each.

@ A quad whose place is at r1 + place, and then r1 steps on. Its lanes are 24 bytes of the patch.
    .macro SPARSE_QUAD place, step
    ldrh    r7, [r1, #\place]
    ldrd    r2, r3, [r1], #\step
    add     r7, r7, r7, lsl #1
    add     r7, r0, r7, lsl #3
    ldmia   r7!, {r4-r6}
    TWO_TAPS_IN_PLACE r2
    ldmia   r7, {r4-r6}
    TWO_TAPS_IN_PLACE r3
    .endm

@ fixie_sparse_block(args): three pixels whose patches are expanded, all pairs of channels.
@
@ r0 patch, r1 weights, r2-r3 weights of four taps, r4-r6 one lane pair of each pixel, r7 lanes,
@ r8-r10 full sums, r11, r12, lr sums of channel 0.
@ Stack: [0] zero point  [4] bytes between outputs  [8] output  [12] whether the last pair has one
@ channel only  [16] end of the weights  [20] end of the pair's couples
    .section .text.fixie_sparse_block, "ax", %progbits
    .global fixie_sparse_block
    .type fixie_sparse_block, %function
    .thumb_func
fixie_sparse_block:
    push    {r4-r11, lr}
    sub     sp, sp, #24
    ldm     r0, {r0-r6}
    stm     sp, {r2-r6}
1:  ldm     r1!, {r8, r11, r12}
    add     r12, r12, r12, lsl #2
    add     r7, r1, r12, lsl #2
    str     r7, [sp, #20]
    mov     r9, r8
    mov     r10, r8
    mov     r12, r11
    mov     lr, r11
    b       3f
    .p2align 2
2:  SPARSE_QUAD 16, 8
    SPARSE_QUAD 10, 12
    ldr     r7, [sp, #20]
3:  cmp     r1, r7
    bne     2b
    ldrd    r2, r3, [r1], #8
    ldm     sp, {r4-r6}
    SCALE_SUMS
    ldrd    r2, r3, [sp, #12]
    SATURATE
    cmp     r1, r3
    bne     4f
    cbnz    r2, 5f
4:  bfi     r11, r8, #8, #8
    bfi     r12, r9, #8, #8
    bfi     lr, r10, #8, #8
    strh    r12, [r6, r5]
    strh    lr, [r6, r5, lsl #1]
    strh    r11, [r6], #2
    str     r6, [sp, #8]
    bne     1b
    b       6f
5:  strb    r12, [r6, r5]
    strb    lr, [r6, r5, lsl #1]
    strb    r11, [r6]
6:  add     sp, sp, #24
    pop     {r4-r11, pc}
    .size fixie_sparse_block, . - fixie_sparse_block

@ Four taps of a pixel, which lie at lanes.
    .macro SPARSE_FOUR_TAPS first, second
    sxtb16  r7, r8
    sxtb16  r8, r8, ror #8
    smlad   r9, \first, r7, r9
    smlad   r9, \second, r8, r9
    sxtb16  \first, \first
    sxtb16  \second, \second
    smlad   r10, \first, r7, r10
    smlad   r10, \second, r8, r10
    .endm

@ fixie_sparse_pixel(args): one pixel of bytes, whole pairs of channels. Places beyond the last quad
@ become that of the last quad.
@
@ r0 pixel, r1 weights, r2-r5 weights of two quads, r6 their places, r7-r8 lanes, r9 full sum, r10
@ sum of channel 0, r11 the last place twice, r12 couples left, lr output.
@ Stack: [0] zero point  [4] end of the weights
    .section .text.fixie_sparse_pixel, "ax", %progbits
    .global fixie_sparse_pixel
    .type fixie_sparse_pixel, %function
    .thumb_func
fixie_sparse_pixel:
    push    {r4-r11, lr}
    ldm     r0, {r0-r5}
    push    {r4, r5}
    mov     lr, r2
    mov     r11, r3
1:  ldm     r1!, {r9, r10, r12}
    cmp     r12, #0
    beq     3f
    .p2align 2
2:  ldm     r1!, {r2-r6}
    usub16  r7, r11, r6
    sel     r6, r6, r11
    uxth    r7, r6
    ldr     r8, [r0, r7, lsl #2]
    SPARSE_FOUR_TAPS r2, r3
    lsr     r7, r6, #16
    ldr     r8, [r0, r7, lsl #2]
    SPARSE_FOUR_TAPS r4, r5
    subs    r12, r12, #1
    bne     2b
3:  ldrd    r2, r3, [r1], #8
    ldrd    r4, r5, [sp]
    sub     r9, r9, r10
    asr     r9, r9, #8
    smmlar  r10, r10, r2, r4
    smmlar  r9, r9, r3, r4
    ssat    r10, #8, r10
    ssat    r9, #8, r9
    bfi     r10, r9, #8, #8
    strh    r10, [lr], #2
    cmp     r1, r5
    bne     1b
    add     sp, sp, #8
    pop     {r4-r11, pc}
    .size fixie_sparse_pixel, . - fixie_sparse_pixel
