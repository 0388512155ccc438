@ Requantises a sum of less than 23 bits to r2, with the multiplier's lower and upper half in r4 and r5
@ and the zero point and the half of the rounding, both shifted up by 16, in r6. The partial products
@ of 16 bits and their sum stay within 32: `op::blocked` of the image format limits the multiplier.
@ Uses r3 and r7.
    .macro REQUANTIZE sum
    mov     r2, \sum
    asrs    r3, r2, #16
    uxth    r2, r2
    mov     r7, r2
    muls    r7, r4, r7
    lsrs    r7, r7, #16
    muls    r2, r5, r2
    adds    r7, r7, r2
    mov     r2, r3
    muls    r2, r4, r2
    adds    r7, r7, r2
    adds    r7, r7, r6
    asrs    r7, r7, #16
    muls    r3, r5, r3
    adds    r7, r7, r3
    sxtb    r2, r7
    cmp     r2, r7
    beq     9f
    asrs    r2, r7, #31
    movs    r3, #127
    eors    r2, r2, r3
9:
    .endm

@ Requantises a sum to r2 where its product with the upper half of the multiplier, in r5, is all there
@ is and stays within 32 bits. r4 is 127, r6 as above. Uses r7.
    .macro REQUANTIZE_SHORT sum
    mov     r2, \sum
    muls    r2, r5, r2
    adds    r2, r2, r6
    asrs    r2, r2, #16
    sxtb    r7, r2
    cmp     r7, r2
    beq     9f
    asrs    r2, r2, #31
    eors    r2, r2, r4
9:
    .endm
