@ Runs of bytes with Helium: see bytes.rs for what each function needs.

@ fixie_helium_clamp(bytes, len, min, max): every byte to at least `min` and at most `max`; at least
@ one byte.
    .section .text.fixie_helium_clamp, "ax", %progbits
    .global fixie_helium_clamp
    .type fixie_helium_clamp, %function
    .thumb_func
fixie_helium_clamp:
    push    {r7, lr}
    vdup.8  q1, r2
    vdup.8  q2, r3
    dlstp.8 lr, r1
1:  vldrb.u8 q0, [r0]
    vmax.s8 q0, q0, q1
    vmin.s8 q0, q0, q2
    vstrb.8 q0, [r0], #16
    letp    lr, 1b
    pop     {r7, pc}
    .size fixie_helium_clamp, . - fixie_helium_clamp

@ fixie_helium_fill(bytes, len, value): at least one byte.
    .section .text.fixie_helium_fill, "ax", %progbits
    .global fixie_helium_fill
    .type fixie_helium_fill, %function
    .thumb_func
fixie_helium_fill:
    push    {r7, lr}
    vdup.8  q0, r2
    dlstp.8 lr, r1
1:  vstrb.8 q0, [r0], #16
    letp    lr, 1b
    pop     {r7, pc}
    .size fixie_helium_fill, . - fixie_helium_fill

@ fixie_helium_gather(args): the same rows of some pixels, 16 bytes at a time; at least one pixel, one
@ row, one byte.
@
@ r0 where the pixel's rows are, r1 where they go, r2-r3 bytes from the vectors of one row
@ to the next row, r4 rows, r5 bytes of a row,
@ r6-r7 the row, r8 pixels left, r9-r10 bytes between pixels, r11 rows left
    .section .text.fixie_helium_gather, "ax", %progbits
    .global fixie_helium_gather
    .type fixie_helium_gather, %function
    .thumb_func
fixie_helium_gather:
    push    {r4-r11, lr}
    ldm     r0, {r0-r5, r8-r10}
    @ Whole vectors are stepped over, though only the row's bytes are copied.
    add     r6, r5, #15
    bic     r6, r6, #15
    sub     r2, r2, r6
    sub     r3, r3, r6
1:  mov     r6, r0
    mov     r7, r1
    mov     r11, r4
2:  dlstp.8 lr, r5
3:  vldrb.u8 q0, [r6], #16
    vstrb.8 q0, [r7], #16
    letp    lr, 3b
    add     r6, r6, r2
    add     r7, r7, r3
    subs    r11, r11, #1
    bne     2b
    add     r0, r0, r9
    add     r1, r1, r10
    subs    r8, r8, #1
    bne     1b
    pop     {r4-r11, pc}
    .size fixie_helium_gather, . - fixie_helium_gather

@ fixie_helium_sums(sum, a, b, out, len): at least one byte.
    .section .text.fixie_helium_sums, "ax", %progbits
    .global fixie_helium_sums
    .type fixie_helium_sums, %function
    .thumb_func
fixie_helium_sums:
    push    {r4-r7, lr}
    ldr     r4, [sp, #20]
    ldm     r0, {r0, r5, r6, r7}
    vdup.32 q2, r0
    rsbs    r7, r7, #0
    dlstp.32 lr, r4
1:  vldrb.s32 q0, [r1], #4
    vldrb.s32 q1, [r2], #4
    vmlas.u32 q0, q2, r6
    vmla.u32 q0, q1, r5
    vshl.s32 q0, r7
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r3], #4
    letp    lr, 1b
    pop     {r4-r7, pc}
    .size fixie_helium_sums, . - fixie_helium_sums

@ fixie_helium_pixel_sums(pixels, step, count, sums): 16 channels of at least one pixel.
    .section .text.fixie_helium_pixel_sums, "ax", %progbits
    .global fixie_helium_pixel_sums
    .type fixie_helium_pixel_sums, %function
    .thumb_func
fixie_helium_pixel_sums:
    push    {r7, lr}
    vpush   {d8-d15}
    vldrw.u32 q0, [r3]
    vldrw.u32 q1, [r3, #16]
    vldrw.u32 q2, [r3, #32]
    vldrw.u32 q3, [r3, #48]
    dls     lr, r2
1:  vldrb.s32 q4, [r0]
    vldrb.s32 q5, [r0, #4]
    vldrb.s32 q6, [r0, #8]
    vldrb.s32 q7, [r0, #12]
    add     r0, r0, r1
    vadd.i32 q0, q0, q4
    vadd.i32 q1, q1, q5
    vadd.i32 q2, q2, q6
    vadd.i32 q3, q3, q7
    le      lr, 1b
    vstrw.32 q0, [r3]
    vstrw.32 q1, [r3, #16]
    vstrw.32 q2, [r3, #32]
    vstrw.32 q3, [r3, #48]
    vpop    {d8-d15}
    pop     {r7, pc}
    .size fixie_helium_pixel_sums, . - fixie_helium_pixel_sums
