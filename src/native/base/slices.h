/* How soon the calling thread runs after it wakes, on processors that others keep busy. */
#ifndef PYLOG_BASE_SLICES_H
#define PYLOG_BASE_SLICES_H

/* Asks for short slices of the processor: who has them is let in soon after it wakes, though others
 * compute (Linux 6.12); its share stays the same. A system that refuses it is only less prompt. */
void pl_take_short_slices(void);

#endif
