import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Position } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { projections } from '../../projections/index.ts';
import { LogError } from '../../src/log/event-log.ts';
import { ReadModelDamaged } from '../../src/projection/read-store.ts';
import { temporaryFolder } from './folder.ts';
import { append, appendMixed, newEvent, openLog, run, settled, stateSet } from './world.ts';

const folders = (directory: string): readonly string[] => readdirSync(directory).sort();

test('read models that were folded live, in pieces and across restarts are those of a rebuild', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  const hashes: string[] = [];
  for (let round = 0; round < 3; round++) {
    const running = await run(log, directory);
    for (let piece = 0; piece < 5; piece++) await appendMixed(log, 1 + 173 * piece, round * 10_000 + piece);
    await settled(running, log);
    hashes.push(await running.runner.contentHash());
    if (round === 2) {
      await running.runner.rebuild();
      hashes.push(await running.runner.contentHash());
    }
    await running.close();
  }
  const anew = await run(log, temporaryFolder(t));
  await settled(anew, log);
  hashes.push(await anew.runner.contentHash());
  await anew.close();
  const [first, , live, rebuilt, fresh] = hashes;
  t.is(live, rebuilt);
  t.is(live, fresh);
  t.not(first, live);
});

test('a restart goes on behind its checkpoint: nothing is folded again, and it serves at once', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  const first = await run(log, directory);
  await append(log, 'state-a', stateSet(1));
  await append(log, 'state-a', stateSet(2));
  await settled(first, log);
  await first.runner.contentHash();
  await first.close();
  const places: Position[] = [];
  const held = Promise.withResolvers<void>();
  const slow = {
    ...log,
    position: async () => {
      await held.promise;
      return log.position();
    },
  };
  const second = await run(log, directory, { log: slow });
  t.true(second.runner.ready);
  t.deepEqual(second.runner.store.read<StateDocument>('state', 'a')?.value, 2);
  second.runner.onFolded((_changes, position) => places.push(position));
  const added = await append(log, 'state-a', stateSet(3));
  held.resolve();
  await settled(second, log);
  t.deepEqual(
    places,
    added.events.map(({ position }) => position),
  );
  await second.close();
});

test('an event can be read as soon as reached says so, and reached says no when the time is over', async (t) => {
  const log = await openLog(t, temporaryFolder(t));
  const running = await run(log, temporaryFolder(t));
  const { runner } = running;
  for (let n = 1; n <= 50; n++) {
    const { events } = await append(log, 'state-a', stateSet(n));
    const position = events[0]?.position ?? log.start;
    t.true(await runner.reached(position, 5_000));
    t.is(runner.store.read<StateDocument>('state', 'a')?.value, n);
    t.true(runner.position >= position);
  }
  const beyond = 'f'.repeat(16) as Position;
  t.false(await runner.reached(beyond, 1));
  const pending = runner.reached(beyond, 60_000);
  await running.close();
  t.false(await pending);
});

test('an event that a projection cannot fold parks its stream there, and everything else goes on', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  const lines: string[] = [];
  const logger = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (facts: object, message: string) => lines.push(`${message} ${JSON.stringify(facts)}`),
  };
  const first = await run(log, directory, { logger });
  await append(log, 'state-a', stateSet(1));
  const bad = await append(log, 'state-a', newEvent('StateSet', { nonsense: true }));
  await append(log, 'state-a', stateSet(3));
  await append(log, 'state-b', stateSet('fine'));
  await append(log, 'state-c', newEvent('FromTheFuture', {}));
  await append(log, 'state-c', stateSet('fine too'));
  await settled(first, log);
  const check = ({ runner }: typeof first) => {
    t.is(runner.store.read<StateDocument>('state', 'a')?.value, 1);
    t.is(runner.store.read<StateDocument>('state', 'b')?.value, 'fine');
    t.is(runner.store.read<StateDocument>('state', 'c')?.value, 'fine too');
    const parked = runner.parked();
    // Both models of the category: each for itself.
    t.deepEqual(
      parked.map(({ projection }) => projection),
      ['expiring', 'state'],
    );
    t.like(parked[1], {
      stream: 'state-a',
      position: bad.events[0]?.position,
      type: 'StateSet',
    });
  };
  check(first);
  t.is(lines.filter((line) => line.includes('state-a')).length, 2);
  await first.close();
  const second = await run(log, directory);
  await append(log, 'state-a', stateSet(4));
  await settled(second, log);
  check(second);
  await second.close();
});

test('a raised version of a projection rebuilds the read models', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await appendMixed(log, 500);
  const first = await run(log, directory);
  await settled(first, log);
  const hash = await first.runner.contentHash();
  await first.close();
  t.deepEqual(folders(directory), ['generation-1']);

  const raised = projections.map((projection) =>
    projection.name === 'state' ? { ...projection, version: projection.version + 1 } : projection,
  );
  const second = await run(log, directory, { projections: raised });
  await settled(second, log);
  t.is(await second.runner.contentHash(), hash);
  t.deepEqual(folders(directory), ['generation-2']);
  await second.close();
  // The control: the same versions again keep the generation.
  const third = await run(log, directory, { projections: raised });
  await settled(third, log);
  t.deepEqual(folders(directory), ['generation-2']);
  await third.close();
});

test('read models of another log, or of a log that has lost its end, are not served', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await append(log, 'state-a', stateSet('old'));
  await append(log, 'state-a', stateSet('old'));
  const first = await run(log, directory);
  await settled(first, log);
  await first.close();

  const other = await openLog(t, temporaryFolder(t));
  await append(other, 'state-b', stateSet('new'));
  const second = await run(other, directory, { logId: 'log-2' });
  await settled(second, other);
  t.is(second.runner.store.read('state', 'a'), undefined);
  t.is(second.runner.store.read<StateDocument>('state', 'b')?.value, 'new');
  await second.close();

  for (const [title, streams] of [
    ['shorter', ['state-c']],
    ['as long, with other events', ['state-c', 'state-c']],
    ['longer, with other events', ['state-b', 'state-c', 'state-c', 'state-c']],
  ] as const) {
    const folder = temporaryFolder(t);
    const before = await run(log, folder);
    await settled(before, log);
    await before.close();
    // The same identity, another past: what a back end leaves that lost its newest events.
    const lost = await openLog(t, temporaryFolder(t));
    for (const stream of streams) await append(lost, stream, stateSet(title));
    const after = await run(lost, folder);
    while (!after.runner.ready || after.runner.store.read('state', 'c') === undefined) {
      await new Promise(setImmediate);
    }
    t.is(after.runner.store.read('state', 'a'), undefined, title);
    await after.close();
  }
});

const damageAll = (directory: string, marker: string): void => {
  for (const folder of folders(directory)) {
    const file = join(directory, folder, 'read-models.mdb');
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at)) bytes.writeUInt8(42, at);
    writeFileSync(file, bytes);
  }
};

test('a damaged document is told to its reader once, and then rebuilt from the log', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await append(log, 'state-a', stateSet('precious-marker'));
  await append(log, 'state-b', stateSet('b'));
  const first = await run(log, directory);
  await settled(first, log);
  const hash = await first.runner.contentHash();
  await first.close();
  damageAll(directory, 'precious-marker');

  const second = await run(log, directory);
  await settled(second, log);
  t.throws(() => second.runner.store.read('state', 'a'), { instanceOf: ReadModelDamaged });
  t.is(second.runner.status, 'rebuilding');
  t.true(second.runner.ready);
  t.is(second.runner.store.read<StateDocument>('state', 'b')?.value, 'b');
  await second.runner.rebuild();
  t.is(second.runner.store.read<StateDocument>('state', 'a')?.value, 'precious-marker');
  t.is(await second.runner.contentHash(), hash);
  t.is(second.runner.status, 'live');
  await second.close();
  t.deepEqual(folders(directory), ['generation-2']);
});

test('a damaged document that the fold itself meets is rebuilt too', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await append(log, 'state-a', stateSet('precious-marker'));
  const first = await run(log, directory);
  await settled(first, log);
  await first.close();
  damageAll(directory, 'precious-marker');
  await append(log, 'state-a', stateSet('next'));
  const second = await run(log, directory);
  await settled(second, log);
  t.is(second.runner.store.read<StateDocument>('state', 'a')?.value, 'next');
  t.is([...second.runner.store.history('state', 'a')].length, 2);
  await second.close();
});

test('a file that is no database is replaced', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await appendMixed(log, 100);
  const first = await run(log, directory);
  await settled(first, log);
  const hash = await first.runner.contentHash();
  await first.close();
  writeFileSync(join(directory, 'generation-1', 'read-models.mdb'), 'x'.repeat(50_000));
  const second = await run(log, directory);
  await settled(second, log);
  t.is(await second.runner.contentHash(), hash);
  await second.close();
});

test('while the operator rebuilds the old read models serve and go on, and position never falls', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await appendMixed(log, 3_000);
  const running = await run(log, directory);
  const { runner } = running;
  await settled(running, log);
  const rebuilding = runner.rebuild();
  t.is(runner.rebuild(), rebuilding);
  t.is(runner.status, 'rebuilding');
  let newest = runner.position;
  let done = false;
  const over = rebuilding.then(() => {
    done = true;
  });
  for (let n = 0; !done || n < 50; n++) {
    const { events } = await append(log, 'state-live', stateSet(n));
    t.true(await runner.reached(events[0]?.position ?? log.start, 10_000));
    t.true(runner.position >= newest);
    newest = runner.position;
    t.is(runner.store.read<StateDocument>('state', 'live')?.value, n);
  }
  await over;
  await settled(running, log);
  const hash = await runner.contentHash();
  await running.close();
  t.deepEqual(folders(directory), ['generation-2']);
  rmSync(directory, { recursive: true });
  const anew = await run(log, directory);
  await settled(anew, log);
  t.is(await anew.runner.contentHash(), hash);
  await anew.close();
});

test('with the log out of reach the runner serves what it has, and goes on when it is back', async (t) => {
  const directory = temporaryFolder(t);
  const log = await openLog(t, temporaryFolder(t));
  await append(log, 'state-a', stateSet(1));
  const first = await run(log, directory);
  await settled(first, log);
  await first.close();
  let cut = true;
  const check = () => {
    if (cut) throw new LogError('log_unavailable', 'the line is cut');
  };
  const line: typeof log = {
    ...log,
    position: async () => {
      check();
      return log.position();
    },
    readAll: async (options) => {
      check();
      return log.readAll(options);
    },
    readStream: async (stream, options) => {
      check();
      return log.readStream(stream, options);
    },
    async *watch(options) {
      check();
      yield* log.watch(options);
    },
  };
  const second = await run(line, directory);
  const { runner } = second;
  t.true(runner.ready);
  t.is(runner.status, 'behind');
  t.is(runner.store.read<StateDocument>('state', 'a')?.value, 1);
  const { events } = await append(log, 'state-a', stateSet(2));
  cut = false;
  t.true(await runner.reached(events[0]?.position ?? log.start, 20_000));
  t.is(runner.store.read<StateDocument>('state', 'a')?.value, 2);
  await second.close();
});

test('a listener gets each change once and in order, and none after it was taken away', async (t) => {
  const log = await openLog(t, temporaryFolder(t));
  const running = await run(log, temporaryFolder(t));
  const values: unknown[] = [];
  const stop = running.runner.onFolded((changes) => {
    for (const { document } of changes) values.push((document as StateDocument).value);
  });
  for (let n = 0; n < 20; n++) await append(log, 'state-a', stateSet(n));
  await settled(running, log);
  stop();
  await append(log, 'state-a', stateSet('unheard'));
  await settled(running, log);
  t.deepEqual(
    values,
    Array.from({ length: 20 }, (_, n) => n),
  );
  await running.close();
});
