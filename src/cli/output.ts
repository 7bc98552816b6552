import { once } from 'node:events';
import { steadyNow } from '../clock.ts';

/** What a command runs in: the process, or a test. */
export type Surroundings = {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** What a command tells: results on stdout, how far it is on a terminal's stderr. */
export type Output = {
  /** Resolves when more may come: a reader that is slow is waited for. */
  line(text: string): Promise<void>;
  /** The same, as it is. */
  write(bytes: Buffer | string): Promise<void>;
  /** How far the work is; shown where stderr is a terminal and the work takes more than a second. */
  progress(text: string): void;
  /** Takes the progress away again. */
  endProgress(): void;
};

const firstAfterMs = 1_000;
const everyMs = 200;

export const createOutput = ({ stdout, stderr }: Surroundings): Output => {
  const begunAtMs = steadyNow();
  let shownAtMs = Number.NEGATIVE_INFINITY;
  let shown = false;
  const endProgress = (): void => {
    if (shown) stderr.write('\r\u001b[K');
    shown = false;
  };
  const write = async (bytes: Buffer | string): Promise<void> => {
    endProgress();
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  };
  return {
    write,
    line: (text) => write(`${text}\n`),
    progress(text) {
      const nowMs = steadyNow();
      if (stderr.isTTY !== true || nowMs - begunAtMs < firstAfterMs || nowMs - shownAtMs < everyMs) return;
      shownAtMs = nowMs;
      shown = true;
      stderr.write(`\r\u001b[K${text}`);
    },
    endProgress,
  };
};
