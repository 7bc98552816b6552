import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { streamId } from '../../domain/event.ts';
import type { SubscriptionDocument } from '../../projections/documents.ts';
import { createPace, maxLateMs } from '../../src/bus/replay/pace.ts';
import { createRanges } from '../../src/bus/replay/range.ts';
import type { SavedSource } from '../../src/bus/subscription/checkpoint.ts';
import type { Entry } from '../../src/bus/subscription/entry.ts';
import { createReplaySource } from '../../src/bus/subscription/replay-source.ts';
import { parseConfig } from '../../src/config.ts';
import { messageFrom } from '../../src/core/logs.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { Context } from '../../src/nexus-core.ts';
import { createTestClock, quiet } from '../registry/support.ts';

test('pace › the first is due at once, the others as long behind it as they were published, at any speed', (t) => {
  for (const [speed, waits] of [
    [1, [0, 100, 1_000]],
    [2, [0, 50, 500]],
    [0.5, [0, 200, 2_000]],
    [0, [0, 0, 0]],
  ] as const) {
    const clock = createTestClock(5_000);
    const pace = createPace({ speed, clock, wallMs: () => 0 });
    t.deepEqual(
      [7_000, 7_100, 8_000].map((publishedMs) => pace.waitMs(publishedMs)),
      waits,
    );
  }
});

test('pace › waits do not add up their errors', (t) => {
  const clock = createTestClock(0);
  const pace = createPace({ speed: 1, clock, wallMs: () => 0 });
  pace.waitMs(1_000);
  clock.advance(103);
  t.is(pace.waitMs(1_100), 0);
  t.is(pace.waitMs(1_200), 97);
});

test('pace › who cannot keep up gets what follows at its pace, not in a burst', (t) => {
  const clock = createTestClock(0);
  const pace = createPace({ speed: 1, clock, wallMs: () => 0 });
  pace.waitMs(1_000);
  clock.advance(100 + maxLateMs);
  t.is(pace.waitMs(1_100), 0);
  t.is(pace.waitMs(1_200), 0, 'a second of lateness is made up for');
  clock.advance(101);
  t.is(pace.waitMs(1_200), 0);
  t.is(pace.waitMs(1_300), 100);
});

test('pace › goes on behind a restart from what was saved, whatever the steady clock says', (t) => {
  const before = createTestClock(10);
  const first = createPace({ speed: 1, clock: before, wallMs: () => 1_000_000 });
  first.waitMs(500);
  const { anchor } = first;
  t.deepEqual(anchor, { publishedMs: 500, dueMs: 1_000_000 });
  const after = createTestClock(777_777);
  const second = createPace({ speed: 1, clock: after, wallMs: () => 1_000_300, anchor });
  t.is(second.waitMs(900), 100);
});

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

const openParts = async (t: ExecutionContext) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-pace-'));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const core = await openCore({ ...parsed.config, log: [`file:${folder}`] }, { logger: quiet });
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true });
  });
  return core;
};

const run = async (core: Core, type: string, data: object) => {
  const done = await core.execute({ type, data }, context);
  if (!done.ok) throw new Error(done.problem.detail);
  return done.value;
};

/** Several turns: what was going to happen without the clock has happened. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await nextTurn();
};

test('replay source › hands over each message when its pace says so, also behind a restart', async (t) => {
  const core = await openParts(t);
  const { log, hub, runner } = core.parts;
  // Paused: the hub itself hands over nothing of it.
  await run(core, 'CreateSubscription', { name: 'slow', topic: 'slow.a' });
  await run(core, 'PauseSubscription', { name: 'slow' });
  const times: number[] = [];
  while (times.length < 4) {
    const done = await run(core, 'PublishMessage', { topic: 'slow.a', payload: times.length });
    const [event] = await log.readStream(streamId('topic', 'slow.a'), { direction: 'backwards', limit: 1 });
    times.push(Date.parse(event?.metadata.recordedAt ?? ''));
    t.is(event?.position, done.position);
    while (Date.now() <= (times.at(-1) ?? 0)) await nextTurn();
  }
  const speed = 0.01;
  await run(core, 'ReplayMessages', { name: 'slow', from: 'start', speed });
  const document = runner.store.read<SubscriptionDocument>('subscriptions', 'slow');
  if (document === undefined) return t.fail();
  /** Steady milliseconds at which the message is due behind the first one. */
  const dueMs = (index: number) => ((times[index] ?? 0) - (times[0] ?? 0)) / speed;

  const open = (saved: SavedSource, startMs: number, wallMs: () => number) => {
    const clock = createTestClock(startMs);
    const got: Entry[] = [];
    const source = createReplaySource({
      runner,
      ranges: createRanges(log, hub),
      log,
      name: 'slow',
      topic: 'slow.a',
      fromAt: document.fromAt,
      saved,
      sink: {
        accept: (entries) => got.push(...entries),
        restored: (entries) => got.push(...entries),
        nowMs: clock.now,
        moved: () => {},
        troubled: (error) => t.fail(String(error)),
      },
      messageFrom,
      clock,
      wallMs,
      onGap: () => t.fail(),
    });
    const has = async (count: number): Promise<void> => {
      while (got.length < count) await nextTurn();
      await settle();
      t.is(got.length, count);
    };
    return { clock, got, source, has };
  };

  const wall = Date.now();
  const first = open({ cursor: String(document.created), pending: [] }, 50_000, () => wall);
  first.source.start();
  await first.has(1);
  first.clock.advance(Math.ceil(dueMs(1)) - 1);
  await settle();
  t.is(first.got.length, 1);
  first.clock.advance(1);
  await first.has(2);
  t.deepEqual(
    first.got.map(({ message }) => [message.payload, message.replay]),
    [
      [0, true],
      [1, true],
    ],
  );
  // The first is settled, the second is not.
  for (const entry of first.got.slice(0, 1)) entry.origin.settled(entry);
  const elapsedMs = first.clock.now() - 50_000;
  const saved = first.source.save();
  t.is(saved.pending.length, 1);
  first.source.stop();

  // The hub was away for half of the wait for the third one.
  const awayMs = Math.floor((dueMs(2) - elapsedMs) / 2);
  const second = open(saved, 9, () => wall + awayMs);
  await second.source.restore();
  await second.has(1);
  t.is(second.got[0]?.message.payload, 1);
  second.source.start();
  await settle();
  second.clock.advance(Math.ceil(dueMs(2) - elapsedMs - awayMs) - 2);
  await settle();
  t.is(second.got.length, 1);
  second.clock.advance(3);
  await second.has(2);
  second.clock.advance(Math.ceil(dueMs(3) - dueMs(2)) + 1);
  await second.has(3);
  t.deepEqual(
    second.got.map(({ message }) => message.payload),
    [1, 2, 3],
  );
  second.source.stop();
});
