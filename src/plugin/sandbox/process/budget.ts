/**
 * What one plugin may say in a second: wishes, lines of log, bytes. The child keeps it to save work, the hub because it
 * believes no child.
 */

export type Spent = 'ok' | 'limited' | 'flood';

export type Budget = {
  wish(bytes: number): Spent;
  log(bytes: number): Spent;
  /** What a wish weighs beyond its bytes. */
  weigh(bytes: number): Spent;
  /** What an answer to a wish weighs: those that follow in the same second are limited by it, and none is a flood for it. */
  answered(bytes: number): void;
  /** What costs the child something and has no limit of its own: timers, random numbers. */
  other(bytes: number): Spent;
};

/** Of one plugin, whatever its limits. */
export const logLinesPerSec = 100;
/** Whoever goes so many times beyond a limit does not mean to keep it. */
const gross = 10;
const othersPerSec = 2_000;
/** Lines beyond are left out, which costs little: many of them are no flood yet. */
const floodLinesPerSec = 5_000;
/** One of the largest messages fits in always. */
const bytesPerSec = (messageBytes: number): number => 16 * messageBytes;

/**
 * @param now ms, never set back.
 * @param slack how much more is let through than the limits say: 1 where it is not looked at again.
 */
export const createBudget = (
  limits: { readonly callsPerSec: number; readonly messageBytes: number },
  now: () => number,
  slack = 1,
): Budget => {
  let since = now();
  let wishes = 0;
  let lines = 0;
  let others = 0;
  let bytes = 0;
  let answeredBytes = 0;
  const turn = (): void => {
    const at = now();
    if (at - since < 1_000) return;
    since = at;
    wishes = lines = others = bytes = answeredBytes = 0;
  };
  const judge = (used: number, max: number, spent = bytes): Spent => {
    const maxBytes = bytesPerSec(limits.messageBytes) * slack;
    if (used > max * slack * gross || bytes > maxBytes * gross) return 'flood';
    return used > max * slack || spent > maxBytes ? 'limited' : 'ok';
  };
  return {
    wish(size) {
      turn();
      bytes += size;
      return judge(++wishes, limits.callsPerSec, bytes + answeredBytes);
    },
    weigh(size) {
      bytes += size;
      return judge(wishes, limits.callsPerSec, bytes + answeredBytes);
    },
    answered(size) {
      turn();
      answeredBytes += size;
    },
    log(size) {
      turn();
      bytes += size;
      const spent = judge(++lines, logLinesPerSec);
      return spent === 'flood' && lines <= floodLinesPerSec * slack ? 'limited' : spent;
    },
    other(size) {
      turn();
      bytes += size;
      return judge(++others, othersPerSec);
    },
  };
};
