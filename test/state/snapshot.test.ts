import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { asPosition, type Position } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import type { StateEntry } from '../../src/nexus-core.ts';
import type { Past, RangeOptions, ReadStore } from '../../src/projection/read-store.ts';
import { readSnapshot } from '../../src/state/read-snapshot.ts';
import { openSnapshots } from '../../src/state/snapshot.ts';
import { writeSnapshot } from '../../src/state/snapshot-file.ts';
import { stateAt } from '../../src/state/state-at.ts';
import { createTestClock, quiet } from '../registry/support.ts';

const at = (number: number): Position => asPosition(number.toString(16).padStart(16, '0'));

/** State keys with their whole history, as the read models answer them. */
const createStates = () => {
  const histories = new Map<string, StateDocument[]>();
  let newest = 0;
  const store: ReadStore & { failing: boolean } = {
    failing: false,
    get checkpoint() {
      return newest === 0 ? undefined : at(newest);
    },
    read: () => undefined,
    *range<Document>(_model: string, options: RangeOptions = {}): Iterable<readonly [string, Document]> {
      if (store.failing) throw new Error('the disk is gone');
      for (const key of [...histories.keys()].sort()) {
        const document = histories.get(key)?.at(-1);
        if (document !== undefined && (options.after === undefined || key > options.after)) {
          yield [key, document as Document];
        }
      }
    },
    history: () => [],
    oldest<Document>(_model: string, key: string): Past<Document> | undefined {
      const document = histories.get(key)?.[0];
      return document && { position: document.position, document: document as Document };
    },
    at<Document>(_model: string, key: string, position: Position): Past<Document> | undefined {
      const document = histories.get(key)?.findLast((past) => past.position <= position);
      return document === undefined
        ? undefined
        : { position: document.position, document: document as Document };
    },
    sampleAt: () => undefined,
    write: async () => {},
    close: async () => {},
  };
  return {
    store,
    put(
      key: string,
      value: StateDocument['value'],
      deleted = false,
      more: Partial<StateDocument> = {},
    ): void {
      const history = histories.get(key) ?? [];
      histories.set(key, history);
      history.push({
        value,
        version: history.length + 1,
        deleted,
        updatedAt: '2030-01-01T00:00:00.000Z',
        updatedBy: 'local',
        eventId: `e${++newest}`,
        position: at(newest),
        ...more,
      });
    },
  };
};

const inFolder = async (run: (file: string, folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-snapshot-'));
  try {
    await run(join(folder, 'state.json'), folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const entriesOf = async (file: string): Promise<readonly StateEntry[]> => {
  const read = await readSnapshot(file);
  if (!read.ok) throw new Error(read.reason);
  const entries: StateEntry[] = [];
  for await (const page of read.snapshot.entries()) entries.push(...page);
  await read.snapshot.close();
  return entries;
};

const options = (file: string, store: ReadStore) => {
  const clock = createTestClock();
  return {
    clock,
    all: {
      file,
      everySec: 300,
      logId: 'log-1',
      node: 'node-1',
      ready: () => true,
      store: () => store,
      logger: quiet,
      clock: clock.now,
      after: clock.after,
    },
  };
};

test('a snapshot holds every key that exists, with its position and the identity of the log', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    put('a', { n: [1, 'ü\n"'] });
    put('gone', 1);
    put('b', null);
    put('gone', null, true);
    put('a', 2);
    const snapshots = openSnapshots(options(file, store).all);
    const saved = await snapshots.save();
    t.like(saved, { ok: true, position: at(5), count: 2 });
    t.is(saved.ok ? saved.bytes : 0, (await stat(file)).size);
    t.like(JSON.parse(await readFile(file, 'utf8')), {
      format: 'nexus-state',
      logId: 'log-1',
      position: at(5),
      count: 2,
    });
    t.deepEqual(
      (await entriesOf(file)).map(({ key, value, version }) => ({ key, value, version })),
      [
        { key: 'a', value: 2, version: 2 },
        { key: 'b', value: null, version: 1 },
      ],
    );
    await snapshots.close();
  });
});

test('keys that change while it is written stand in it as they were at its position', async (t) => {
  const { store, put } = createStates();
  for (let number = 0; number < 1_200; number++) put(`k${String(number).padStart(4, '0')}`, number);
  put('k1100', 'newest');
  const position = at(1_201);
  const entries: StateEntry[] = [];
  for await (const page of stateAt({ store, position, check: () => {} })) {
    if (entries.length === 0) {
      put('k1100', 'too new');
      put('k1101', null, true);
      put('k9999', 'too new');
    }
    entries.push(...page);
  }
  t.is(entries.length, 1_200);
  t.is(entries.find(({ key }) => key === 'k1100')?.value, 'newest');
  t.is(entries.find(({ key }) => key === 'k1101')?.value, 1_101);
});

test('an empty state is a snapshot too', async (t) => {
  await inFolder(async (file) => {
    const snapshots = openSnapshots(options(file, createStates().store).all);
    t.like(await snapshots.save(), { ok: true, position: null, count: 0 });
    t.deepEqual(await entriesOf(file), []);
    await snapshots.close();
  });
});

test('one flipped bit anywhere, or a cut, is refused', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    put('a', 'value');
    const snapshots = openSnapshots(options(file, store).all);
    await snapshots.save();
    await snapshots.close();
    const sound = await readFile(file);
    for (let index = 0; index < sound.length; index++) {
      const damaged = Buffer.from(sound);
      damaged[index] = (damaged[index] ?? 0) ^ 1;
      await writeFile(file, damaged);
      const read = await readSnapshot(file);
      t.false(read.ok, `byte ${index}`);
    }
    for (const length of [0, 1, sound.length - 1, sound.length >> 1]) {
      await writeFile(file, sound.subarray(0, length));
      t.false((await readSnapshot(file)).ok, `length ${length}`);
    }
    await writeFile(file, sound);
    t.is((await entriesOf(file)).length, 1);
    t.false((await readSnapshot(`${file}.none`)).ok);
  });
});

test('a writing that fails leaves the former file and nothing else behind', async (t) => {
  await inFolder(async (file, folder) => {
    const { store, put } = createStates();
    put('a', 1);
    const snapshots = openSnapshots(options(file, store).all);
    await snapshots.save();
    const former = await readFile(file, 'utf8');
    put('a', 2);
    store.failing = true;
    t.deepEqual(await snapshots.save(), { ok: false, reason: 'the disk is gone' });
    t.is(await readFile(file, 'utf8'), former);
    t.deepEqual(await readdir(folder), ['state.json']);
    store.failing = false;
    await snapshots.close();
    t.is((await entriesOf(file))[0]?.value, 2);
  });
});

test('it is written once per period when something changed, and on close', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    const { clock, all } = options(file, store);
    put('a', 1);
    const snapshots = openSnapshots(all);
    clock.advance(299_999);
    await t.throwsAsync(stat(file), { code: 'ENOENT' });
    clock.advance(1);
    await snapshots.save();
    t.is((await entriesOf(file))[0]?.value, 1);
    put('a', 2);
    await snapshots.close();
    t.is((await entriesOf(file))[0]?.value, 2);
    put('a', 3);
    clock.advance(1_000_000);
    t.is((await entriesOf(file))[0]?.value, 2);
  });
});

test('100,000 keys are written and read back in order without being one text', async (t) => {
  await inFolder(async (file) => {
    const page = (from: number): StateEntry[] =>
      Array.from({ length: 1_000 }, (_, index) => ({
        key: `key-${String(from + index).padStart(6, '0')}`,
        value: { number: from + index },
        version: 1,
        updatedAt: '2030-01-01T00:00:00.000Z',
        updatedBy: 'local',
        position: at(from + index + 1),
      }));
    const pages = async function* () {
      for (let from = 0; from < 100_000; from += 1_000) yield page(from);
    };
    const head = { logId: 'log-1', position: at(100_000), takenAt: '2030-01-01T00:00:00.000Z' };
    t.is((await writeSnapshot(file, head, pages(), 'node-1')).count, 100_000);
    const read = await readSnapshot(file);
    t.true(read.ok);
    if (!read.ok) return;
    let next = 0;
    for await (const page of read.snapshot.entries()) {
      for (const { key } of page) {
        if (key !== `key-${String(next).padStart(6, '0')}`) t.fail(`${key} is out of order`);
        next++;
      }
    }
    await read.snapshot.close();
    t.is(next, 100_000);
  });
});

/** A text with the checksum that it must have. */
const sealed = (text: string): string =>
  `${text}"sha256":"${createHash('sha256').update(text).digest('hex')}"}\n`;

test('values and keys of every kind come back as they were', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    const odd = ['\u2028 line \u2029 ends', '\r\n', '\u0000', '"},\n{"', '\ud800', '😀', ''];
    for (const [index, value] of odd.entries()) put(`k${index}`, [value, { [value]: -1.5e-300 }]);
    put('ü', 1);
    put('__proto__', 2);
    put('\u2028', 3);
    put('until', 4, false, { expiresAt: '2030-02-01T00:00:00.000Z' });
    put('lock', { holder: 'a', token: 1 }, false, { lock: { holder: 'a', token: 1 } });
    const snapshots = openSnapshots(options(file, store).all);
    t.like(await snapshots.save(), { ok: true });
    const entries = await entriesOf(file);
    for (const [index, value] of odd.entries())
      t.deepEqual(entries.find(({ key }) => key === `k${index}`)?.value, [value, { [value]: -1.5e-300 }]);
    for (const [key, value] of [
      ['ü', 1],
      ['__proto__', 2],
      ['\u2028', 3],
      ['until', 4],
    ] as const)
      t.is(entries.find((entry) => entry.key === key)?.value, value);
    t.is(entries.find(({ key }) => key === 'until')?.expiresAt, '2030-02-01T00:00:00.000Z');
    t.false(
      entries.some(({ key }) => key === 'lock'),
      'a lock belongs to its holder',
    );
    await snapshots.close();
  });
});

test('a file whose checksum is right but whose lines are not is refused with the line', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    for (const key of ['a', 'b', 'c']) put(key, key);
    const snapshots = openSnapshots(options(file, store).all);
    await snapshots.save();
    await snapshots.close();
    const text = (await readFile(file, 'utf8')).replace(/"sha256".*\n$/, '');
    const [head = '', a = '', b = '', c = '', tail = ''] = text.split('\n');
    const reasonOf = async (...lines: string[]): Promise<string> => {
      await writeFile(file, sealed(lines.join('\n')));
      const read = await readSnapshot(file);
      if (read.ok) await read.snapshot.close();
      return read.ok ? 'none' : read.reason;
    };
    t.is(await reasonOf(head, a, b, c, tail), 'none', 'control');
    t.is(await reasonOf(head, b, a, c, tail), 'line 3 is not in the order of keys');
    t.is(await reasonOf(head, a, a, b, tail), 'line 3 has the key of the line before');
    t.is(await reasonOf(head, a, b.slice(0, -1), tail), 'there are 2 entries, not 3');
    t.is(await reasonOf(head, a, b, `${c},`, c, tail), 'there are more entries than 3');
    t.is(await reasonOf(head.replace('"version":1', '"version":2'), a, b, c, tail), 'the version is not 1');
    t.is(
      await reasonOf(head.replace('nexus-state', 'other'), a, b, c, tail),
      'the format is not nexus-state',
    );
    t.is(await reasonOf(head, a, b, c.replace('"c"', '"\\u0000"'), tail), 'line 4 has a key that is none');
    t.regex(
      await reasonOf(head, a, b.replace(':"b"', ':{"__proto__":1}'), c, tail),
      /^line 3 has a (key|value)/,
    );
    t.regex(
      await reasonOf(head, a, b.replace('"value":"b"', '"value":{"__proto__":1}'), c, tail),
      /^line 3 has a value that is refused/,
    );
    t.regex(
      await reasonOf(
        head,
        a,
        b.replace('"value":"b"', `"value":${'['.repeat(65)}${']'.repeat(65)}`),
        c,
        tail,
      ),
      /nested deeper/,
    );
    const whole = sealed(text);
    await writeFile(file, whole + whole);
    t.like(await readSnapshot(file), { ok: false, reason: 'the file does not match its checksum' });
  });
});

test('read models that are being built leave the file as it is', async (t) => {
  await inFolder(async (file) => {
    const { store, put } = createStates();
    let ready = true;
    const { all, clock } = options(file, store);
    const snapshots = openSnapshots({ ...all, ready: () => ready });
    put('a', 1);
    await snapshots.save();
    const former = await readFile(file, 'utf8');
    put('a', 2);
    ready = false;
    t.like(await snapshots.save(), { ok: false });
    clock.advance(301_000);
    await snapshots.close();
    t.is(await readFile(file, 'utf8'), former);
  });
});

test('two hubs with one file › it is always one of theirs, whole', async (t) => {
  await inFolder(async (file, folder) => {
    const hubs = ['one', 'two'].map((node) => {
      const { store, put } = createStates();
      for (let number = 0; number < 2_000; number++) put(`${node}-${number}`, 'x'.repeat(200));
      return openSnapshots({ ...options(file, store).all, node, logId: node });
    });
    for (let round = 0; round < 3; round++) {
      await Promise.all(hubs.map((hub) => hub.save()));
      const entries = await entriesOf(file);
      t.is(entries.length, 2_000);
      t.is(new Set(entries.map(({ key }) => key.slice(0, 3))).size, 1);
    }
    for (const hub of hubs) await hub.close();
    t.deepEqual(await readdir(folder), ['state.json']);
  });
});

test('a disk that is almost full keeps the former file, and what the hub needs free', async (t) => {
  await inFolder(async (file, folder) => {
    const { store, put } = createStates();
    put('a', 1);
    const all = options(file, store).all;
    await openSnapshots(all).save();
    put('a', 2);
    const saved = await openSnapshots({ ...all, reserveBytes: Number.MAX_SAFE_INTEGER }).save();
    t.regex(saved.ok ? '' : saved.reason, /^the disk of .* are kept free$/);
    t.is((await entriesOf(file))[0]?.value, 1);
    t.deepEqual(await readdir(folder), ['state.json']);
  });
});
