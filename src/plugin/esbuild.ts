import { setImmediate as nextTurn } from 'node:timers/promises';

type Esbuild = typeof import('esbuild');

/** esbuild's own process ends when nothing was bundled for so long. */
const idleMs = 10_000;

let users = 0;
let idle: NodeJS.Timeout | undefined;

/** Hands esbuild to `run`. It is loaded at the first use, and its process ends some time after the last. */
export const withEsbuild = async <Made>(run: (esbuild: Esbuild) => Promise<Made>): Promise<Made> => {
  users++;
  clearTimeout(idle);
  const esbuild = await import('esbuild');
  try {
    // It was loaded, and its process is forked now: two halts of the hub, between which others have their turn.
    await nextTurn();
    return await run(esbuild);
  } finally {
    users--;
    clearTimeout(idle);
    if (users === 0) {
      idle = setTimeout(() => void esbuild.stop(), idleMs);
      idle.unref();
    }
  }
};
