import { existsSync, readFileSync } from 'node:fs';
import { defaultLimits } from '../../../domain/plugin/manifest.ts';
import type { Clock } from '../../../src/clock.ts';
import { openSandboxProcess } from '../../../src/plugin/sandbox/process/open.ts';
import type { Guest, Program } from '../../../src/plugin/sandbox/sandbox.ts';
import { openSandbox } from '../../../src/plugin/sandbox/supervisor.ts';
import { quiet } from '../../registry/support.ts';
import { programOf } from './simulated-processes.ts';
import { noTrusted, recordingHost } from './world.ts';

/** Answers with what it is given. Everything else it does when told to. */
export const code = `
  export const initialize = ({ hooks }) => {
    hooks.register('before_publish', (input) => {
      if (input.do === 'never') return new Promise(() => {});
      if (input.do === 'spin') for (;;);
      if (input.do === 'abort') return 'a'.repeat(2e8).split('').length;
      if (input.do === 'fill') { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }
      return { change: { payload: input.payload } };
    });
  };
`;

const limits = { ...defaultLimits, cpuMsPerCall: 10_000 };

/** Its `initialize` does not come to an end. */
export const endless = 'export const initialize = () => new Promise(() => {});';

export const openReal = (clock?: Clock) => {
  const sandbox = openSandbox({
    isolation: 'auto',
    openProcess: openSandboxProcess,
    trusted: noTrusted,
    logger: quiet,
    ...(clock === undefined ? {} : { clock }),
  });
  const start = async (name: string, changes: Partial<Program> = {}) => {
    const recorded = recordingHost();
    const started = await sandbox.start(programOf(name, { code, limits, ...changes }), recorded.host);
    if (!started.ok) throw new Error(`${name}: ${started.death.reason}`);
    return { ...recorded, guest: started.guest, name };
  };
  return { sandbox, start };
};

export type Running = Awaited<ReturnType<ReturnType<typeof openReal>['start']>>;

export const pid = (guest: Guest): number => guest.metrics().pid ?? 0;

export const ask = (guest: Guest, what = 'echo', timeoutMs = 20_000) =>
  guest.call('hook:before_publish', { do: what, payload: guest.program.name }, timeoutMs);

/** True of a process that runs: a zombie has ended. */
export const runs = (of: number): boolean => {
  const path = `/proc/${of}/stat`;
  try {
    return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, 'utf8'));
  } catch {
    return false;
  }
};
