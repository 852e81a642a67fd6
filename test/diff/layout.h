/* SPDX-License-Identifier: Apache-2.0 */
/* diff: where things are in the guest of a lockstep program. Shared with handler.S.
 *
 * M mode sees physical addresses. S mode sees the same numbers (the S window is the identity), U
 * mode sees what it may see at the U window, WINDOW_U higher. Beyond both windows' copy of RAM are
 * aliases and pages that fault in one way or another; M mode finds no RAM there. */
#pragma once

#define RAM_AT    0x80000000
#define RAM_SIZE  0x200000
#define M_CODE    0x80000000 /* trap handler of M mode: handler.S */
#define S_CODE    0x80001000 /* that of S mode */
#define M_SAVE    0x80002000 /* what mscratch points to */
#define S_SAVE    0x80006000 /* what sscratch points to */
#define TABLES    0x80010000 /* page tables, 32 pages */
#define TABLE_S   0x80030000 /* what gp points to in M and S; then the same for U */
#define TABLE_U   0x80031000
#define VALUES    0x80032000 /* register values, 4 pages */
#define CODE      0x80040000 /* the program, 32 pages */
#define CODE_SIZE 0x20000
#define FUNC      0x80070000 /* functions: 2 pages, others in the second address space */
#define FUNC_B    0x80074000
#define DATA      0x80080000 /* what loads and stores touch, 64 pages */
#define DATA_SIZE 0x40000
#define SPARE     0x80100000 /* pages that come and go, 8 */

#define CODE_ALIAS 0x90040000 /* CODE, writable */
#define FUNC_ALIAS 0x90070000
#define DATA_ALIAS 0x90080000
#define ODD        0x90100000 /* pages with odd rights: see pages.c */
#define PLAY       0x90110000 /* 8 pages whose entries the program changes */
#define MEGA       0xa0000000 /* all of RAM by one large page */

#define STOP   0x100000 /* a store here ends the run */
#define DEVICE 0x200000 /* registers that count how often they are used */

/* Save areas: t0..t3 at 0, then these, then the record. */
#define SAVE_LEFT   32 /* traps until the run ends by itself */
#define SAVE_COUNT  40 /* traps so far */
#define SAVE_SUM    48 /* of all records, also those overwritten */
#define SAVE_WINDOW 56 /* distance from the S to the U window */
#define SAVE_SATP   64 /* satp of one space ^ that of the other */
#define SAVE_END    72 /* minstret at the end */
#define SAVE_RECORD 256
#define RECORDS     128 /* of 64 bytes: cause, epc, tval, minstret, status, ra, a0, sp */

/* ecall with a7 = SERVICE | privilege | SERVICE_SPACE | SERVICE_FENCE */
#define SERVICE       0x5e0000
#define SERVICE_SPACE 4
#define SERVICE_FENCE 8
