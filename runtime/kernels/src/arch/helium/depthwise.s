@ Depthwise convolution with Helium: see depthwise.rs for what each function needs.
@
@   for every pixel, for every 16 channels:
@       sums = bias
@       for every two taps: sums += the sum of two products, in 16 bits each
@       requantise, store
@
@ VMULLB and VMULLT multiply the even and the odd of 16 bytes. Two products of bytes, one factor
@ above -128, add up in 16 bits; so only every second one must be widened to 32. The sums of 16
@ channels are in q4 to q7, every fourth channel in one vector, in which order VLD4 reads constants.
@ Narrowing by pairs brings the channels back in order.

    .equ DW_BASE, 0         @ where the first pixel's offsets count from
    .equ DW_STEP, 4         @ bytes between neighbouring pixels
    .equ DW_PIXELS, 8       @ at least 1
    .equ DW_OFFSETS, 12     @ [taps] bytes
    .equ DW_TAPS, 16        @ at least 1
    .equ DW_WEIGHTS, 20     @ [taps][PITCH]
    .equ DW_PITCH, 24
    .equ DW_CHANNELS, 28    @ at least 1; if fewer than 16, constants are there for 16
    .equ DW_BIAS, 32
    .equ DW_MULTIPLIERS, 36
    .equ DW_OUT, 40
    .equ DW_OUT_STEP, 44
    .equ DW_ZERO, 48

@ q0 what a tap sees, at `pixel`, and q1 its weights, at r4: 16 bytes, or as many as there are
@ channels and 0 behind them.
    .macro DW_LOAD part, pixel
    .if \part
    vpstt
    vldrbt.u8 q0, [\pixel]
    vldrbt.u8 q1, [r4]
    .else
    vldrb.u8 q0, [\pixel]
    vldrb.u8 q1, [r4]
    .endif
    .endm

@ q2 even and q3 odd products of the tap that sees what is at r0.
    .macro DW_TAP part
    DW_LOAD \part, r0
    add     r4, r4, r5
    vmullb.s8 q2, q0, q1
    vmullt.s8 q3, q0, q1
    .endm

@ Adds 16-bit numbers to the sums.
    .macro DW_ADD
    vmovlb.s16 q0, q2
    vmovlt.s16 q1, q2
    vadd.i32 q4, q4, q0
    vadd.i32 q6, q6, q1
    vmovlb.s16 q0, q3
    vmovlt.s16 q1, q3
    vadd.i32 q5, q5, q0
    vadd.i32 q7, q7, q1
    .endm

@ r2 offsets, r3 base, r4 weights, r5 pitch, r6 output, r7 first channel, r8 zero point,
@ r9 bias, r10 multipliers, r11 pixels left
    .macro DW_PIXELS_LOOP name, part
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    mov     r12, r0
    ldr     r5, [r12, #DW_PITCH]
    ldr     r8, [r12, #DW_ZERO]
    ldr     r11, [r12, #DW_PIXELS]
    ldr     r3, [r12, #DW_BASE]
    ldr     r6, [r12, #DW_OUT]
    .if \part
    ldr     r0, [r12, #DW_CHANNELS]
    vctp.8  r0
    .endif
1:  mov     r7, #0
    ldrd    r9, r10, [r12, #DW_BIAS]
2:  ldrd    r4, r0, [r12, #DW_TAPS]
    ldr     r2, [r12, #DW_OFFSETS]
    lsrs    lr, r4, #1
    add     r4, r0, r7
    vld40.32 {q4, q5, q6, q7}, [r9]
    vld41.32 {q4, q5, q6, q7}, [r9]
    vld42.32 {q4, q5, q6, q7}, [r9]
    vld43.32 {q4, q5, q6, q7}, [r9]!
    wls     lr, lr, 4f
3:  ldrd    r0, r1, [r2], #8
    add     r0, r0, r3
    add     r1, r1, r3
    DW_TAP  \part
    DW_LOAD \part, r1
    vmullb.s8 q1, q0, q1
    vadd.i16 q2, q2, q1
    @ All registers are taken: the weights come once more.
    .if \part
    vpst
    vldrbt.u8 q1, [r4]
    .else
    vldrb.u8 q1, [r4]
    .endif
    add     r4, r4, r5
    vmullt.s8 q1, q0, q1
    vadd.i16 q3, q3, q1
    DW_ADD
    le      lr, 3b
4:  ldr     r0, [r12, #DW_TAPS]
    lsls    r0, r0, #31
    beq     5f
    ldr     r0, [r2]
    add     r0, r0, r3
    DW_TAP  \part
    DW_ADD
5:  vld40.32 {q0, q1, q2, q3}, [r10]
    vld41.32 {q0, q1, q2, q3}, [r10]
    vld42.32 {q0, q1, q2, q3}, [r10]
    vld43.32 {q0, q1, q2, q3}, [r10]!
    vrmulh.s32 q4, q4, q0
    vrmulh.s32 q5, q5, q1
    vrmulh.s32 q6, q6, q2
    vrmulh.s32 q7, q7, q3
    vqmovnb.s32 q4, q4
    vqmovnb.s32 q5, q5
    vqmovnt.s32 q4, q6
    vqmovnt.s32 q5, q7
    vqadd.s16 q4, q4, r8
    vqadd.s16 q5, q5, r8
    vqmovnb.s16 q4, q4
    vqmovnt.s16 q4, q5
    .if \part
    vpst
    vstrbt.8 q4, [r6]
    .else
    vstrb.8 q4, [r6]
    ldr     r0, [r12, #DW_CHANNELS]
    add     r7, r7, #16
    subs    r0, r0, r7
    beq     6f
    add     r3, r3, #16
    add     r6, r6, #16
    cmp     r0, #16
    bge     2b
    @ The last channels start earlier, so that they are 16.
    rsb     r0, r0, #16
    sub     r7, r7, r0
    sub     r3, r3, r0
    sub     r6, r6, r0
    sub     r9, r9, r0, lsl #2
    sub     r10, r10, r0, lsl #2
    b       2b
6:  sub     r7, r7, #16
    .endif
    ldr     r0, [r12, #DW_STEP]
    ldr     r1, [r12, #DW_OUT_STEP]
    sub     r3, r3, r7
    sub     r6, r6, r7
    add     r3, r3, r0
    add     r6, r6, r1
    subs    r11, r11, #1
    bne     1b
    vpop    {d8-d15}
    pop     {r4-r11, pc}
    .size \name, . - \name
    .endm

    DW_PIXELS_LOOP fixie_helium_depthwise, 0
    DW_PIXELS_LOOP fixie_helium_depthwise_part, 1
