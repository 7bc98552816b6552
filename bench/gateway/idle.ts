import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PartOptions } from '../bus/part.ts';
import { hubFolder } from '../state/ways.ts';
import { startHub } from '../support/hub.ts';
import { print } from '../support/measure.ts';
import { memoryOf, type Running, startProcess } from '../support/process.ts';

const count = 10_000;
/** Longer than two collections of a hub that does nothing take to come. */
const settleMs = 15_000;

type Server = Running & { readonly url: string };

/** What each of `count` idle WebSockets takes of the server's memory: that behind them without that before. */
const measure = async (server: Server, token: string | undefined): Promise<number> => {
  await delay(settleMs);
  const before = memoryOf(server.pid).ownBytes;
  const client = await startProcess({
    argv: [join(import.meta.dirname, 'idle-sockets.ts'), JSON.stringify({ url: server.url, token, count })],
    cwd: import.meta.dirname,
  });
  await delay(settleMs);
  const after = memoryOf(server.pid).ownBytes;
  await client.close('SIGKILL');
  return (after - before) / count;
};

/** 10,000 WebSockets that say nothing: of the hub, authenticated, and of a bare `ws` server. */
export const benchIdle = async (options: PartOptions): Promise<void> => {
  const { folder, rounds } = options;
  print(`\n${count} idle WebSockets, ${settleMs / 1_000} s after the last was opened`);
  for (let round = 0; round < rounds; round++) {
    const hub = await startHub({
      folder: hubFolder(options, `idle-${round}`),
      authenticated: true,
      env: { NEXUS_MAX_WEB_SOCKETS: String(count + 100) },
    });
    const ours = await measure(hub, hub.token('events:read:>'));
    await hub.close();
    const running = await startProcess({
      argv: [join(import.meta.dirname, '../support/bare-broadcast.ts')],
      cwd: folder,
    });
    const bare = await measure({ ...running, url: `http://127.0.0.1:${running.line}` }, undefined);
    await running.close();
    const kib = (bytes: number): string => (bytes / 1_024).toFixed(1);
    print(`  NEXUS ${kib(ours)} KiB each, a bare ws server ${kib(bare)} KiB`);
  }
};
