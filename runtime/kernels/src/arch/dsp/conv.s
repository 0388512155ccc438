@ Convolution on cores with the DSP extension: see conv.rs for what each function needs.
@
@ The inner loops follow `op::paired` of the image format: a word holds two taps of a pair of
@ channels as v = 256·w1 + w0. SMLAD with v adds to the full sums; SXTB16 leaves w0 of both taps,
@ and SMLAD with that adds to the sums of channel 0.

@ fixie_paired_expand(args): bytes of three pixels -> 16-bit lanes, interleaved.
@
@   for every run, for every 4 bytes:  [lanes 0,2 of each pixel] [lanes 1,3 of each pixel]
@
@ r0 patch, r1-r3 pixels, r10 runs left, r11 bytes from one run's end to the next, r12 quads of a run
    .section .text.fixie_paired_expand, "ax", %progbits
    .global fixie_paired_expand
    .type fixie_paired_expand, %function
    .thumb_func
fixie_paired_expand:
    push    {r4-r11, lr}
    ldm     r0, {r0-r3, r10-r12}
1:  mov     lr, r12
2:  ldr     r7, [r1], #4
    ldr     r8, [r2], #4
    ldr     r9, [r3], #4
    sxtb16  r4, r7
    sxtb16  r5, r8
    sxtb16  r6, r9
    sxtb16  r7, r7, ror #8
    sxtb16  r8, r8, ror #8
    sxtb16  r9, r9, ror #8
    stmia   r0!, {r4-r9}
    subs    lr, lr, #1
    bne     2b
    add     r1, r1, r11
    add     r2, r2, r11
    add     r3, r3, r11
    subs    r10, r10, #1
    bne     1b
    pop     {r4-r11, pc}
    .size fixie_paired_expand, . - fixie_paired_expand

@ fixie_paired_block(args): three pixels, all pairs of channels.
@
@ r0 patch, r1 weights, r2-r3 weights of four taps, r4-r6 one lane pair of each pixel, r7 patch end,
@ r8-r10 full sums, r11-r12 and lr sums of channel 0.
@ Stack: [0] patch  [4] zero point  [8] bytes between pixels  [12] output  [16] weights end
@ [20] where to enter the loop
    .equ UNROLL, 8
    .section .text.fixie_paired_block, "ax", %progbits
    .global fixie_paired_block
    .type fixie_paired_block, %function
    .thumb_func
fixie_paired_block:
    push    {r4-r11, lr}
    ldm     r0, {r1-r8}
    @ The first pass starts so far into the loop that all passes end at its end: a quad is 64 bytes.
    negs    r6, r6
    and     r6, r6, #UNROLL - 1
    adr     r9, 2f
    add     r6, r9, r6, lsl #6
    orr     r6, r6, #1
    push    {r1-r6}
    mov     r0, r1
    mov     r1, r8
1:  ldrd    r8, r11, [r1], #8
    mov     r9, r8
    mov     r10, r8
    mov     r12, r11
    mov     lr, r11
    ldr     pc, [sp, #20]
    .p2align 3
2:  .rept UNROLL
    ldrd    r2, r3, [r1], #8
    ldmia   r0!, {r4-r6}
    smlad   r8, r2, r4, r8
    smlad   r9, r2, r5, r9
    smlad   r10, r2, r6, r10
    sxtb16  r2, r2
    smlad   r11, r2, r4, r11
    smlad   r12, r2, r5, r12
    smlad   lr, r2, r6, lr
    ldmia   r0!, {r4-r6}
    smlad   r8, r3, r4, r8
    smlad   r9, r3, r5, r9
    smlad   r10, r3, r6, r10
    sxtb16  r3, r3
    smlad   r11, r3, r4, r11
    smlad   r12, r3, r5, r12
    smlad   lr, r3, r6, lr
    .endr
    cmp     r0, r7
    bne     2b
    ldrd    r2, r3, [r1], #8
    ldm     sp, {r0, r4-r6}
    sub     r8, r8, r11
    sub     r9, r9, r12
    sub     r10, r10, lr
    asr     r8, r8, #8
    asr     r9, r9, #8
    asr     r10, r10, #8
    smmlar  r11, r11, r2, r4
    smmlar  r12, r12, r2, r4
    smmlar  lr, lr, r2, r4
    smmlar  r8, r8, r3, r4
    smmlar  r9, r9, r3, r4
    smmlar  r10, r10, r3, r4
    ssat    r11, #8, r11
    ssat    r12, #8, r12
    ssat    lr, #8, lr
    ssat    r8, #8, r8
    ssat    r9, #8, r9
    ssat    r10, #8, r10
    bfi     r11, r8, #8, #8
    bfi     r12, r9, #8, #8
    bfi     lr, r10, #8, #8
    @ Pixel 0 last: with a distance of 0 it is the one that stays.
    strh    lr, [r6, r5, lsl #1]
    strh    r12, [r6, r5]
    strh    r11, [r6], #2
    str     r6, [sp, #12]
    ldr     r2, [sp, #16]
    cmp     r1, r2
    bne     1b
    add     sp, sp, #24
    pop     {r4-r11, pc}
    .size fixie_paired_block, . - fixie_paired_block

@ fixie_paired_pixel(args): one pixel of bytes, two pairs of channels at a time.
@
@ r0 pixel, r1-r2 weights of the two pairs, r3-r6 lanes of eight taps, r7-r8 weights of four taps,
@ r9 and r11 full sums, r10 and r12 sums of channel 0, lr pixel end.
@ Stack: [0] pixel  [4] zero point  [8] output  [12] bytes from one pair's output to the other's
@ [16] bytes of a pair's weights  [20] end of the second pair's weights  [24] where to start
@ [28] where to enter the loop
    .macro FOUR_TAPS weights, full, low, lanes02, lanes13
    ldrd    r7, r8, [\weights], #8
    smlad   \full, r7, \lanes02, \full
    smlad   \full, r8, \lanes13, \full
    sxtb16  r7, r7
    sxtb16  r8, r8
    smlad   \low, r7, \lanes02, \low
    smlad   \low, r8, \lanes13, \low
    .endm

    .equ PIXEL_UNROLL, 4
    .section .text.fixie_paired_pixel, "ax", %progbits
    .global fixie_paired_pixel
    .type fixie_paired_pixel, %function
    .thumb_func
fixie_paired_pixel:
    push    {r4-r11, lr}
    ldm     r0, {r1-r10}
    @ An odd quad of taps is done before the loop, whose passes of two quads are 132 bytes each and
    @ all end at its end.
    lsrs    r11, r7, #1
    rsb     r11, r11, #0
    and     r11, r11, #PIXEL_UNROLL - 1
    mov     r12, #132
    adr     lr, 3f
    mla     r11, r11, r12, lr
    orr     r11, r11, #1
    adr     r12, 2f
    orr     r12, r12, #1
    tst     r7, #1
    ite     ne
    movne   r7, r12
    moveq   r7, r11
    push    {r11}
    push    {r1-r7}
    mov     lr, r8
    mov     r0, r1
    mov     r1, r9
    mov     r2, r10
1:  ldrd    r9, r10, [r1], #8
    ldrd    r11, r12, [r2], #8
    ldr     pc, [sp, #24]
    .p2align 2
2:  ldr     r4, [r0], #4
    sxtb16  r3, r4
    sxtb16  r4, r4, ror #8
    FOUR_TAPS r1, r9, r10, r3, r4
    FOUR_TAPS r2, r11, r12, r3, r4
    cmp     r0, lr
    beq.w   4f
    ldr     pc, [sp, #28]
    .p2align 2
3:  .rept PIXEL_UNROLL
    ldrd    r4, r6, [r0], #8
    sxtb16  r3, r4
    sxtb16  r4, r4, ror #8
    sxtb16  r5, r6
    sxtb16  r6, r6, ror #8
    FOUR_TAPS r1, r9, r10, r3, r4
    FOUR_TAPS r1, r9, r10, r5, r6
    FOUR_TAPS r2, r11, r12, r3, r4
    FOUR_TAPS r2, r11, r12, r5, r6
    .endr
    cmp     r0, lr
    bne.w   3b
4:  ldrd    r3, r4, [r1], #8
    ldrd    r5, r6, [r2], #8
    ldrd    r0, r1, [sp]
    sub     r9, r9, r10
    sub     r11, r11, r12
    asr     r9, r9, #8
    asr     r11, r11, #8
    smmlar  r10, r10, r3, r1
    smmlar  r9, r9, r4, r1
    smmlar  r12, r12, r5, r1
    smmlar  r11, r11, r6, r1
    ssat    r10, #8, r10
    ssat    r9, #8, r9
    ssat    r12, #8, r12
    ssat    r11, #8, r11
    bfi     r10, r9, #8, #8
    bfi     r12, r11, #8, #8
    ldrd    r3, r4, [sp, #8]
    strh    r10, [r3]
    add     r3, r3, r4
    strh    r12, [r3], #2
    str     r3, [sp, #8]
    mov     r1, r2
    ldrd    r3, r4, [sp, #16]
    add     r2, r2, r3
    cmp     r1, r4
    bne.w   1b
    add     sp, sp, #32
    pop     {r4-r11, pc}
    .size fixie_paired_pixel, . - fixie_paired_pixel
