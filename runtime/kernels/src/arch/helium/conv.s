@ Convolution with Helium: see conv.rs for what each function needs.
@
@ VMLADAV multiplies 16 bytes by 16 and adds the products up in a general register with an even
@ number. The sums of four channels then go to one vector and are requantised together. A last
@ group that would have fewer channels starts earlier instead, and computes some of them again.

    .equ SOURCE, 0          @ patch of the first pixel
    .equ STEP, 4            @ bytes between neighbouring patches
    .equ PIXELS, 8          @ at least 1
    .equ OUT, 12            @ outputs of the first pixel
    .equ OUT_STEP, 16       @ bytes between the outputs of neighbouring pixels
    .equ WEIGHTS, 20        @ [channels][taps]
    .equ TAPS, 24
    .equ BIAS, 28           @ [channels]
    .equ MULTIPLIERS, 32    @ [channels]
    .equ CHANNELS, 36       @ at least 4
    .equ ZERO, 40           @ zero point of the output

    .macro HELIUM_ENTER name
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    mov     r12, r0
    .endm

    .macro HELIUM_LEAVE name
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

@ Four accumulators of 32 bits to four bytes, at the low end of each lane: multiply, keep the upper
@ half rounded, add the zero point, saturate.
    .macro REQUANTIZE sums, multipliers, zero
    vrmulh.s32 \sums, \sums, \multipliers
    vadd.i32 \sums, \sums, \zero
    vqmovnb.s32 \sums, \sums
    vqmovnb.s16 \sums, \sums
    .endm

@ Steps to the next four channels, which start at `channel`; the last ones may overlap those before
@ them. Goes to `again` unless all are done. `weights` is where the rows of the next four start.
    .macro NEXT_CHANNELS channel, weights, taps, scratch, again
    ldr     \scratch, [r12, #CHANNELS]
    add     \channel, \channel, #4
    subs    \scratch, \scratch, \channel
    beq     9f
    cmp     \scratch, #4
    bge     \again
    rsb     \scratch, \scratch, #4
    sub     \channel, \channel, \scratch
    mls     \weights, \scratch, \taps, \weights
    b       \again
9:
    .endm

@ fixie_helium_conv_16(args): at most 16 taps. 16 bytes of each patch can be read.
@
@   for every four channels: keep their weights and constants in registers
@       for every pixel: four sums, requantise, store
    HELIUM_ENTER   fixie_helium_conv_16
    ldr     r1, [r12, #WEIGHTS]
    ldr     r3, [r12, #TAPS]
    ldr     r9, [r12, #STEP]
    ldr     r10, [r12, #OUT_STEP]
    ldr     r8, [r12, #ZERO]
    mov     r11, #0
    @ The weights behind a row are not its own: with 0 in their place no patch needs to be masked.
    vctp.8  r3
1:  add     r0, r1, r3
    add     r2, r0, r3
    add     r4, r2, r3
    vpstttt
    vldrbt.u8 q1, [r1]
    vldrbt.u8 q2, [r0]
    vldrbt.u8 q3, [r2]
    vldrbt.u8 q4, [r4]
    add     r1, r4, r3
    ldr     r0, [r12, #BIAS]
    ldr     r2, [r12, #MULTIPLIERS]
    add     r0, r0, r11, lsl #2
    add     r2, r2, r11, lsl #2
    vldrw.u32 q5, [r0]
    vldrw.u32 q6, [r2]
    ldr     r5, [r12, #SOURCE]
    ldr     r7, [r12, #OUT]
    add     r7, r7, r11
    ldr     lr, [r12, #PIXELS]
    dls     lr, lr
2:  vldrb.u8 q0, [r5]
    add     r5, r5, r9
    vmladav.s8 r0, q0, q1
    vmladav.s8 r2, q0, q2
    vmladav.s8 r4, q0, q3
    vmladav.s8 r6, q0, q4
    vmov    q0[2], q0[0], r0, r4
    vmov    q0[3], q0[1], r2, r6
    vadd.i32 q0, q0, q5
    REQUANTIZE q0, q6, r8
    vstrb.32 q0, [r7]
    add     r7, r7, r10
    le      lr, 2b
    NEXT_CHANNELS r11, r1, r3, r0, 1b
    HELIUM_LEAVE   fixie_helium_conv_16

@ fixie_helium_conv_32(args), _48, _64: more than 16 taps, in 2, 3 or 4 vectors.
@
@   for every pixel: keep its patch in registers
@       for every four channels: for every row of weights: multiply; requantise, store
@
@ The last vector of a row of weights ends where the row ends, so it may begin before the end of the
@ vector in front of it; of the patch those bytes are 0.

@ The sum of one row. r1 moves to the next one.
    .macro ROW_SUM sum, vectors, tail
    vldrb.u8 q7, [r1], #16
    vmladav.s8 \sum, q0, q7
    .if \vectors > 2
    vldrb.u8 q7, [r1], #16
    vmladava.s8 \sum, q1, q7
    .endif
    .if \vectors > 3
    vldrb.u8 q7, [r1], #16
    vmladava.s8 \sum, q2, q7
    .endif
    .if \tail
    sub     r1, r1, r9
    .endif
    vldrb.u8 q7, [r1], #16
    vmladava.s8 \sum, q4, q7
    .endm

@ All channels of the patch in registers. r10 is what channels are left behind the last four.
    .macro ALL_ROWS vectors, tail
1:  ROW_SUM r0, \vectors, \tail
    ROW_SUM r2, \vectors, \tail
    ROW_SUM r4, \vectors, \tail
    ROW_SUM r6, \vectors, \tail
    vldrw.u32 q7, [r3], #16
    vmov    q6[2], q6[0], r0, r4
    vmov    q6[3], q6[1], r2, r6
    vadd.i32 q6, q6, q7
    vldrw.u32 q7, [r5], #16
    REQUANTIZE q6, q7, r8
    vstrb.32 q6, [r7], #4
    le      lr, 1b
    cmp     r10, #0
    beq     2f
    ldr     r0, [r12, #TAPS]
    rsb     r10, r10, #4
    mls     r1, r10, r0, r1
    sub     r3, r3, r10, lsl #2
    sub     r5, r5, r10, lsl #2
    sub     r7, r7, r10
    mov     r10, #0
    mov     lr, #1
    b       1b
2:
    .endm

    .macro CONV_HELD name, vectors
    HELIUM_ENTER   \name
    ldr     r0, [r12, #TAPS]
    rsbs    r9, r0, #16 * \vectors
    vctp.8  r9
    vpnot
    ldr     r8, [r12, #ZERO]
    ldr     r11, [r12, #SOURCE]
    ldr     r7, [r12, #OUT]
    ldr     r6, [r12, #PIXELS]
    push    {r6, r7}
4:  ldr     r0, [r12, #TAPS]
    add     r0, r0, r11
    vldrb.u8 q0, [r11]
    .if \vectors > 2
    vldrb.u8 q1, [r11, #16]
    .endif
    .if \vectors > 3
    vldrb.u8 q2, [r11, #32]
    .endif
    vpst
    vldrbt.u8 q4, [r0, #-16]
    ldr     r1, [r12, #WEIGHTS]
    ldrd    r3, r5, [r12, #BIAS]
    ldr     r10, [r12, #CHANNELS]
    ldr     r7, [sp, #4]
    lsr     lr, r10, #2
    and     r10, r10, #3
    dls     lr, lr
    cmp     r9, #0
    beq     5f
    ALL_ROWS \vectors, 1
    b       6f
5:  ALL_ROWS \vectors, 0
6:  ldr     r0, [r12, #STEP]
    ldr     r1, [r12, #OUT_STEP]
    add     r11, r11, r0
    ldrd    r2, r3, [sp]
    add     r3, r3, r1
    subs    r2, r2, #1
    strd    r2, r3, [sp]
    bne     4b
    add     sp, sp, #8
    HELIUM_LEAVE   \name
    .endm

    CONV_HELD fixie_helium_conv_32, 2
    CONV_HELD fixie_helium_conv_48, 3
    CONV_HELD fixie_helium_conv_64, 4

@ fixie_helium_conv_any(args): any number of taps.
@
@   for every two pixels, for every four channels:
@       2x2 sums of channels 0 and 2, of channels 1 and 3; requantise, store
@   the same for an odd last pixel, with 1x4 sums
@
@ Tail predication keeps loads and products inside the rows. r9 taps, r10 weights of four channels,
@ r11 the first of these channels.
    HELIUM_ENTER   fixie_helium_conv_any
    ldr     r8, [r12, #ZERO]
    ldr     r9, [r12, #TAPS]
    sub     sp, sp, #16
    .equ FRAME_PIXELS, 0    @ left
    .equ FRAME_OUT, 4
    .equ FRAME_FIRST, 8     @ patches of two pixels
    .equ FRAME_SECOND, 12
    ldr     r0, [r12, #PIXELS]
    ldr     r1, [r12, #OUT]
    ldr     r2, [r12, #SOURCE]
    ldr     r3, [r12, #STEP]
    add     r3, r3, r2
    stm     sp, {r0-r3}

@ One pass: r0, r2 two channels of the first pixel, r4, r6 of the second.
    .macro TWO_BY_TWO
    ldrd    r1, r3, [sp, #FRAME_FIRST]
    movs    r0, #0
    movs    r2, #0
    movs    r4, #0
    movs    r6, #0
    dlstp.8 lr, r9
1:  vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r3], #16
    vldrb.u8 q2, [r5], #16
    vldrb.u8 q3, [r7], #16
    vmladava.s8 r0, q0, q2
    vmladava.s8 r2, q0, q3
    vmladava.s8 r4, q1, q2
    vmladava.s8 r6, q1, q3
    letp    lr, 1b
    .endm

@ r1 and r3 point to the constants of the four channels, r5 to their outputs.
    .macro CONSTANTS
    ldrd    r1, r3, [r12, #BIAS]
    ldr     r5, [sp, #FRAME_OUT]
    add     r1, r1, r11, lsl #2
    add     r3, r3, r11, lsl #2
    add     r5, r5, r11
    .endm

2:  ldr     r0, [sp, #FRAME_PIXELS]
    cmp     r0, #2
    blt     6f
    ldr     r10, [r12, #WEIGHTS]
    mov     r11, #0
3:  mov     r5, r10
    add     r7, r10, r9, lsl #1
    TWO_BY_TWO
    vmov    q4[2], q4[0], r0, r2
    vmov    q5[2], q5[0], r4, r6
    add     r5, r10, r9
    add     r7, r5, r9, lsl #1
    add     r10, r10, r9, lsl #2
    TWO_BY_TWO
    vmov    q4[3], q4[1], r0, r2
    vmov    q5[3], q5[1], r4, r6
    CONSTANTS
    ldr     r7, [r12, #OUT_STEP]
    add     r7, r7, r5
    vldrw.u32 q0, [r1]
    vldrw.u32 q1, [r3]
    vadd.i32 q4, q4, q0
    vadd.i32 q5, q5, q0
    REQUANTIZE q4, q1, r8
    REQUANTIZE q5, q1, r8
    vstrb.32 q4, [r5]
    vstrb.32 q5, [r7]
    NEXT_CHANNELS r11, r10, r9, r0, 3b
    ldm     sp, {r0-r3}
    ldr     r4, [r12, #STEP]
    ldr     r5, [r12, #OUT_STEP]
    sub     r0, r0, #2
    add     r1, r1, r5, lsl #1
    add     r2, r2, r4, lsl #1
    add     r3, r3, r4, lsl #1
    stm     sp, {r0-r3}
    b       2b

6:  cmp     r0, #0
    beq     8f
    ldr     r10, [r12, #WEIGHTS]
    mov     r11, #0
4:  mov     r3, r10
    add     r5, r3, r9
    add     r7, r5, r9
    add     r10, r7, r9
    ldr     r1, [sp, #FRAME_FIRST]
    movs    r0, #0
    movs    r2, #0
    movs    r4, #0
    movs    r6, #0
    dlstp.8 lr, r9
5:  vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r3], #16
    vldrb.u8 q2, [r5], #16
    vmladava.s8 r0, q0, q1
    vldrb.u8 q3, [r7], #16
    vmladava.s8 r2, q0, q2
    vldrb.u8 q1, [r10], #16
    vmladava.s8 r4, q0, q3
    vmladava.s8 r6, q0, q1
    letp    lr, 5b
    vmov    q4[2], q4[0], r0, r4
    vmov    q4[3], q4[1], r2, r6
    @ Past the rows by less than a vector.
    rsb     r0, r9, #0
    and     r0, r0, #15
    sub     r10, r10, r0
    CONSTANTS
    vldrw.u32 q0, [r1]
    vldrw.u32 q1, [r3]
    vadd.i32 q4, q4, q0
    REQUANTIZE q4, q1, r8
    vstrb.32 q4, [r5]
    NEXT_CHANNELS r11, r10, r9, r0, 4b
8:  add     sp, sp, #16
    HELIUM_LEAVE   fixie_helium_conv_any
