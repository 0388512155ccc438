@ DepthwisePlanar with Helium: see planar.rs for what each function needs, and the order of planes.

@ fixie_helium_planar_expand(args): some pairs of rows, in each of which four channels of two columns
@ at a time; an odd last column is left to the tail predication.
@
@ r0 args, r1 upper and r2 lower row, r3, r4 bytes between their columns, r5 lanes of a row, r6 words
@ that start with these rows, r7 words that end with them; r8 pairs left, r9-r11 starts of r1, r2, r6;
@ q4, q5 where lanes come from, q6 where they go
    .equ EXPAND_UPPER, 0        @ the rows' first columns
    .equ EXPAND_LOWER, 4
    .equ EXPAND_UPPER_STEP, 8   @ bytes between columns
    .equ EXPAND_LOWER_STEP, 12
    .equ EXPAND_COUNT, 16       @ columns, at least 1
    .equ EXPAND_WORDS, 20       @ in the first plane
    .equ EXPAND_LAST_WORDS, 24  @ of the row pair before the first one
    .equ EXPAND_PAIRS, 28       @ at least 1
    .equ EXPAND_PAIR_STEP, 32   @ bytes between pairs of rows
    .equ EXPAND_ROW_LEN, 36     @ bytes of a row of words
    .equ EXPAND_PLANE_LEN, 40   @ bytes of a plane

    .section .text.fixie_helium_planar_expand, "ax", %progbits
    .global fixie_helium_planar_expand
    .type fixie_helium_planar_expand, %function
    .thumb_func
    .balign 4
fixie_helium_planar_expand:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    adr.w   r1, 3f
    @ Lanes: four channels of one column, four of the next.
    vldrh.u16 q4, [r1]
    vldrh.u16 q5, [r1]
    vldrh.u16 q7, [r1, #16]
    ldr     r8, [r0, #EXPAND_PLANE_LEN]
    ldm     r0, {r1-r7}
    vmul.i16 q6, q4, r8
    vmla.u16 q4, q7, r3
    vmla.u16 q5, q7, r4
    mov     r9, #4
    vmla.u16 q6, q7, r9
    lsls    r3, r3, #1
    lsls    r4, r4, #1
    lsls    r5, r5, #2
    ldr     r8, [r0, #EXPAND_PAIRS]
    adds    r7, r7, #2
2:  mov     r9, r1
    mov     r10, r2
    mov     r11, r6
    dlstp.16 lr, r5
1:  vldrb.u16 q0, [r1, q4]
    vldrb.u16 q1, [r2, q5]
    vsli.16 q0, q1, #8
    vstrh.16 q0, [r6, q6]
    vstrh.16 q0, [r7, q6]
    add     r1, r1, r3
    add     r2, r2, r4
    adds    r6, r6, #8
    adds    r7, r7, #8
    letp    lr, 1b
    ldrd    r1, r6, [r0, #EXPAND_PAIR_STEP]
    add     r2, r1, r10
    add     r1, r1, r9
    add     r6, r6, r11
    add     r7, r11, #2
    subs    r8, r8, #1
    bne     2b
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size fixie_helium_planar_expand, . - fixie_helium_planar_expand

    .balign 4
3:
    .short  0, 1, 2, 3, 0, 1, 2, 3
    .short  0, 0, 0, 0, 1, 1, 1, 1

@ fixie_helium_planar_3x3(args), _3x3_s2 with strides of 2, _3x3_down with rows and columns exchanged.
@
@   for every channel: keep its weights, shifted for neighbouring outputs, in registers
@       for every two output rows, for every two output columns: four sums, requantise, store
@
@ r0, r2 sums of the upper row, r4, r6 of the lower one; r1 words in the plane, r7 those for the lower
@ row at a stride of 2, or the step of r1 if exchanged; r3 where outputs go, r5 bytes between every second column; r8 bias; r9 bytes
@ to the rows' words, r10 zero point, r11 the rows' outputs
@ q0 what is seen, sums; q1 multiplier, q2 offsets of the four outputs, q4-q7 weights; q3 at a stride of
@ 2 what is seen, if exchanged the offsets of an odd last column's two outputs
    .equ PLANAR_ZERO, 0
    .equ PLANAR_COLUMN_STEP, 4         @ bytes between outputs
    .equ PLANAR_ROW_STEP, 8
    .equ PLANAR_COLUMNS, 12            @ outputs of a row, at least 2
    .equ PLANAR_ROWS, 16               @ at least 1
    .equ PLANAR_PLANE, 20              @ of the first channel
    .equ PLANAR_OUT, 24                @ behind PLANAR_PLANE
    .equ PLANAR_STREAMS, 28
    .equ PLANAR_CHANNELS, 32
    .equ PLANAR_ROW_LEN, 36            @ bytes of a row of words, and of a plane
    .equ PLANAR_PLANE_LEN, 40
    .equ PLANAR_FIRST, 44              @ bytes to the words of the first output row
    .equ PLANAR_LEFT, 48               @ rows
    .equ PLANAR_WORD_STEP, 52          @ bytes between every second row's words, if exchanged

    .equ PLANAR_FRAME_WEIGHTS, 8       @ with zeros around them
    .equ PLANAR_FRAME_LEN, 32

@ The words of the next rows; behind the last ones come the first ones.
    .macro NEXT_ROWS
    ldrd    r2, r4, [r12, #PLANAR_ROW_LEN]
    add     r9, r9, r2
    subs    r2, r9, r4
    csel    r9, r2, r9, hs
    .endm

@ Requantises the sums in r0, \second, r4, \fourth and stores them \offsets behind r3.
    .macro STORE second, fourth, offsets
    vmov    q0[2], q0[0], r0, r4
    vmov    q0[3], q0[1], \second, \fourth
    vadd.i32 q0, q0, r8
    vrmulh.s32 q0, q0, q1
    vadd.i32 q0, q0, r10
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r3, \offsets]
    .endm

    .macro FOUR_OUTPUTS stride, down
    .if \stride == 1
    .if \down
    vldrb.u8 q0, [r1]
    add     r1, r1, r7
    .else
    vldrb.u8 q0, [r1], #8
    .endif
    vmladav.s8 r0, q0, q4
    vmladav.s8 r2, q0, q5
    vmladav.s8 r4, q0, q6
    vmladav.s8 r6, q0, q7
    .else
    vldrb.u8 q0, [r1], #8
    vldrb.u8 q3, [r7], #8
    vmladav.s8 r0, q0, q4
    vmladav.s8 r4, q3, q4
    @ Not the word behind the window: there may be no memory behind the last one.
    vpstt
    vldrbt.u8 q0, [r1], #8
    vldrbt.u8 q3, [r7], #8
    vmladav.s8 r2, q0, q4
    vmladav.s8 r6, q3, q4
    .endif
    STORE   r2, r6, q2
    .endm

    .macro PLANAR_3X3 name, stride, down
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    sub     sp, sp, #PLANAR_FRAME_LEN
    mov     r12, r0
    movs    r0, #0
    vdup.32 q0, r0
    vstrw.32 q0, [sp]
    vstrw.32 q0, [sp, #16]
    ldrd    r10, r5, [r12, #PLANAR_ZERO]
    lsls    r5, r5, #1
    .if \stride == 2
    movs    r0, #12
    vctp.8  r0
    .endif
1:  ldr     r0, [r12, #PLANAR_STREAMS]
    ldm     r0!, {r1-r4, r6}
    str     r0, [r12, #PLANAR_STREAMS]
    mov     r8, r1
    vdup.32 q1, r2
    strd    r3, r4, [sp, #PLANAR_FRAME_WEIGHTS]
    str     r6, [sp, #PLANAR_FRAME_WEIGHTS + 8]
    vldrb.u8 q4, [sp, #PLANAR_FRAME_WEIGHTS]
    .if \stride == 1
    @ A column further is a word, a row further a byte.
    vldrb.u8 q5, [sp, #PLANAR_FRAME_WEIGHTS - 4 + 3 * \down]
    vldrb.u8 q6, [sp, #PLANAR_FRAME_WEIGHTS - 1 - 3 * \down]
    vldrb.u8 q7, [sp, #PLANAR_FRAME_WEIGHTS - 5]
    .endif
    movs    r0, #0
    ldrd    r1, r2, [r12, #PLANAR_COLUMN_STEP]
    adds    r3, r1, r2
    vmov    q2[2], q2[0], r0, r2
    vmov    q2[3], q2[1], r1, r3
    .if \down
    vmov    q3[2], q3[0], r0, r2
    vmov    q3[3], q3[1], r0, r2
    ldr     r7, [r12, #PLANAR_WORD_STEP]
    .endif
    ldr     r9, [r12, #PLANAR_FIRST]
    ldr     r11, [r12, #PLANAR_OUT]
    ldr     r0, [r12, #PLANAR_ROWS]
    subs    r0, r0, #1
2:  str     r0, [r12, #PLANAR_LEFT]
    ldr     r1, [r12, #PLANAR_PLANE]
    .if \stride == 2
    mov     r7, r1
    .endif
    add     r1, r1, r9
    cbnz    r0, 3f
    @ A last row is computed twice.
    ldr     r2, [r12, #PLANAR_COLUMN_STEP]
    vmov    q2[2], q2[0], r0, r0
    vmov    q2[3], q2[1], r2, r2
    .if \down
    vdup.32 q3, r0
    .endif
    .if \stride == 1
    vmov    q6, q4
    vmov    q7, q5
    .else
    mov     r7, r1
    b       4f
    .endif
3:  NEXT_ROWS
    .if \stride == 2
    add     r7, r7, r9
    NEXT_ROWS
    .endif
4:  mov     r3, r11
    ldr     r0, [r12, #PLANAR_COLUMNS]
    lsrs    r0, r0, #1
    dls     lr, r0
5:  FOUR_OUTPUTS \stride, \down
    add     r3, r3, r5
    le      lr, 5b
    ldr     r0, [r12, #PLANAR_COLUMNS]
    lsls    r0, r0, #31
    beq     6f
    .if \down
    @ An odd last one has no other beside it.
    vldrb.u8 q0, [r1]
    vmladav.s8 r0, q0, q4
    vmladav.s8 r4, q0, q6
    STORE   r0, r4, q3
    .else
    @ Of an odd number of columns the last but one is computed twice.
    .if \stride == 1
    subs    r1, r1, #4
    .else
    subs    r1, r1, #8
    subs    r7, r7, #8
    .endif
    ldr     r0, [r12, #PLANAR_COLUMN_STEP]
    subs    r3, r3, r0
    FOUR_OUTPUTS \stride, \down
    .endif
6:  ldrd    r2, r1, [r12, #PLANAR_ROW_STEP]
    add     r11, r11, r2, lsl #1
    ldr     r0, [r12, #PLANAR_LEFT]
    subs    r0, r0, #2
    bpl     2b
    ldrd    r0, r1, [r12, #PLANAR_PLANE]
    ldr     r2, [r12, #PLANAR_PLANE_LEN]
    adds    r0, r0, r2
    adds    r1, r1, #1
    strd    r0, r1, [r12, #PLANAR_PLANE]
    ldr     r0, [r12, #PLANAR_CHANNELS]
    subs    r0, r0, #1
    str     r0, [r12, #PLANAR_CHANNELS]
    bne     1b
    add     sp, sp, #PLANAR_FRAME_LEN
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

    PLANAR_3X3 fixie_helium_planar_3x3, 1, 0
    PLANAR_3X3 fixie_helium_planar_3x3_s2, 2, 0
    PLANAR_3X3 fixie_helium_planar_3x3_down, 1, 1
