import type { ServerResponse } from 'node:http';
import { rest } from './limits/work.ts';

/** A reader that takes nothing for so long is gone, whatever TCP says. */
export const drainLimitMs = 60_000;
/** Small pieces are written together up to this many characters. */
const pieceLength = 32_768;

export type Sink = {
  /**
   * Takes `text`, and resolves when more may come: at once while the reader keeps up. False once the reader is gone
   * or takes nothing for `limitMs`; its connection is then cut.
   */
  write(text: string): boolean | Promise<boolean>;
  /** Hands on what `write` still holds together. */
  flush(): boolean | Promise<boolean>;
};

/** Writes to `response` no faster than it is read: what a slow reader has not taken is `pieceLength` and a socket's buffer. */
export const createSink = (response: ServerResponse, limitMs: number = drainLimitMs): Sink => {
  rest(response.req);
  let held = '';
  const flush = (): boolean | Promise<boolean> => {
    if (response.destroyed) return false;
    if (held === '') return true;
    const text = held;
    held = '';
    return response.write(text) || drained(response, limitMs);
  };
  return {
    write: (text) => {
      held += text;
      return held.length < pieceLength ? !response.destroyed : flush();
    },
    flush,
  };
};

const drained = (response: ServerResponse, limitMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const settle = (open: boolean): void => {
      clearTimeout(timer);
      response.off('drain', onDrain);
      response.off('close', onClose);
      resolve(open);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const timer = setTimeout(() => response.destroy(), limitMs);
    response.on('drain', onDrain);
    response.on('close', onClose);
  });
