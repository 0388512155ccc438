@ Convolution on cores with the DSP extension: see conv.rs for what each function needs.
@
@ The inner loops follow `op::paired` of the image format: a word holds two taps of a pair of
@ channels as v = 256 w1 + w0. SMLAD with v adds to the full sums; SXTB16 leaves w0 of both taps,
@ and SMLAD with that adds to the sums of channel 0.

@ fixie_paired_blocks(args): blocks of three pixels, all pairs of channels.
@
@   for every block:
@       expand the bytes of its pixels to lanes: for every run, for every 4 bytes,
@           [lanes 0, 2 of each pixel] [lanes 1, 3 of each pixel]
@       for every pair of channels: 3x2 sums, requantise, store
@
@ The stack starts with a copy of the arguments.
    .equ PATCH, 0           @ lanes of the block
    .equ ZERO, 4            @ zero point of the output
    .equ STEP, 8            @ bytes between the outputs of neighbouring pixels
    .equ OUT, 12            @ output of the pair
    .equ WEIGHTS_END, 16
    .equ ENTRY, 20          @ in the arguments: groups of four taps; then where to enter the loop
    .equ WEIGHTS, 24
    .equ OUT_BLOCK, 28      @ output of the block
    .equ PATCH_END, 32
    .equ ODD, 36            @ whether the last pair has one channel only
    .equ BLOCKS, 40         @ blocks left
    .equ SOURCE, 44         @ bytes of the block's first pixel
    .equ PIXEL_STEP, 48     @ bytes between neighbouring pixels
    .equ ROWS, 52           @ runs of bytes; with none, the lanes are there already
    .equ GAP, 56            @ bytes between the end of one run and the start of the next
    .equ QUADS, 60          @ groups of four bytes in a run
    .equ WRAP_AT, 64        @ runs left where they go on at the start of a ring
    .equ WRAP, 68           @ bytes to go back there
    .equ BLOCKS_FRAME, 72
    .equ UNROLL, 8

@ Two taps of three pixels (r4-r6) and a pair of channels.
    .macro TWO_TAPS_IN_PLACE weights
    smlad   r8, \weights, r4, r8
    smlad   r9, \weights, r5, r9
    smlad   r10, \weights, r6, r10
    sxtb16  \weights, \weights
    smlad   r11, \weights, r4, r11
    smlad   r12, \weights, r5, r12
    smlad   lr, \weights, r6, lr
    .endm

@ The same, and the end of the loop.
@ Cores that issue two instructions at a time (DUAL_ISSUE) extend the weights beside a product that
@ needs them as they are, which takes a register more: the end of the patch is loaded again then.
    .if DUAL_ISSUE
    .macro TWO_TAPS weights
    smlad   r8, \weights, r4, r8
    smlad   r9, \weights, r5, r9
    sxtb16  r7, \weights
    smlad   r10, \weights, r6, r10
    smlad   r11, r7, r4, r11
    smlad   r12, r7, r5, r12
    smlad   lr, r7, r6, lr
    .endm
    .macro LOOP_TO label
    ldr     r7, [sp, #PATCH_END]
    cmp     r0, r7
    bne     \label
    .endm
    .else
    .macro TWO_TAPS weights
    TWO_TAPS_IN_PLACE \weights
    .endm
    .macro LOOP_TO label
    cmp     r0, r7
    bne     \label
    .endm
    .endif

@ The sums of three pixels and a pair of channels, scaled by the multipliers r2-r3, beside the zero
@ point r4: those of channel 0 in r11, r12 and lr, those of channel 1 in r8-r10.
    .macro SCALE_SUMS
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
    .endm
    .macro SATURATE
    ssat    r11, #8, r11
    ssat    r12, #8, r12
    ssat    lr, #8, lr
    ssat    r8, #8, r8
    ssat    r9, #8, r9
    ssat    r10, #8, r10
    .endm

@ Starts the sums of a pair with its constants and its first four taps, and enters the loop.
    .macro FIRST_TAPS
    ldrd    r8, r11, [r1], #8
    ldrd    r2, r3, [r1], #8
    ldmia   r0!, {r4-r6}
    smlad   r9, r2, r5, r8
    smlad   r10, r2, r6, r8
    smlad   r8, r2, r4, r8
    sxtb16  r2, r2
    smlad   r12, r2, r5, r11
    smlad   lr, r2, r6, r11
    smlad   r11, r2, r4, r11
    ldmia   r0!, {r4-r6}
    TWO_TAPS r3
    ldr     pc, [sp, #ENTRY]
    .endm

    .section .text.fixie_paired_blocks, "ax", %progbits
    .global fixie_paired_blocks
    .type fixie_paired_blocks, %function
    .thumb_func
fixie_paired_blocks:
    push    {r4-r11, lr}
    sub     sp, sp, #BLOCKS_FRAME
    ldmia   r0!, {r1-r8}
    @ The first four taps come before the loop. Its first pass starts so far into it that all passes
    @ end at its end, or at its end if there are no more taps: a group of four taps is 64 bytes.
    rsbs    r6, r6, #1
    ite     eq
    moveq   r6, #UNROLL
    andne   r6, r6, #UNROLL - 1
    adr     r9, 5f
    add     r6, r9, r6, lsl #6
    orr     r6, r6, #1
    stm     sp, {r1-r8}
    ldm     r0, {r1-r10}
    add     r11, sp, #PATCH_END
    stm     r11, {r1-r10}

    @ r0 patch, r1-r3 pixels, r10 runs left, r11 gap, r12 quads of a run
1:  add     r9, sp, #SOURCE
    ldm     r9, {r1, r4, r10-r12}
    add     r2, r1, r4
    add     r3, r2, r4
    add     r4, r4, r3
    str     r4, [sp, #SOURCE]
    ldr     r0, [sp, #PATCH]
    cmp     r10, #0
    beq     4f
2:  mov     lr, r12
3:  ldr     r7, [r1], #4
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
    bne     3b
    subs    r10, r10, #1
    beq     9f
    add     r1, r1, r11
    add     r2, r2, r11
    add     r3, r3, r11
    ldr     r4, [sp, #WRAP_AT]
    cmp     r10, r4
    bne     2b
    ldr     r4, [sp, #WRAP]
    sub     r1, r1, r4
    sub     r2, r2, r4
    sub     r3, r3, r4
    b       2b
9:  ldr     r0, [sp, #PATCH]

    @ r0 patch, r1 weights, r2-r3 weights of four taps, r4-r6 one lane pair of each pixel,
    @ r7 patch end, r8-r10 full sums, r11-r12 and lr sums of channel 0
4:  ldr     r1, [sp, #WEIGHTS]
    ldr     r7, [sp, #PATCH_END]
    FIRST_TAPS
    .p2align 3
5:  .rept UNROLL
    ldrd    r2, r3, [r1], #8
    ldmia   r0!, {r4-r6}
    TWO_TAPS r2
    ldmia   r0!, {r4-r6}
    TWO_TAPS r3
    .endr
    LOOP_TO 5b
    ldrd    r2, r3, [r1], #8
    ldm     sp, {r0, r4-r6}
    SCALE_SUMS
    ldr     r2, [sp, #WEIGHTS_END]
    SATURATE
    bfi     r11, r8, #8, #8
    bfi     r12, r9, #8, #8
    bfi     lr, r10, #8, #8
    cmp     r1, r2
    beq     6f
    strh    r12, [r6, r5]
    strh    lr, [r6, r5, lsl #1]
    strh    r11, [r6], #2
    str     r6, [sp, #OUT]
    FIRST_TAPS

    @ The last pair.
6:  ldr     r2, [sp, #ODD]
    cbnz    r2, 7f
    strh    r12, [r6, r5]
    strh    lr, [r6, r5, lsl #1]
    strh    r11, [r6]
    b       8f
7:  strb    r12, [r6, r5]
    strb    lr, [r6, r5, lsl #1]
    strb    r11, [r6]
8:  ldr     r6, [sp, #OUT_BLOCK]
    ldr     r4, [sp, #BLOCKS]
    add     r5, r5, r5, lsl #1
    add     r6, r6, r5
    str     r6, [sp, #OUT]
    str     r6, [sp, #OUT_BLOCK]
    subs    r4, r4, #1
    str     r4, [sp, #BLOCKS]
    bne.w   1b
    add     sp, sp, #BLOCKS_FRAME
    pop     {r4-r11, pc}
    .size fixie_paired_blocks, . - fixie_paired_blocks

@ fixie_paired_expand(args): one run of bytes of three pixels -> lanes, as above.
    .section .text.fixie_paired_expand, "ax", %progbits
    .global fixie_paired_expand
    .type fixie_paired_expand, %function
    .thumb_func
fixie_paired_expand:
    push    {r4-r9, lr}
    ldm     r0, {r0-r3, r12}
1:  ldr     r7, [r1], #4
    ldr     r8, [r2], #4
    ldr     r9, [r3], #4
    sxtb16  r4, r7
    sxtb16  r5, r8
    sxtb16  r6, r9
    sxtb16  r7, r7, ror #8
    sxtb16  r8, r8, ror #8
    sxtb16  r9, r9, ror #8
    stmia   r0!, {r4-r9}
    subs    r12, r12, #1
    bne     1b
    pop     {r4-r9, pc}
    .size fixie_paired_expand, . - fixie_paired_expand

@ fixie_clamp(bytes, words, low, high): every byte of so many words to at least that of low and at
@ most that of high.
    .section .text.fixie_clamp, "ax", %progbits
    .global fixie_clamp
    .type fixie_clamp, %function
    .thumb_func
fixie_clamp:
    push    {r4, lr}
1:  ldr     r12, [r0]
    ssub8   r4, r12, r2
    sel     r12, r12, r2
    ssub8   r4, r3, r12
    sel     r12, r12, r3
    str     r12, [r0], #4
    subs    r1, r1, #1
    bne     1b
    pop     {r4, pc}
    .size fixie_clamp, . - fixie_clamp

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
