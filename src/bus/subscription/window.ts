/** How many entries, and bytes of them, a source has handed over that still count against it. */
export type Window = {
  add(bytes: number): void;
  remove(bytes: number): void;
  readonly full: boolean;
  /** Resolves once there is room, or `close` was called. */
  room(): Promise<void>;
  close(): void;
};

/** One waiter at a time. A single entry that is larger than `maxBytes` still finds room. */
export const createWindow = (maxEntries: number, maxBytes: number): Window => {
  let entries = 0;
  let bytes = 0;
  let closed = false;
  let waiting: PromiseWithResolvers<void> | undefined;

  const isFull = (): boolean => entries >= maxEntries || bytes >= maxBytes;
  const wake = (): void => {
    waiting?.resolve();
    waiting = undefined;
  };

  return {
    add(more) {
      entries++;
      bytes += more;
    },
    remove(less) {
      entries--;
      bytes -= less;
      // With hysteresis, so that a source reads pages rather than single messages.
      if (waiting !== undefined && entries <= maxEntries / 2 && bytes <= maxBytes / 2) wake();
    },
    get full() {
      return isFull();
    },
    room() {
      if (closed || !isFull()) return Promise.resolve();
      waiting ??= Promise.withResolvers();
      return waiting.promise;
    },
    close() {
      closed = true;
      wake();
    },
  };
};
