@ Depthwise convolution on cores with the DSP extension: see depthwise.rs for what each function
@ needs.
@
@ A plane holds one channel of some input rows as 32-bit words of two rows each, [row pair][column]:
@ the word at row pair r and column x has row 2r in its lower half, row 2r + 1 in its upper half.

@ fixie_planar_expand(args): bytes of four channels of some row pairs -> words of four planes.
@
@ r0 planes 0 and 1, r7 planes 2 and 3, r1 upper row, r2 its step, r3 lower row, r4 its step,
@ r5 bytes of a plane, r6 columns left
@ Stack: [0] columns  [4] row pairs left  [8] bytes to the next row pair of the input, [12] of the
@ planes
    .section .text.fixie_planar_expand, "ax", %progbits
    .global fixie_planar_expand
    .type fixie_planar_expand, %function
    .thumb_func
fixie_planar_expand:
    push    {r4-r11, lr}
    ldm     r0, {r0-r9}
    push    {r6-r9}
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
    pop     {r6, r8-r10}
    add     r1, r1, r9
    add     r3, r3, r9
    add     r0, r0, r10
    add     r7, r7, r10
    subs    r8, r8, #1
    push    {r6, r8-r10}
    bne     1b
    add     sp, sp, #16
    pop     {r4-r11, pc}
    .size fixie_planar_expand, . - fixie_planar_expand

@ The stack of the functions below.
    .equ MULTIPLIER, 0
    .equ ZERO, 4            @ zero point of the output
    .equ OUT, 8             @ output of the column
    .equ ROW_STEP, 12       @ bytes from the first output row of a row pair to the second
    .equ COLUMN_STEP, 16    @ bytes between output columns
    .equ WORDS_END, 20      @ where the upper words of the columns end
    .equ BIAS, 24
    .equ WORDS_STEP, 28     @ bytes from one row pair of the plane to the next
    .equ OUT_ROW, 32        @ first output of the row pair
    .equ ROWS, 36           @ output rows left
    .equ UPPER, 40          @ upper words of the next row pair
    .equ WORDS_LEN, 44      @ bytes of the upper words of the columns
    .equ COLUMNS, 48        @ output columns
    .equ PLANE, 52
    .equ PLANE_END, 56
    .equ FIRST, 60          @ bytes from the plane to the words of the first row
    .equ DISTANCE, 64       @ bytes between output rows
    .equ ALL_ROWS, 68       @ output rows
    .equ OUT_CHANNEL, 72    @ first output of the channel
    .equ STREAM, 76         @ bias, multiplier and weights
    .equ CHANNELS, 80       @ channels left
    .equ FRAME, 84

@ From the arguments to the stack.
    .macro ENTER
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    ldm     r0, {r1-r12}
    str     r1, [sp, #ZERO]
    str     r2, [sp, #COLUMN_STEP]
    str     r3, [sp, #WORDS_STEP]
    add     r0, sp, #COLUMNS
    stm     r0, {r4-r12}
    .endm

@ The column \word = (w0, w1, w2, 0) of a 3x3 kernel as \upper = (w0, w1) and \lower = (w1, w2).
    .macro COLUMN word, upper, lower
    sxtb16  \upper, \word
    sxtb16  \lower, \word, ror #8
    pkhbt   \word, \upper, \lower, lsl #16
    pkhbt   \lower, \lower, \upper
    mov     \upper, \word
    .endm

@ Constants, weights and the first row of a channel: r4-r9 weights, r0 its upper words, r2 its
@ output, r3 the number of rows.
    .macro NEXT_CHANNEL
    ldr     r3, [sp, #STREAM]
    ldmia   r3!, {r8-r12}
    str     r3, [sp, #STREAM]
    str     r8, [sp, #BIAS]
    str     r9, [sp, #MULTIPLIER]
    COLUMN  r10, r4, r5
    COLUMN  r11, r6, r7
    COLUMN  r12, r8, r9
    ldr     r0, [sp, #PLANE]
    ldr     r1, [sp, #FIRST]
    add     r0, r0, r1
    ldrd    r3, r2, [sp, #ALL_ROWS]
    strd    r2, r3, [sp, #OUT_ROW]
    adds    r1, r2, #1
    str     r1, [sp, #OUT_CHANNEL]
    .endm

@ r1 the lower words of the row pair whose upper words are r0: those of the next row pair, which
@ may be the first one of the plane.
    .macro LOWER
    ldr     r1, [sp, #WORDS_STEP]
    ldrd    r2, r3, [sp, #PLANE]
    add     r1, r1, r0
    cmp     r1, r3
    it      eq
    moveq   r1, r2
    str     r1, [sp, #UPPER]
    .endm

@ To the next channel's plane, or the end.
    .macro LEAVE next
    ldrd    r0, r1, [sp, #PLANE]
    sub     r0, r1, r0
    add     r0, r0, r1
    strd    r1, r0, [sp, #PLANE]
    ldr     r2, [sp, #CHANNELS]
    subs    r2, r2, #1
    str     r2, [sp, #CHANNELS]
    bne.w   \next
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .endm

@ fixie_planar_3x3(args): a 3x3 kernel at strides of 1, two rows and two columns at a time.
@
@ Of a row pair, output (0, x) is over 3 columns the sum of SMLAD(upper word, (w0, w1)) and
@ w2 times the lower half of the lower word; output (1, x) is w0 times the upper half of the upper
@ word and SMLAD(lower word, (w1, w2)).
@
@ r0 upper words, r1 lower words, r2-r3 words, r4-r9 weights, r10-r12 and lr sums.
    .section .text.fixie_planar_3x3, "ax", %progbits
    .global fixie_planar_3x3
    .type fixie_planar_3x3, %function
    .thumb_func
fixie_planar_3x3:
    ENTER
    bic     r4, r4, #1
    lsls    r4, r4, #2
    str     r4, [sp, #WORDS_LEN]
1:  NEXT_CHANNEL
    ldr     r12, [sp, #DISTANCE]
    b       3f
2:  ldr     r12, [sp, #ROW_STEP]
    ldrd    r2, r3, [sp, #OUT_ROW]
    add     r2, r2, r12, lsl #1
    subs    r3, r3, #2
    ble     8f
    strd    r2, r3, [sp, #OUT_ROW]
    ldr     r0, [sp, #UPPER]
    @ A single last row: what would be the one below it goes to the same place first.
3:  cmp     r3, #1
    it      eq
    moveq   r12, #0
    strd    r2, r12, [sp, #OUT]
    LOWER
    ldr     r3, [sp, #WORDS_LEN]
    adds    r3, r3, r0
    str     r3, [sp, #WORDS_END]
    cmp     r0, r3
    beq.w   6f
    .p2align 2
5:  ldrd    r2, r3, [r0], #8
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
    strb    r11, [r2, r3]
    strb    r10, [r2]
    ldrd    r10, r11, [sp, #COLUMN_STEP]
    add     r2, r2, r10
    strb    lr, [r2, r3]
    strb    r12, [r2]
    add     r2, r2, r10
    str     r2, [sp, #OUT]
    cmp     r0, r11
    bne     5b
6:  ldr     r2, [sp, #COLUMNS]
    lsls    r2, r2, #31
    beq     2b
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
    b       2b
8:  LEAVE   1b
    .size fixie_planar_3x3, . - fixie_planar_3x3

@ fixie_planar_3x3_s2(args): a 3x3 kernel at strides of 2, two columns at a time: an output needs the
@ upper and the lower words of three columns, the last of which its neighbour needs as well.
@
@ r0 upper words, r1 lower words, r2-r3 words, r4-r9 weights, r10-r11 sums, r12 output, lr bias
    .section .text.fixie_planar_3x3_s2, "ax", %progbits
    .global fixie_planar_3x3_s2
    .type fixie_planar_3x3_s2, %function
    .thumb_func
fixie_planar_3x3_s2:
    ENTER
    bic     r4, r4, #1
    lsls    r4, r4, #3
    str     r4, [sp, #WORDS_LEN]
1:  NEXT_CHANNEL
    mov     r12, r2
    ldr     lr, [sp, #BIAS]
2:  LOWER
    ldr     r3, [sp, #WORDS_LEN]
    adds    r3, r3, r0
    str     r3, [sp, #WORDS_END]
    cmp     r0, r3
    beq     4f
    .p2align 2
3:  ldrd    r2, r3, [r0], #8
    smlad   r10, r2, r4, lr
    smlad   r10, r3, r6, r10
    ldrd    r2, r3, [r0], #8
    smlad   r10, r2, r8, r10
    smlad   r11, r2, r4, lr
    smlad   r11, r3, r6, r11
    ldr     r2, [r0]
    smlad   r11, r2, r8, r11
    ldrd    r2, r3, [r1], #8
    smlabt  r10, r2, r5, r10
    smlabt  r10, r3, r7, r10
    ldrd    r2, r3, [r1], #8
    smlabt  r10, r2, r9, r10
    smlabt  r11, r2, r5, r11
    smlabt  r11, r3, r7, r11
    ldr     r2, [r1]
    smlabt  r11, r2, r9, r11
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r10, r10, r2, r3
    smmlar  r11, r11, r2, r3
    ldrd    r2, r3, [sp, #COLUMN_STEP]
    ssat    r10, #8, r10
    ssat    r11, #8, r11
    strb    r10, [r12]
    strb    r11, [r12, r2]
    add     r12, r12, r2, lsl #1
    cmp     r0, r3
    bne     3b
4:  ldr     r2, [sp, #COLUMNS]
    lsls    r2, r2, #31
    beq     5f
    @ An odd last column.
    ldrd    r2, r3, [r0]
    smlad   r10, r2, r4, lr
    smlad   r10, r3, r6, r10
    ldr     r2, [r0, #8]
    smlad   r10, r2, r8, r10
    ldrd    r2, r3, [r1]
    smlabt  r10, r2, r5, r10
    smlabt  r10, r3, r7, r10
    ldr     r2, [r1, #8]
    smlabt  r10, r2, r9, r10
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r10, r10, r2, r3
    ssat    r10, #8, r10
    strb    r10, [r12]
5:  ldrd    r2, r3, [sp, #OUT_ROW]
    ldr     r12, [sp, #DISTANCE]
    add     r12, r12, r2
    subs    r3, r3, #1
    strd    r12, r3, [sp, #OUT_ROW]
    ldr     r0, [sp, #UPPER]
    bne.w   2b
    LEAVE   1b
    .size fixie_planar_3x3_s2, . - fixie_planar_3x3_s2

@ fixie_planar_any(args): any kernel by a table of its words, two output rows at a time or one.
@
@ r0 words of the first tap, r1 table, r2 offset, r3-r4 weights, r5 word, r6-r7 sums, r8 table end,
@ r9 bias, r10 output, r11 bytes between output columns, r12 bytes between output rows, lr bytes
@ between the words of output columns
    .equ TABLE, 84
    .equ TABLE_END, 88
    .equ COLUMN_WORDS, 92   @ words of the weights of one kernel column
    .equ KERNEL_COLUMNS, 96
    .equ COLUMN_BYTES, 100  @ bytes between the words of output columns
    .equ TURN, 104          @ output rows at a time
    .equ ANY_FRAME, 108
    .section .text.fixie_planar_any, "ax", %progbits
    .global fixie_planar_any
    .type fixie_planar_any, %function
    .thumb_func
fixie_planar_any:
    push    {r4-r11, lr}
    sub     sp, sp, #ANY_FRAME
    add     r7, r0, #48
    ldm     r7, {r1-r6}
    add     r7, sp, #TABLE
    stm     r7, {r1-r6}
    ldm     r0, {r1-r12}
    str     r1, [sp, #ZERO]
    str     r2, [sp, #COLUMN_STEP]
    str     r3, [sp, #WORDS_STEP]
    add     r0, sp, #COLUMNS
    stm     r0, {r4-r12}
    ldr     lr, [sp, #COLUMN_BYTES]
    mul     r4, r4, lr
    str     r4, [sp, #WORDS_LEN]

    @ Every word of four weights of a column -> the weights of two entries (offset, even, odd) of
    @ the table.
    @ r0 weights, r1 table, r2 words of a column, r3 columns left, r4-r5 halves of a word, r6 weight
    @ before it, r7 words left
1:  ldr     r0, [sp, #STREAM]
    ldmia   r0!, {r9, r10}
    str     r10, [sp, #MULTIPLIER]
    add     r4, sp, #TABLE
    ldm     r4, {r1, r8, r10, r11}
    mov     r3, r11
    mov     r2, r10
2:  movs    r6, #0
    mov     r7, r2
3:  ldr     r12, [r0], #4
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
    bne     3b
    subs    r3, r3, #1
    bne     2b
    str     r0, [sp, #STREAM]
    ldr     r0, [sp, #PLANE]
    ldr     r2, [sp, #FIRST]
    add     r0, r0, r2
    str     r0, [sp, #UPPER]
    ldrd    r3, r10, [sp, #ALL_ROWS]
    strd    r10, r3, [sp, #OUT_ROW]
    add     r2, r10, #1
    str     r2, [sp, #OUT_CHANNEL]
    ldr     r11, [sp, #COLUMN_STEP]
    @ A single row: what would be the one below it goes to the same place first.
4:  ldr     r12, [sp, #DISTANCE]
    ldr     r2, [sp, #TURN]
    cmp     r2, r3
    it      gt
    movgt   r2, r3
    cmp     r2, #1
    it      eq
    moveq   r12, #0
    ldr     r2, [sp, #WORDS_LEN]
    add     r2, r2, r0
    str     r2, [sp, #WORDS_END]
5:  ldr     r1, [sp, #TABLE]
    mov     r6, r9
    mov     r7, r9
6:  ldmia   r1!, {r2-r4}
    ldr     r5, [r0, r2]
    smlad   r6, r5, r3, r6
    smlad   r7, r5, r4, r7
    ldmia   r1!, {r2-r4}
    ldr     r5, [r0, r2]
    smlad   r6, r5, r3, r6
    smlad   r7, r5, r4, r7
    cmp     r1, r8
    bne     6b
    ldrd    r2, r3, [sp, #MULTIPLIER]
    smmlar  r6, r6, r2, r3
    smmlar  r7, r7, r2, r3
    ldr     r2, [sp, #WORDS_END]
    ssat    r6, #8, r6
    ssat    r7, #8, r7
    strb    r7, [r10, r12]
    strb    r6, [r10]
    add     r10, r10, r11
    add     r0, r0, lr
    cmp     r0, r2
    bne     5b
    ldrd    r10, r3, [sp, #OUT_ROW]
    ldr     r2, [sp, #TURN]
    ldr     r12, [sp, #DISTANCE]
    mla     r10, r12, r2, r10
    subs    r3, r3, r2
    strd    r10, r3, [sp, #OUT_ROW]
    ldr     r0, [sp, #UPPER]
    ldr     r2, [sp, #WORDS_STEP]
    add     r0, r0, r2
    str     r0, [sp, #UPPER]
    cmp     r3, #0
    bgt     4b
    ldrd    r0, r1, [sp, #PLANE]
    sub     r0, r1, r0
    add     r0, r0, r1
    strd    r1, r0, [sp, #PLANE]
    ldr     r2, [sp, #CHANNELS]
    subs    r2, r2, #1
    str     r2, [sp, #CHANNELS]
    bne.w   1b
    add     sp, sp, #ANY_FRAME
    pop     {r4-r11, pc}
    .size fixie_planar_any, . - fixie_planar_any
