@ ConvVectors with Helium: see vectors.rs for what each function needs.
@
@ VMLADAV multiplies 16 bytes by 16 and adds the products up in a general register with an even
@ number. The sums of four channels then go to one vector and are requantised together. A last
@ block that would have fewer channels starts earlier instead, and computes some of them again.

    .equ SOURCE, 0          @ patch of the first pixel
    .equ OUT, 4             @ outputs of the first pixel
    .equ STEP, 8            @ bytes between neighbouring patches
    .equ OUT_STEP, 12       @ bytes between the outputs of neighbouring pixels
    .equ PIXELS, 16         @ at least 1; triples of them for the functions of that name
    .equ STREAM, 20
    .equ BLOCKS, 24         @ whole blocks, at least 1
    .equ BACK, 28           @ channels by which a further block starts earlier; 0 if there is none
    .equ VECTORS, 32        @ of a patch
    .equ ZERO, 36           @ zero point of the output

    .equ FRAME_SUMS, 0      @ of a pixel
    .equ FRAME_X0, 0        @ patches of three pixels
    .equ FRAME_X1, 4
    .equ FRAME_X2, 8
    .equ FRAME_BLOCKS, 12   @ blocks left
    .equ FRAME_REWIND, 16   @ bytes from the end of a pass over the weights to the next one
    .equ FRAME_LEFT, 32     @ pixels or triples left
    .equ FRAME_SOURCE, 36   @ where they start
    .equ FRAME_OUT, 40
    .equ FRAME_ARGS, 44
    .equ FRAME_BACK, 48     @ BACK, or 0 in the last block
    .equ FRAME_REST, 52     @ how often the loop over vectors runs
    .equ FRAME_ENTRY, 56    @ where it is entered, for each pass
    .equ FRAME_LEN, 72

    .equ BIAS_LEN, 32       @ in front of the weights of a block
    .equ BLOCK_STEP, 128    @ weights of a block for 16 taps

    .macro VECTORS_ENTER name
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
    @ Or else ADR is off by two.
    .balign 4
\name:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    sub     sp, sp, #FRAME_LEN
    mov     r12, r0
    ldrd    r0, r1, [r12, #SOURCE]
    strd    r0, r1, [sp, #FRAME_SOURCE]
    ldr     r2, [r12, #PIXELS]
    str     r2, [sp, #FRAME_LEFT]
    str     r12, [sp, #FRAME_ARGS]
    ldr     r2, [r12, #ZERO]
    .endm

    .macro VECTORS_LEAVE name
    add     sp, sp, #FRAME_LEN
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

@ r4 where a loop over `steps` steps of `step_len` bytes is entered, from its start: the steps that are
@ left over are the last ones of its body. `done` of as many steps as there are vectors are done before
@ it, but not all. `steps` is a power of 2.
    .macro PREPARE_LOOP steps, step_len, done
    ldr     r0, [r12, #VECTORS]
    adds    r3, r0, #\steps - 1 - \done
    mov     r4, #\steps
    udiv    r3, r3, r4
    str     r3, [sp, #FRAME_REST]
    rsb     r0, r0, #\done
    and     r0, r0, #\steps - 1
    mov     r4, #\step_len
    muls    r4, r0, r4
    adds    r4, r4, #1
    .endm

@ fixie_helium_vectors_triples_1(args), _2, _3, _4: patches of so many vectors; _any: of 2 or more.
@
@   for every three pixels, for every block, for every four of its channels:
@       for every two: 2x3 sums
@       requantise, store
@
@ r0, r2 sums of the first pixel, r4, r6 of the second, r8, r10 of the third; r1, r3, r5 where
@ outputs go; r7 weights; r9, r11, r12 patches; q4-q6 sums of four channels, q7 zero point

@ 16 taps. `at` is what stands behind the register of a patch.
    .macro TRIPLE_STEP multiply, at
    vldrb.u8 q0, [r7], #16
    vldrb.u8 q2, [r9\at
    \multiply\().s8 r0, q2, q0
    vldrb.u8 q1, [r7], #BLOCK_STEP - 16
    \multiply\().s8 r2, q2, q1
    vldrb.u8 q3, [r11\at
    \multiply\().s8 r4, q3, q0
    vldrb.u8 q2, [r12\at
    \multiply\().s8 r6, q3, q1
    \multiply\().s8 r8, q2, q0
    \multiply\().s8 r10, q2, q1
    .endm

@ The sums of two channels, over `vectors` vectors, or, if that is 0, by the prepared loop, whose body
@ gets the label `body`. Then r7 is where the weights of the next two start.
    .macro TRIPLE_PASS vectors, pass, body
    .if \vectors
    TRIPLE_STEP vmladav, ", #0]"
    .if \vectors > 1
    TRIPLE_STEP vmladava, ", #16]"
    .endif
    .if \vectors > 2
    TRIPLE_STEP vmladava, ", #32]"
    .endif
    .if \vectors > 3
    TRIPLE_STEP vmladava, ", #48]"
    .endif
    sub     r7, r7, #BLOCK_STEP * \vectors - 32
    .else
    ldrd    r9, r11, [sp, #FRAME_X0]
    ldr     r12, [sp, #FRAME_X2]
    TRIPLE_STEP vmladav, "], #16"
    ldr     lr, [sp, #FRAME_REST]
    dls     lr, lr
    ldr     pc, [sp, #FRAME_ENTRY + 4 * (\pass)]
\body:
    TRIPLE_STEP vmladava, "], #16"
    TRIPLE_STEP vmladava, "], #16"
    TRIPLE_STEP vmladava, "], #16"
    TRIPLE_STEP vmladava, "], #16"
    le      lr, \body\()b
    ldr     lr, [sp, #FRAME_REWIND]
    sub     r7, r7, lr
    .endif
    .endm

@ Four channels, from pass `pass` on.
    .macro TRIPLE_FOUR vectors, pass, even, odd
    TRIPLE_PASS \vectors, \pass, \even
    vmov    q4[2], q4[0], r0, r2
    vmov    q5[2], q5[0], r4, r6
    vmov    q6[2], q6[0], r8, r10
    TRIPLE_PASS \vectors, \pass + 1, \odd
    vmov    q4[3], q4[1], r0, r2
    vmov    q5[3], q5[1], r4, r6
    vmov    q6[3], q6[1], r8, r10
    .if \vectors
    vldrw.u32 q1, [r7, #BLOCK_STEP * \vectors - 64 - 24 * \pass]
    .else
    ldr     r0, [sp, #FRAME_REWIND]
    add     r0, r0, r7
    vldrw.u32 q1, [r0, #-32 - 24 * \pass]
    .endif
    vldrw.u32 q0, [r7, #-96 - 24 * \pass]
    vadd.i32 q4, q4, q0
    vadd.i32 q5, q5, q0
    vadd.i32 q6, q6, q0
    vrmulh.s32 q4, q4, q1
    vrmulh.s32 q5, q5, q1
    vrmulh.s32 q6, q6, q1
    vadd.i32 q4, q4, q7
    vadd.i32 q5, q5, q7
    vadd.i32 q6, q6, q7
    vqmovnb.s32 q4, q4
    vqmovnb.s32 q5, q5
    vqmovnb.s32 q6, q6
    vqmovnb.s16 q4, q4
    vqmovnb.s16 q5, q5
    vqmovnb.s16 q6, q6
    vstrb.32 q4, [r1], #4
    vstrb.32 q5, [r3], #4
    vstrb.32 q6, [r5], #4
    .endm

    .macro TRIPLES name, vectors
    VECTORS_ENTER \name
    vdup.32 q7, r2
    .if \vectors == 0
    PREPARE_LOOP 4, 44, 1
    adr.w   r0, 10f
    adr.w   r1, 11f
    adr.w   r2, 12f
    adr.w   r3, 13f
    add     r0, r0, r4
    add     r1, r1, r4
    add     r2, r2, r4
    add     r3, r3, r4
    strd    r0, r1, [sp, #FRAME_ENTRY]
    strd    r2, r3, [sp, #FRAME_ENTRY + 8]
    ldr     r0, [r12, #VECTORS]
    lsls    r0, r0, #7
    subs    r0, r0, #32
    str     r0, [sp, #FRAME_REWIND]
    .endif
1:  ldr     r0, [sp, #FRAME_ARGS]
    ldrd    r9, r1, [sp, #FRAME_SOURCE]
    ldrd    r2, r4, [r0, #STEP]
    ldr     r7, [r0, #STREAM]
    adds    r7, r7, #BIAS_LEN
    ldrd    lr, r6, [r0, #BLOCKS]
    str     r6, [sp, #FRAME_BACK]
    add     r11, r9, r2
    add     r12, r11, r2
    adds    r3, r1, r4
    adds    r5, r3, r4
    add     r2, r2, r12
    adds    r4, r4, r5
    strd    r2, r4, [sp, #FRAME_SOURCE]
    .if \vectors == 0
    strd    r9, r11, [sp, #FRAME_X0]
    str     r12, [sp, #FRAME_X2]
2:  str     lr, [sp, #FRAME_BLOCKS]
    TRIPLE_FOUR 0, 0, 10, 11
    TRIPLE_FOUR 0, 2, 12, 13
    ldr     lr, [sp, #FRAME_BLOCKS]
    ldr     r0, [sp, #FRAME_REWIND]
    add     r7, r7, r0
    subs    r7, r7, #32
    subs    lr, lr, #1
    bne     2b
    .else
    dls     lr, lr
2:  TRIPLE_FOUR \vectors, 0
    TRIPLE_FOUR \vectors, 2
    add     r7, r7, #BLOCK_STEP * \vectors - 64
    le      lr, 2b
    .endif
    ldr     r0, [sp, #FRAME_BACK]
    cbz     r0, 3f
    @ The last block starts earlier.
    subs    r1, r1, r0
    subs    r3, r3, r0
    subs    r5, r5, r0
    movs    r0, #0
    str     r0, [sp, #FRAME_BACK]
    mov     lr, #1
    b       2b
3:  ldr     r0, [sp, #FRAME_LEFT]
    subs    r0, r0, #1
    str     r0, [sp, #FRAME_LEFT]
    bne     1b
    VECTORS_LEAVE \name
    .endm

    TRIPLES fixie_helium_vectors_triples_1, 1
    TRIPLES fixie_helium_vectors_triples_2, 2
    TRIPLES fixie_helium_vectors_triples_3, 3
    TRIPLES fixie_helium_vectors_triples_4, 4
    TRIPLES fixie_helium_vectors_triples_any, 0

@ fixie_helium_vectors_pixels(args): any number of vectors.
@
@   for every pixel, for every block: the sums of all its channels; requantise, store
@
@ r0, r2, …, r12, lr sums in the order of channels; r1 weights, r3 where outputs go, r5 blocks left, r7 the patch,
@ r9 there; q7 zero point

@ The products of one channel.
    .macro PIXEL_CHANNEL sum, weights
    vldrb.u8 \weights, [r1], #16
    vmladava.s8 \sum, q0, \weights
    .endm

@ 16 taps, the channels in their order.
    .macro PIXEL_STEP
    vldrb.u8 q0, [r9], #16
    PIXEL_CHANNEL r0, q1
    PIXEL_CHANNEL r4, q2
    PIXEL_CHANNEL r2, q3
    PIXEL_CHANNEL r6, q1
    PIXEL_CHANNEL r8, q2
    PIXEL_CHANNEL r12, q3
    PIXEL_CHANNEL r10, q1
    PIXEL_CHANNEL lr, q2
    .endm

    VECTORS_ENTER fixie_helium_vectors_pixels
    vdup.16 q7, r2
    PREPARE_LOOP 8, 68, 0
    adr.w   r0, 3f
    add     r0, r0, r4
    str     r0, [sp, #FRAME_ENTRY]
1:  ldr     r0, [sp, #FRAME_ARGS]
    ldrd    r7, r3, [sp, #FRAME_SOURCE]
    ldrd    r2, r4, [r0, #STEP]
    adds    r2, r2, r7
    adds    r4, r4, r3
    strd    r2, r4, [sp, #FRAME_SOURCE]
    ldrd    r1, r5, [r0, #STREAM]
    ldr     r6, [r0, #BACK]
    str     r6, [sp, #FRAME_BACK]
2:  ldm     r1!, {r0, r2, r4, r6, r8, r10, r12, lr}
    mov     r9, r7
    ldr     r11, [sp, #FRAME_REST]
    ldr     pc, [sp, #FRAME_ENTRY]
3:  PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    PIXEL_STEP
    subs    r11, r11, #1
    bne     3b
    stm     sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    @ Even channels and odd ones, which the narrowing moves put in turn again.
    vld20.32 {q0, q1}, [sp]
    vld21.32 {q0, q1}, [sp]
    vld20.32 {q2, q3}, [r1]
    vld21.32 {q2, q3}, [r1]!
    vrmulh.s32 q0, q0, q2
    vrmulh.s32 q1, q1, q3
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqadd.s16 q0, q0, q7
    vqmovnb.s16 q0, q0
    vstrb.16 q0, [r3], #8
    subs    r5, r5, #1
    bne     2b
    ldr     r0, [sp, #FRAME_BACK]
    cbz     r0, 4f
    @ The last block starts earlier.
    subs    r3, r3, r0
    movs    r0, #0
    str     r0, [sp, #FRAME_BACK]
    movs    r5, #1
    b       2b
4:  ldr     r0, [sp, #FRAME_LEFT]
    subs    r0, r0, #1
    str     r0, [sp, #FRAME_LEFT]
    bne     1b
    VECTORS_LEAVE fixie_helium_vectors_pixels
