import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';

export type InstanceProcess = { readonly id: string; port: number; child: ChildProcess };

/** @param port the one that it had before; 0 for any. */
export const startInstance = async (id: string, port = 0): Promise<InstanceProcess> => {
  const script = join(import.meta.dirname, 'invoke-instance.ts');
  const child = spawn(process.execPath, [script, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line]: unknown[] = await once(createInterface({ input: child.stdout }), 'line');
  return { id, port: Number(line), child };
};

export const kill = async ({ child }: InstanceProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
};

export type CallEnd = { readonly ok: boolean; readonly instance: string; readonly text: string };

export type CallLoad = {
  /** Of the calls that have ended, in the order in which they did. */
  readonly ends: readonly CallEnd[];
  /** Ends what runs, and resolves when all has been answered. */
  stop(): Promise<void>;
};

/** Calls at a fixed rate: a call that takes long holds up none behind it. */
export const startLoad = (url: string, service: string, body: object, perSec: number): CallLoad => {
  const agent = new Agent({ connections: 256, headersTimeout: 60_000 });
  const ends: CallEnd[] = [];
  const running = new Set<Promise<void>>();
  let stopped = false;
  const text = JSON.stringify(body);

  const call = async (): Promise<void> => {
    try {
      const answer = await agent.request({
        origin: url,
        path: `/services/${service}/invoke`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: text,
      });
      const instance = String(answer.headers['x-nexus-instance']);
      ends.push({ ok: answer.statusCode === 200, instance, text: await answer.body.text() });
    } catch (error) {
      ends.push({ ok: false, instance: '', text: String(error) });
    }
  };
  const pace = async (): Promise<void> => {
    const startedMs = performance.now();
    for (let sent = 0; !stopped; await delay(5)) {
      for (const due = ((performance.now() - startedMs) / 1_000) * perSec; sent < due; sent++) {
        const made: Promise<void> = call().finally(() => running.delete(made));
        running.add(made);
      }
    }
  };
  const pacing = pace();
  return {
    ends,
    stop: async () => {
      if (stopped) return;
      stopped = true;
      await pacing;
      await Promise.all(running);
      await agent.close();
    },
  };
};
