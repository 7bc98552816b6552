import { defaultLimits } from '../../../domain/plugin/manifest.ts';
import type {
  Loaded,
  OpenSandboxProcess,
  ProcessExit,
  ProcessGuest,
  SandboxProcess,
} from '../../../src/plugin/sandbox/process.ts';
import type { Death, Program } from '../../../src/plugin/sandbox/sandbox.ts';

export const programOf = (name: string, changes: Partial<Program> = {}): Program => ({
  name,
  version: '1.0.0',
  code: '',
  config: null,
  limits: defaultLimits,
  trust: 'normal',
  alone: false,
  ...changes,
});

export type SimulatedProcess = SandboxProcess & {
  readonly names: () => readonly string[];
  readonly jitless: boolean;
  alive(): boolean;
  /** Ends as if of itself. */
  die(exit: Partial<ProcessExit>): void;
  /** One guest of it ends alone. */
  dispose(name: string, death: Death): void;
  /** What the guest would say of its own accord, also when it is no longer there. */
  readonly hosts: ReadonlyMap<string, Parameters<SandboxProcess['load']>[1]>;
};

/**
 * Processes that keep the contract of src/plugin/sandbox/process.ts and do only what a test tells them to, so that thousands
 * of deaths can be gone through in every order.
 */
export const simulateProcesses = (
  /** Loads answer when the test resolves what this returns. */
  loading: (name: string) => Promise<Death | undefined> = () => Promise.resolve(undefined),
) => {
  const processes: SimulatedProcess[] = [];
  let refusal: Error | undefined;

  const open: OpenSandboxProcess = async ({ jitless }) => {
    await Promise.resolve();
    if (refusal !== undefined) throw refusal;
    const exited = Promise.withResolvers<ProcessExit>();
    const guests = new Map<string, (death: Death | null) => void>();
    const loads = new Map<string, () => void>();
    const hosts = new Map<string, Parameters<SandboxProcess['load']>[1]>();
    let alive = true;
    const gone: Death = { cause: 'crash', reason: 'the process has ended', culprit: false };
    const process: SimulatedProcess = {
      pid: processes.length + 1,
      isolation: 'process',
      jitless,
      hosts,
      alive: () => alive,
      names: () => [...guests.keys()],
      async load(program, host): Promise<Loaded> {
        const { name } = program;
        if (guests.has(name) || loads.has(name)) throw new Error(`${name} twice in one process`);
        hosts.set(name, host);
        const cut = Promise.withResolvers<void>();
        loads.set(name, cut.resolve);
        const death = await Promise.race([loading(name), cut.promise.then(() => gone)]);
        loads.delete(name);
        if (!alive) return { ok: false, death: gone };
        if (death !== undefined) return { ok: false, death };
        const ended = Promise.withResolvers<Death | null>();
        guests.set(name, ended.resolve);
        let calls = 0;
        const guest: ProcessGuest = {
          program,
          registered: { hooks: [], resolvers: [] },
          async call(target) {
            calls += 1;
            await Promise.resolve();
            return guests.get(name) === ended.resolve
              ? { ok: true, value: target }
              : { ok: false, fault: 'gone', message: '' };
          },
          metrics: () => ({ heapBytes: 1, cpuMs: 1, calls, wishes: 0, pid: process.pid }),
          async stop() {
            guests.delete(name);
            ended.resolve(null);
          },
          ended: ended.promise,
        };
        return { ok: true, guest };
      },
      count: () => guests.size + loads.size,
      rssBytes: () => 0,
      kill: (reason) => process.die({ cause: 'closed', reason }),
      async close() {
        process.die({ cause: 'closed', reason: 'closed' });
      },
      die(exit) {
        if (!alive) return;
        alive = false;
        exited.resolve({ cause: 'crash', reason: 'it died', culprits: [], running: [], ...exit });
        for (const end of guests.values()) end(gone);
        for (const cut of loads.values()) cut();
        guests.clear();
      },
      dispose(name, death) {
        guests.get(name)?.(death);
        guests.delete(name);
      },
      exited: exited.promise,
    };
    processes.push(process);
    return process;
  };

  return {
    open,
    processes,
    alive: () => processes.filter((process) => process.alive()),
    /** @returns the process that holds the plugin; of several versions of it, the first. */
    of: (name: string) => processes.find((process) => process.alive() && process.names().includes(name)),
    refuse(error: Error | undefined) {
      refusal = error;
    },
  };
};
