import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Death, GuestHost, Sandbox } from '../../../src/plugin/sandbox/sandbox.ts';
import { openSandbox } from '../../../src/plugin/sandbox/supervisor.ts';
import { createTestClock, quiet } from '../../registry/support.ts';
import { programOf, simulateProcesses } from './simulated-processes.ts';

export const noTrusted: Sandbox = {
  start: () =>
    Promise.resolve({ ok: false, death: { cause: 'initialize', reason: 'none here', culprit: true } }),
  close: () => Promise.resolve(),
};

/** What one host was told, in its order. */
export const recordingHost = () => {
  const told: string[] = [];
  const deaths: Death[] = [];
  const onDown = { run: () => {} };
  const host: GuestHost = {
    wish: () => {
      told.push('wish');
      return Promise.resolve({ ok: true, value: null });
    },
    log: () => {},
    limited: () => {},
    down(death) {
      told.push('down');
      deaths.push(death);
      onDown.run();
    },
    ready: () => told.push('ready'),
    ended(death) {
      told.push('ended');
      deaths.push(death);
    },
  };
  return { host, told, deaths, onDown };
};

export const settled = async () => {
  for (let turn = 0; turn < 8; turn += 1) await nextTurn();
};

export const world = (...args: Parameters<typeof simulateProcesses>) => {
  const clock = createTestClock();
  const simulated = simulateProcesses(...args);
  const sandbox = openSandbox({
    isolation: 'process',
    openProcess: simulated.open,
    trusted: noTrusted,
    logger: quiet,
    clock,
  });
  const start = async (name: string, changes: Parameters<typeof programOf>[1] = {}) => {
    const recorded = recordingHost();
    const started = await sandbox.start(programOf(name, changes), recorded.host);
    if (!started.ok) throw new Error(started.death.reason);
    return { ...recorded, guest: started.guest, name };
  };
  return { clock, simulated, sandbox, start };
};
