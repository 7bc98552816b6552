import test from 'ava';
import { openHub } from '../../support/hub.ts';
import { isLong } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { type Arena, type Host, openArena } from './arena.ts';
import type { HostilePlugin } from './hostile-plugin.ts';
import { judge } from './judge.ts';
import type { Ground } from './offer.ts';
import { createTurns } from './turns.ts';

/** Those that end no process attack side by side. */
const atOnce = 6;

const isAlone = ({ fate }: HostilePlugin): boolean =>
  fate.end === 'falls' || fate.end === 'either' || (fate.end === 'refused' && fate.child !== 'stays');

/** In this process. */
const startHub = async ({ pluginDir }: Ground): Promise<Host> => {
  const hub = await openHub({ pluginDir, pluginTrust: ['far=low'] });
  return { url: hub.url, pid: process.pid, logged: () => hub.logged, close: hub.close };
};

/**
 * One test for each, on one hub; and one at the end, of what all of them have left behind.
 *
 * @param oneIn in the short form every so manieth attacks: kinds stand together, so that each is there.
 */
export const attackWith = (all: readonly HostilePlugin[], oneIn = 1): void => {
  const plugins = isLong ? all : all.filter(({ long }, index) => long !== true && index % oneIn === 0);
  let arena: Arena;
  const turns = createTurns(atOnce);
  const done: Promise<void>[] = [];
  let processes: number;
  test.before('a hub with two witnesses is opened', async () => {
    arena = await openArena(startHub);
    processes = arena.children().length;
  });
  test.after.always('the hub is closed', () => arena.close());

  for (const plugin of plugins) {
    test(`${plugin.name} › ${plugin.attack}`, async (t) => {
      t.timeout(300_000);
      const turn = async (): Promise<void> => {
        const happened = await arena.attack(plugin);
        t.deepEqual([...judge(plugin, happened), ...(await arena.harm())], [], JSON.stringify(happened));
      };
      const over = isAlone(plugin) ? turns.alone(turn) : turns.shared(turn);
      done.push(over.catch(() => undefined));
      await over;
    });
  }

  test('nothing is left of any of them', async (t) => {
    t.timeout(300_000);
    await Promise.all(done);
    t.deepEqual(await arena.traces(plugins), []);
    // One that holds no plugin any more ends some seconds later; where one has died another stands by.
    await until(() => arena.children().length <= processes + 1);
    t.true(arena.children().length >= processes);
  });
};
