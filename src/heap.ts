import { setFlagsFromString } from 'node:v8';

/** By how much of what is in use the old generation of the heap may grow before it is collected again. */
const growthPercent = 30;

/**
 * Keeps the process small under a load of writes (docs/adr/0035-heap-growth.md): what a write makes outlives the young
 * generation and is garbage soon after, and V8 would let up to four times of what is in use pile up first.
 */
export const limitHeapGrowth = (): void => setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
