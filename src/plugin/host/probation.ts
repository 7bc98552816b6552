import type { Clock } from '../../clock.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';

/** The first minute of a version that has replaced another one. */
export type Probation = {
  answered(answer: CallAnswer): void;
  /** A call was answered with something that could not be used. */
  unusable(): void;
  end(): void;
};

const probationMs = 60_000;
const minCalls = 20;
/** Of its calls, beyond the share of the version before. */
const allowedShare = 0.2;

const own: ReadonlySet<string> = new Set(['threw', 'timeout', 'cpu', 'no_handler', 'too_large']);

/**
 * @param shareBefore of the calls of the version before that failed in its last minute, 0 … 1.
 * @param onWorse called once, with the reason.
 */
export const createProbation = (
  clock: Clock,
  shareBefore: number,
  onOver: () => void,
  onWorse: (reason: string) => void,
): Probation => {
  let calls = 0;
  let failures = 0;
  let over = false;
  const cancel = clock.after(probationMs, () => {
    over = true;
    onOver();
  });

  const judge = (): void => {
    if (over || calls < minCalls || failures / calls <= shareBefore + allowedShare) return;
    over = true;
    cancel();
    const percent = (share: number): number => Math.round(share * 100);
    onWorse(
      `${failures} of its first ${calls} calls failed (${percent(failures / calls)} %, before ${percent(shareBefore)} %)`,
    );
  };

  return {
    answered(answer) {
      if (over) return;
      if (!answer.ok && !own.has(answer.fault)) return;
      calls += 1;
      if (answer.ok) return;
      failures += 1;
      judge();
    },
    unusable() {
      failures += 1;
      judge();
    },
    end() {
      over = true;
      cancel();
    },
  };
};
