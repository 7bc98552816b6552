import type { Limits } from './limits.ts';

/** How many entries the next page asks for, so that pages of plain XRANGE and XREAD stay near the limit in bytes. */
export type Pacer = {
  next(): number;
  saw(entries: number, bytes: number): void;
};

const firstPage = 64;

export const createPacer = (page: Limits['page']): Pacer => {
  let count = Math.min(firstPage, page.events);
  return {
    next: () => count,
    saw: (entries, bytes) => {
      if (entries === 0) return;
      const fitting = Math.max(1, Math.floor((page.bytes * entries) / Math.max(1, bytes)));
      count = Math.min(fitting, count * 4, page.events);
    },
  };
};
