@ Depthwise convolution on cores with the DSP extension: see depthwise.rs for what each function
@ needs.
@
@ A plane holds one channel of some input rows as 32-bit words of two rows each, [row pair][column]:
@ the word at row pair r and column x has row 2r in its lower half, row 2r + 1 in its upper half.

@ fixie_planar_expand(args): bytes of four channels of two rows -> words of four planes.
@
@ r0 planes 0 and 1, r7 planes 2 and 3, r1 upper row, r2 its step, r3 lower row, r4 its step,
@ r5 bytes of a plane, r6 columns left
    .section .text.fixie_planar_expand, "ax", %progbits
    .global fixie_planar_expand
    .type fixie_planar_expand, %function
    .thumb_func
fixie_planar_expand:
    push    {r4-r11, lr}
    ldm     r0, {r0-r6}
    add     r7, r0, r5, lsl #1
1:  ldr     r8, [r1]
    ldr     r9, [r3]
    add     r1, r1, r2
    add     r3, r3, r4
    sxtb16  r10, r8
    sxtb16  r11, r9
    sxtb16  r8, r8, ror #8
    sxtb16  r9, r9, ror #8
    pkhbt   r12, r10, r11, lsl #16
    pkhtb   r10, r11, r10, asr #16
    pkhbt   lr, r8, r9, lsl #16
    pkhtb   r8, r9, r8, asr #16
    str     lr, [r0, r5]
    str     r12, [r0], #4
    str     r8, [r7, r5]
    str     r10, [r7], #4
    subs    r6, r6, #1
    bne     1b
    pop     {r4-r11, pc}
    .size fixie_planar_expand, . - fixie_planar_expand

@ The column \word = (w0, w1, w2, 0) of a 3x3 kernel as \upper = (w0, w1) and \lower = (w1, w2).
    .macro COLUMN word, upper, lower
    sxtb16  \upper, \word
    sxtb16  \lower, \word, ror #8
    pkhbt   \word, \upper, \lower, lsl #16
    pkhbt   \lower, \lower, \upper
    mov     \upper, \word
    .endm

@ fixie_planar_3x3(args): a 3x3 kernel at strides of 1, two rows and two columns at a time.
@
@ Of a row pair, output (0, x) is over 3 columns the sum of SMLAD(upper word, (w0, w1)) and
@ w2 times the lower half of the lower word; output (1, x) is w0 times the upper half of the upper
@ word and SMLAD(lower word, (w1, w2)).
@
@ r0 upper words, r1 lower words, r2-r3 words, r4-r9 weights, r10-r12 and lr sums.
    .equ MULTIPLIER, 0
    .equ ZERO, 4
    .equ OUT, 8
    .equ ROW_STEP, 12       @ bytes from the first output row of a pair to the second
    .equ COLUMN_STEP, 16    @ bytes between output columns
    .equ PAIRS_END, 20      @ where the upper words of the column pairs end
    .equ BIAS, 24
    .equ WORDS_STEP, 28     @ bytes between row pairs of the plane
    .equ OUT_ROW, 32        @ first output of the row pair
    .equ ROWS, 36           @ output rows left
    .equ UPPER, 40          @ upper words of the next row pair
    .equ PAIRS_BYTES, 44    @ bytes of the column pairs
    .equ COLUMNS, 48
    .section .text.fixie_planar_3x3, "ax", %progbits
    .global fixie_planar_3x3
    .type fixie_planar_3x3, %function
    .thumb_func
fixie_planar_3x3:
    push    {r4-r11, lr}
    sub     sp, sp, #52
    ldm     r0, {r0-r8}
    cmp     r6, #1
    it      eq
    moveq   r3, #0
    strd    r3, r4, [sp, #ROW_STEP]
    str     r1, [sp, #WORDS_STEP]
    strd    r2, r6, [sp, #OUT_ROW]
    str     r5, [sp, #COLUMNS]
    bic     r5, r5, #1
    lsls    r5, r5, #2
    str     r5, [sp, #PAIRS_BYTES]
    ldm     r8, {r8-r12}
    str     r8, [sp, #BIAS]
    strd    r9, r7, [sp, #MULTIPLIER]
    COLUMN  r10, r4, r5
    COLUMN  r11, r6, r7
    COLUMN  r12, r8, r9
1:  ldr     r1, [sp, #WORDS_STEP]
    add     r1, r1, r0
    str     r1, [sp, #UPPER]
    ldr     r2, [sp, #OUT_ROW]
    str     r2, [sp, #OUT]
    ldr     r3, [sp, #PAIRS_BYTES]
    adds    r3, r3, r0
    str     r3, [sp, #PAIRS_END]
    cmp     r0, r3
    beq.w   3f
    .p2align 2
2:  ldrd    r2, r3, [r0], #8
    ldr     lr, [sp, #BIAS]
    smlad   r10, r2, r4, lr
    smlatb  r11, r2, r4, lr
    smlad   r12, r3, r4, lr
    smlatb  lr, r3, r4, lr
    smlad   r10, r3, r6, r10
    smlatb  r11, r3, r6, r11
    ldrd    r2, r3, [r0]
    smlad   r10, r2, r8, r10
    smlatb  r11, r2, r8, r11
    smlad   r12, r2, r6, r12
    smlatb  lr, r2, r6, lr
    smlad   r12, r3, r8, r12
    smlatb  lr, r3, r8, lr
    ldrd    r2, r3, [r1], #8
    smlabt  r10, r2, r5, r10
    smlad   r11, r2, r5, r11
    smlabt  r12, r3, r5, r12
    smlad   lr, r3, r5, lr
    smlabt  r10, r3, r7, r10
    smlad   r11, r3, r7, r11
    ldrd    r2, r3, [r1]
    smlabt  r10, r2, r9, r10
    smlad   r11, r2, r9, r11
    smlabt  r12, r2, r7, r12
    smlad   lr, r2, r7, lr
    smlabt  r12, r3, r9, r12
    smlad   lr, r3, r9, lr
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r10, r10, r2, r3
    smmlar  r11, r11, r2, r3
    smmlar  r12, r12, r2, r3
    smmlar  lr, lr, r2, r3
    ldrd    r2, r3, [sp, #OUT]
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    ssat    r12, #8, r12
    ssat    lr, #8, lr
    @ The first row last: with a distance of 0 between them it is the one that stays.
    strb    r11, [r2, r3]
    strb    r10, [r2]
    ldrd    r10, r11, [sp, #COLUMN_STEP]
    add     r2, r2, r10
    strb    lr, [r2, r3]
    strb    r12, [r2]
    add     r2, r2, r10
    str     r2, [sp, #OUT]
    cmp     r0, r11
    bne     2b
3:  ldr     r2, [sp, #COLUMNS]
    lsls    r2, r2, #31
    beq     4f
    @ An odd last column.
    ldrd    r2, r3, [r0]
    ldr     lr, [sp, #BIAS]
    smlad   r10, r2, r4, lr
    smlatb  r11, r2, r4, lr
    smlad   r10, r3, r6, r10
    smlatb  r11, r3, r6, r11
    ldr     r2, [r0, #8]
    smlad   r10, r2, r8, r10
    smlatb  r11, r2, r8, r11
    ldrd    r2, r3, [r1]
    smlabt  r10, r2, r5, r10
    smlad   r11, r2, r5, r11
    smlabt  r10, r3, r7, r10
    smlad   r11, r3, r7, r11
    ldr     r2, [r1, #8]
    smlabt  r10, r2, r9, r10
    smlad   r11, r2, r9, r11
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r10, r10, r2, r3
    smmlar  r11, r11, r2, r3
    ldrd    r2, r3, [sp, #OUT]
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    strb    r11, [r2, r3]
    strb    r10, [r2]
4:  ldr     r0, [sp, #UPPER]
    ldrd    r2, r3, [sp, #OUT_ROW]
    ldr     r12, [sp, #ROW_STEP]
    subs    r3, r3, #2
    ble     5f
    add     r2, r2, r12, lsl #1
    strd    r2, r3, [sp, #OUT_ROW]
    cmp     r3, #1
    bne.w   1b
    movs    r12, #0
    str     r12, [sp, #ROW_STEP]
    b.w     1b
5:  add     sp, sp, #52
    pop     {r4-r11, pc}
    .size fixie_planar_3x3, . - fixie_planar_3x3

@ fixie_planar_3x3_s2(args): a 3x3 kernel at strides of 2. The arguments are those of
@ fixie_planar_3x3; one output needs the upper and lower words of three columns.
@
@ r0 upper words, r1 lower words, r2-r3 words, r4-r9 weights, r10 sum, r11 bytes between output
@ columns, r12 output, lr bias
    .section .text.fixie_planar_3x3_s2, "ax", %progbits
    .global fixie_planar_3x3_s2
    .type fixie_planar_3x3_s2, %function
    .thumb_func
fixie_planar_3x3_s2:
    push    {r4-r11, lr}
    sub     sp, sp, #52
    ldm     r0, {r0-r8}
    str     r3, [sp, #ROW_STEP]
    str     r4, [sp, #COLUMN_STEP]
    str     r1, [sp, #WORDS_STEP]
    strd    r2, r6, [sp, #OUT_ROW]
    lsls    r5, r5, #3
    str     r5, [sp, #PAIRS_BYTES]
    ldm     r8, {r8-r12}
    str     r8, [sp, #BIAS]
    strd    r9, r7, [sp, #MULTIPLIER]
    COLUMN  r10, r4, r5
    COLUMN  r11, r6, r7
    COLUMN  r12, r8, r9
    ldr     lr, [sp, #BIAS]
    ldr     r11, [sp, #COLUMN_STEP]
1:  ldr     r1, [sp, #WORDS_STEP]
    add     r1, r1, r0
    str     r1, [sp, #UPPER]
    ldr     r12, [sp, #OUT_ROW]
    ldr     r3, [sp, #PAIRS_BYTES]
    adds    r3, r3, r0
    str     r3, [sp, #PAIRS_END]
    .p2align 2
2:  ldrd    r2, r3, [r0], #8
    smlad   r10, r2, r4, lr
    smlad   r10, r3, r6, r10
    ldr     r2, [r0]
    smlad   r10, r2, r8, r10
    ldrd    r2, r3, [r1], #8
    smlabt  r10, r2, r5, r10
    smlabt  r10, r3, r7, r10
    ldr     r2, [r1]
    smlabt  r10, r2, r9, r10
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r10, r10, r2, r3
    ssat    r10, #8, r10
    strb    r10, [r12]
    add     r12, r12, r11
    ldr     r2, [sp, #PAIRS_END]
    cmp     r0, r2
    bne     2b
    ldr     r0, [sp, #UPPER]
    ldrd    r2, r3, [sp, #OUT_ROW]
    ldr     r12, [sp, #ROW_STEP]
    add     r2, r2, r12
    subs    r3, r3, #1
    strd    r2, r3, [sp, #OUT_ROW]
    bne     1b
    add     sp, sp, #52
    pop     {r4-r11, pc}
    .size fixie_planar_3x3_s2, . - fixie_planar_3x3_s2

@ fixie_planar_unpack(weights, table, words): every word of four weights of a column -> the weights
@ of two entries (offset, even, odd) of the table: for an output row that starts with the upper half
@ of a word, and for one that starts with the lower half.
@
@ r0 weights, r1 table, r2 words of a column, r3 columns, r12 word, r4-r5 its halves, r6 weight
@ before it, r7 words left
    .section .text.fixie_planar_unpack, "ax", %progbits
    .global fixie_planar_unpack
    .type fixie_planar_unpack, %function
    .thumb_func
fixie_planar_unpack:
    push    {r4-r7, lr}
1:  movs    r6, #0
    mov     r7, r2
2:  ldr     r12, [r0], #4
    sxtb16  r4, r12
    sxtb16  r5, r12, ror #8
    pkhbt   r12, r4, r5, lsl #16
    pkhbt   r6, r6, r4, lsl #16
    strd    r12, r6, [r1, #4]
    pkhtb   r12, r5, r4, asr #16
    pkhbt   r4, r5, r4
    strd    r12, r4, [r1, #16]
    adds    r1, r1, #24
    asrs    r6, r5, #16
    subs    r7, r7, #1
    bne     2b
    subs    r3, r3, #1
    bne     1b
    pop     {r4-r7, pc}
    .size fixie_planar_unpack, . - fixie_planar_unpack

@ fixie_planar_rows(args): any kernel, two output rows at a time, by a table of its words.
@
@ r0 words of the first tap, r1 table, r2 offset, r3-r4 weights, r5 word, r6-r7 sums, r8 table end,
@ r9 bias, r10 output, r11 bytes between output columns, r12 bytes between output rows, lr bytes
@ between the words of output columns
@ Stack: [0] multiplier  [4] zero point  [8] table  [12] words end  [16] words of the rows
@ [20] output of the rows  [24] bytes between words of rows  [28] bytes between outputs of rows
@ [32] bytes of the words of all columns  [36] rows left
    .section .text.fixie_planar_rows, "ax", %progbits
    .global fixie_planar_rows
    .type fixie_planar_rows, %function
    .thumb_func
fixie_planar_rows:
    push    {r4-r11, lr}
    sub     sp, sp, #40
    add     r1, r0, #24
    ldm     r1, {r2-r7}
    add     r1, sp, #16
    stm     r1, {r2-r7}
    ldr     r1, [r0, #48]
    str     r1, [sp, #4]
    ldr     lr, [r0, #20]
    ldm     r0, {r1, r8, r9, r11, r12}
    str     r1, [sp, #8]
    ldm     r9, {r9, r10}
    str     r10, [sp]
1:  ldrd    r0, r10, [sp, #16]
    ldr     r2, [sp, #32]
    add     r2, r2, r0
    str     r2, [sp, #12]
2:  ldr     r1, [sp, #8]
    mov     r6, r9
    mov     r7, r9
3:  ldmia   r1!, {r2-r4}
    ldr     r5, [r0, r2]
    smlad   r6, r5, r3, r6
    smlad   r7, r5, r4, r7
    ldmia   r1!, {r2-r4}
    ldr     r5, [r0, r2]
    smlad   r6, r5, r3, r6
    smlad   r7, r5, r4, r7
    cmp     r1, r8
    bne     3b
    ldrd    r2, r3, [sp]
    smmlar  r6, r6, r2, r3
    smmlar  r7, r7, r2, r3
    ssat    r6, #8, r6
    ssat    r7, #8, r7
    @ The first row last: with a distance of 0 between them it is the one that stays.
    strb    r7, [r10, r12]
    strb    r6, [r10]
    add     r10, r10, r11
    add     r0, r0, lr
    ldr     r2, [sp, #12]
    cmp     r0, r2
    bne     2b
    ldrd    r0, r1, [sp, #16]
    ldrd    r2, r3, [sp, #24]
    add     r0, r0, r2
    add     r1, r1, r3
    strd    r0, r1, [sp, #16]
    ldr     r2, [sp, #36]
    subs    r2, r2, #1
    str     r2, [sp, #36]
    bne     1b
    add     sp, sp, #40
    pop     {r4-r11, pc}
    .size fixie_planar_rows, . - fixie_planar_rows
