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

@ fixie_helium_copy_rows(args): runs of bytes, 16 at a time; at least one of at least one byte.
    .section .text.fixie_helium_copy_rows, "ax", %progbits
    .global fixie_helium_copy_rows
    .type fixie_helium_copy_rows, %function
    .thumb_func
fixie_helium_copy_rows:
    push    {r4-r7, lr}
    ldm     r0, {r0-r5}
1:  mov     r6, r0
    mov     r7, r1
    dlstp.8 lr, r5
2:  vldrb.u8 q0, [r6], #16
    vstrb.8 q0, [r7], #16
    letp    lr, 2b
    add     r0, r0, r2
    add     r1, r1, r3
    subs    r4, r4, #1
    bne     1b
    pop     {r4-r7, pc}
    .size fixie_helium_copy_rows, . - fixie_helium_copy_rows
