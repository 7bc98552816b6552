import { setFlagsFromString } from 'node:v8';

/** By how much of what is in use the old generation of the heap may grow before it is collected again. */
const growthPercent = 30;

/** What can be said on the command line alone: MiB of each half of the young generation. */
export const heapFlag = '--max-semi-space-size=16';

/**
 * Keeps the process small under a load of writes (docs/adr/0035-heap-growth.md): what a write makes outlives the young
 * generation and is garbage soon after, and V8 would let up to four times of what is in use pile up first.
 */
export const limitHeapGrowth = (): void => setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
