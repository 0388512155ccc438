# The loops for RV32 with multiplication: see mod.rs for what each function needs.
    .option push
    .option arch, +m

    .macro SAVE
    addi    sp, sp, -64
    sw      ra, 0(sp)
    sw      s0, 4(sp)
    sw      s1, 8(sp)
    sw      s2, 12(sp)
    sw      s3, 16(sp)
    sw      s4, 20(sp)
    sw      s5, 24(sp)
    sw      s6, 28(sp)
    sw      s7, 32(sp)
    sw      s8, 36(sp)
    sw      s9, 40(sp)
    sw      s10, 44(sp)
    sw      s11, 48(sp)
    .endm

    .macro RESTORE
    lw      ra, 0(sp)
    lw      s0, 4(sp)
    lw      s1, 8(sp)
    lw      s2, 12(sp)
    lw      s3, 16(sp)
    lw      s4, 20(sp)
    lw      s5, 24(sp)
    lw      s6, 28(sp)
    lw      s7, 32(sp)
    lw      s8, 36(sp)
    lw      s9, 40(sp)
    lw      s10, 44(sp)
    lw      s11, 48(sp)
    addi    sp, sp, 64
    .endm

# Adds the products of a weight with one tap of four pixels.
    .macro PRODUCTS weights, at, s0, s1, s2, s3
    lb      t0, \at(\weights)
    mul     t1, t0, a4
    add     \s0, \s0, t1
    mul     t1, t0, a5
    add     \s1, \s1, t1
    mul     t1, t0, a6
    add     \s2, \s2, t1
    mul     t1, t0, a7
    add     \s3, \s3, t1
    .endm

    .macro TAP at
    lh      a4, 8*\at(t2)
    lh      a5, 8*\at+2(t2)
    lh      a6, 8*\at+4(t2)
    lh      a7, 8*\at+6(t2)
    PRODUCTS a0, \at, s0, s1, s2, s3
    PRODUCTS a1, \at, s4, s5, s6, s7
    PRODUCTS a2, \at, s8, s9, s10, s11
    PRODUCTS a3, \at, t3, t4, t5, t6
    .endm

# fixie_blocked_sums(args, sums): four channels of four pixels.
#
# a0-a3 weights, a4-a7 a tap of the pixels, t0 weight, t1 product, t2 patch, ra patch end,
# s0-s11 and t3-t6 sums
    .section .text.fixie_blocked_sums, "ax", @progbits
    .global fixie_blocked_sums
    .type fixie_blocked_sums, @function
fixie_blocked_sums:
    SAVE
    sw      a1, 52(sp)
    lw      t2, 0(a0)
    lw      ra, 4(a0)
    lw      t0, 12(a0)
    lw      a0, 8(a0)
    add     a1, a0, t0
    add     a2, a1, t0
    add     a3, a2, t0
    li      s0, 0
    li      s1, 0
    li      s2, 0
    li      s3, 0
    li      s4, 0
    li      s5, 0
    li      s6, 0
    li      s7, 0
    li      s8, 0
    li      s9, 0
    li      s10, 0
    li      s11, 0
    li      t3, 0
    li      t4, 0
    li      t5, 0
    li      t6, 0
1:  TAP     0
    TAP     1
    TAP     2
    TAP     3
    addi    t2, t2, 32
    addi    a0, a0, 4
    addi    a1, a1, 4
    addi    a2, a2, 4
    addi    a3, a3, 4
    bne     t2, ra, 1b
    lw      a1, 52(sp)
    sw      s0, 0(a1)
    sw      s1, 4(a1)
    sw      s2, 8(a1)
    sw      s3, 12(a1)
    sw      s4, 16(a1)
    sw      s5, 20(a1)
    sw      s6, 24(a1)
    sw      s7, 28(a1)
    sw      s8, 32(a1)
    sw      s9, 36(a1)
    sw      s10, 40(a1)
    sw      s11, 44(a1)
    sw      t3, 48(a1)
    sw      t4, 52(a1)
    sw      t5, 56(a1)
    sw      t6, 60(a1)
    RESTORE
    ret
    .size fixie_blocked_sums, . - fixie_blocked_sums

    .macro CHANNEL at, sum
    lb      t2, \at(t0)
    lb      t3, \at(a4)
    mul     t2, t2, t3
    add     \sum, \sum, t2
    .endm

# fixie_depthwise_sums(args, sums): eight channels of a pixel.
#
# a1 sums, a2 table, a3 table end, a4 weights, a5 what the table counts from, a6 channels,
# t0 taps of the pixel that is seen
    .section .text.fixie_depthwise_sums, "ax", @progbits
    .global fixie_depthwise_sums
    .type fixie_depthwise_sums, @function
fixie_depthwise_sums:
    lw      a2, 0(a0)
    lw      a3, 4(a0)
    lw      a4, 8(a0)
    lw      a5, 12(a0)
    lw      a6, 16(a0)
    lw      a0, 0(a1)
    lw      a7, 4(a1)
    lw      t1, 8(a1)
    lw      t4, 12(a1)
    lw      t5, 16(a1)
    lw      t6, 20(a1)
    addi    sp, sp, -16
    sw      s0, 0(sp)
    sw      s1, 4(sp)
    lw      s0, 24(a1)
    lw      s1, 28(a1)
1:  lw      t0, 0(a2)
    addi    a2, a2, 4
    add     t0, t0, a5
    CHANNEL 0, a0
    CHANNEL 1, a7
    CHANNEL 2, t1
    CHANNEL 3, t4
    CHANNEL 4, t5
    CHANNEL 5, t6
    CHANNEL 6, s0
    CHANNEL 7, s1
    add     a4, a4, a6
    bne     a2, a3, 1b
    sw      a0, 0(a1)
    sw      a7, 4(a1)
    sw      t1, 8(a1)
    sw      t4, 12(a1)
    sw      t5, 16(a1)
    sw      t6, 20(a1)
    sw      s0, 24(a1)
    sw      s1, 28(a1)
    lw      s0, 0(sp)
    lw      s1, 4(sp)
    addi    sp, sp, 16
    ret
    .size fixie_depthwise_sums, . - fixie_depthwise_sums
    .option pop
