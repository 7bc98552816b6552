import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { esdbFor, folderFor } from './open-world.ts';

const child = join(import.meta.dirname, 'close-child.ts');

const leavesNothing = async (t: ExecutionContext, url: string): Promise<void> => {
  const { stdout } = await promisify(execFile)(process.execPath, [child, url]);
  t.deepEqual(JSON.parse(stdout), []);
};

test('a closed embedded log keeps no process alive', async (t) =>
  leavesNothing(t, `file:${await folderFor(t)}`));

test('a closed Redis log keeps no process alive', async (t) => {
  const server = await redisForTest(t);
  if (server !== undefined) await leavesNothing(t, server.url);
});

test('a closed EventStoreDB log keeps no process alive', async (t) =>
  leavesNothing(t, (await esdbFor(t)).url));
