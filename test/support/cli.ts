import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { runCommand } from '../../src/cli/cli.ts';

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

const main = join(import.meta.dirname, '../../bin/nexus.js');

/** `nexus ARGS` as a process of its own, in `folder`, with nothing of this one's environment that bears on it. */
export const startNexus = (
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
) => {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...(PATH === undefined ? {} : { PATH }), ...(HOME === undefined ? {} : { HOME }), ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(
    ([code]: unknown[]): Ran => ({ code: Number(code), stdout, stderr }),
  );
  return { child, ended, stdout: () => stdout };
};

export const nexus = (
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> => startNexus(args, folder, env).ended;

/** The same in this process, which spares its start. */
export const runHere = async (
  [name, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> => {
  const texts = { stdout: '', stderr: '' };
  const sink = (part: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        texts[part] += chunk.toString();
        done();
      },
    });
  const code = await runCommand(name, args, { stdout: sink('stdout'), stderr: sink('stderr'), env });
  return { code, ...texts };
};
