import { maxTimers, minTimerMs } from '../guest/timers.ts';

/** The clocks of one plugin's timers: what they do stands in the isolate. */
export type CellTimers = {
  set(id: number, ms: number, again: boolean): void;
  clear(id: number): void;
  clearAll(): void;
};

/**
 * @param fire ends when the isolate has run it: an interval goes on then, so that none piles up.
 * @param waitMs how long the plugin has to wait since it used the processor too much; 0: not at all.
 */
export const createCellTimers = (fire: (id: number) => Promise<void>, waitMs: () => number): CellTimers => {
  const handles = new Map<number, NodeJS.Timeout>();
  const arm = (id: number, ms: number, again: boolean): void => {
    handles.set(
      id,
      setTimeout(async () => {
        const wait = waitMs();
        if (wait > 0) return arm(id, wait, again);
        if (!again) handles.delete(id);
        await fire(id);
        if (again && handles.has(id)) arm(id, ms, again);
      }, ms),
    );
  };
  const clear = (id: number): void => {
    clearTimeout(handles.get(id));
    handles.delete(id);
  };
  return {
    set(id, ms, again) {
      clear(id);
      if (handles.size < maxTimers) arm(id, Math.max(ms, minTimerMs), again);
    },
    clear,
    clearAll() {
      for (const id of [...handles.keys()]) clear(id);
    },
  };
};
