import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The distribution's own: what stands first in PATH may be another, without its packages. */
const python = '/usr/bin/python3';
const program = join(import.meta.dirname, '../bus/fixtures/zeromq-client.py');

export const pythonZmqInstalled = spawnSync(python, ['-c', 'import zmq']).status === 0;

export type PythonClient = {
  /** One request at a time, see the program. */
  ask(request: object): Promise<Readonly<Record<string, unknown>>>;
  /** Resolves with its exit code. */
  close(): Promise<unknown>;
};

export const startPythonClient = (): PythonClient => {
  const child = spawn(python, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  return {
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the Python client has ended');
      return JSON.parse(value) as Readonly<Record<string, unknown>>;
    },
    close: async () => {
      child.stdin.end();
      const [code] = await exited;
      return code;
    },
  };
};
