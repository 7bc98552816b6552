import type ivm from 'isolated-vm';

/** What an isolate is looked at for while something runs in it: V8 does not end all that should have ended. */
export type Watch = {
  began(): void;
  ended(): void;
  /** Entries that have begun and not ended. */
  running(): number;
  cpuMs(): number;
  /** Why the whole process has to go, if it has to. */
  stuck(): { readonly cause: 'cpu' | 'memory'; readonly reason: string } | undefined;
};

/** An isolate that was disposed of ends what it runs within this much processor time (of the process), or never. */
const disposalCpuMs = 400;
/** Beyond the time after which the isolate should have ended its entry. */
const cpuGraceMs = 250;

const processCpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

export const createWatch = (isolate: ivm.Isolate, entryMs: () => number): Watch => {
  let count = 0;
  let lastCpuMs = 0;
  let cpuAtProgressMs = 0;
  let cpuAtDisposalMs: number | undefined;
  const cpuMs = (): number => {
    if (!isolate.isDisposed) lastCpuMs = Number(isolate.cpuTime) / 1e6;
    return lastCpuMs;
  };
  return {
    began() {
      if (count++ === 0) cpuAtProgressMs = cpuMs();
    },
    ended() {
      count--;
      cpuAtProgressMs = cpuMs();
    },
    running: () => count,
    cpuMs,
    stuck() {
      if (count === 0) return undefined;
      if (isolate.isDisposed) {
        cpuAtDisposalMs ??= processCpuMs();
        if (processCpuMs() - cpuAtDisposalMs < disposalCpuMs) return undefined;
        return { cause: 'memory', reason: 'it went beyond its memory and could not be ended' };
      }
      const usedMs = cpuMs() - cpuAtProgressMs;
      if (usedMs < entryMs() + cpuGraceMs) return undefined;
      return { cause: 'cpu', reason: `it used ${Math.round(usedMs)} ms of processor and could not be ended` };
    },
  };
};
