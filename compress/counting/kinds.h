/* What an A64 instruction does, as far as it matters to a neural network.
 *
 * From the Arm Architecture Reference Manual for A-profile (DDI 0487), "A64 instruction set
 * encoding": each line is one class of its tables, as the bits that are fixed and their values.
 */
#ifndef LINEGUARD_KINDS_H
#define LINEGUARD_KINDS_H

#include <stddef.h>
#include <stdint.h>

enum kind { DOT, FMA, MULTIPLY, SIMD, MEMORY, BRANCH, OTHER, KINDS };

static const char *const kind_names[KINDS] = {
    "dot", "fma", "multiply", "simd", "memory", "branch", "other",
};

struct pattern {
    uint32_t mask, bits;
    enum kind kind;
};

static const struct pattern patterns[] = {
    /* Dot products and matrix products of bytes, which A76 has and A53 and A72 have not. */
    {0x9f20fc00, 0x0e009400, DOT}, /* SDOT, UDOT */
    {0xbf20fc00, 0x0e009c00, DOT}, /* USDOT */
    {0x9f00f400, 0x0f00e000, DOT}, /* SDOT, UDOT by element */
    {0xbf00f400, 0x0f00f000, DOT}, /* SUDOT, USDOT by element */
    {0xdf20f400, 0x4e00a400, DOT}, /* SMMLA, UMMLA, USMMLA */
    /* Multiply and add of floats. */
    {0xbf20fc00, 0x0e20cc00, FMA}, /* FMLA, FMLS */
    {0xbf60fc00, 0x0e400c00, FMA}, /* the same of halves */
    {0xbf00b400, 0x0f001000, FMA}, /* by element */
    {0xff000000, 0x1f000000, FMA}, /* FMADD, FMSUB, FNMADD, FNMSUB of scalars */
    /* Multiplications of integers, with or without a sum. */
    {0x9f20fc00, 0x0e209400, MULTIPLY}, /* MLA, MLS */
    {0xbf20fc00, 0x0e209c00, MULTIPLY}, /* MUL */
    {0x9f20dc00, 0x0e208000, MULTIPLY}, /* SMLAL, UMLAL, SMLSL, UMLSL */
    {0x9f20fc00, 0x0e20c000, MULTIPLY}, /* SMULL, UMULL */
    {0xbf20dc00, 0x0e209000, MULTIPLY}, /* SQDMLAL, SQDMLSL */
    {0xbf20fc00, 0x0e20d000, MULTIPLY}, /* SQDMULL */
    {0x9f20fc00, 0x0e20b400, MULTIPLY}, /* SQDMULH, SQRDMULH */
    {0xbf00b400, 0x2f000000, MULTIPLY}, /* MLA, MLS by element */
    {0xbf00f400, 0x0f008000, MULTIPLY}, /* MUL by element */
    {0x9f00b400, 0x0f002000, MULTIPLY}, /* SMLAL, UMLAL, SMLSL, UMLSL by element */
    {0x9f00f400, 0x0f00a000, MULTIPLY}, /* SMULL, UMULL by element */
    {0xbf00e400, 0x0f00c000, MULTIPLY}, /* SQDMULH, SQRDMULH by element */
    /* All else, by the top-level table. */
    {0x0e000000, 0x0e000000, SIMD},   /* vectors and floats */
    {0x0a000000, 0x08000000, MEMORY}, /* loads and stores, of vectors as well */
    {0x1c000000, 0x14000000, BRANCH}, /* branches, calls, exceptions, system */
};

static inline enum kind kind_of(uint32_t word) {
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if ((word & patterns[i].mask) == patterns[i].bits)
            return patterns[i].kind;
    return OTHER;
}

#endif
