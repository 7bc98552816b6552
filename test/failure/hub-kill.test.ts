import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { asPosition, asRevision, type LogEvent, streamId } from '../../domain/event.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { isLong } from '../support/skip.ts';
import { type Acknowledged, faultsOf } from './acknowledged.ts';
import { checkSound, headOf, nothingTold, random, writeAll } from './hub-rounds.ts';

/** 3 rounds in the suite; NEXUS_LONG=1 makes it 50. */
const rounds = isLong ? 50 : 3;
const writers = 64;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

test('kill -9 of the hub under 64 writers › every acknowledged event is there, once, in order, and shown', async (t) => {
  t.timeout(20 * 60_000);
  const startedMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'nexus-kill-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const draw = random(seed);
  const told = nothingTold();
  for (let number = 0; number < rounds; number++) {
    const hub = await startHubProcess(folder);
    try {
      const before = await headOf(hub);
      const writing = writeAll(hub, told, { writers, name: String(number), seed: seed + number });
      // The moment is drawn by how much is in the log, not by a clock: any place in the work may be hit.
      const killAt = before + Math.floor(draw() * 1_500);
      while ((await headOf(hub)) < killAt && told.refused.length + told.broken.length === number * writers);
      t.is(told.broken.length, number * writers, `round ${number}: a hub that lives keeps its connections`);
      await hub.kill('SIGKILL');
      await writing;
    } finally {
      await hub.kill('SIGKILL');
    }
    t.deepEqual([told.refused, told.pending], [[], []], `round ${number}: a hub that lives takes each write`);
  }
  const { acknowledged } = told;
  t.true(acknowledged.length > rounds * 10, 'the rounds did write');
  const events = await checkSound(t, folder, acknowledged);
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  t.log(
    `seed ${seed}: ${rounds} rounds, ${acknowledged.length} acknowledged, ${events} events, ${seconds} s`,
  );
});

test('control › the same check finds an acknowledged event that is missing, twice, or out of order', (t) => {
  const event = (number: number, mark: string, revision = number): LogEvent => ({
    id: `id-${number}`,
    stream: streamId('state', 'k'),
    revision: asRevision(revision),
    position: asPosition(number.toString(16).padStart(16, '0')),
    type: 'StateSet',
    data: { value: mark },
    metadata: {
      recordedAt: '2026-01-01T00:00:00.000Z',
      actor: 'a',
      correlationId: 'c',
      causationId: null,
      node: 'n',
      schema: 1,
    },
  });
  const [first, second, third] = [event(0, 'x'), event(1, 'y'), event(2, 'z')];
  const told = (mark: string, { position, stream }: LogEvent): Acknowledged => ({
    writer: 'w',
    stream,
    position,
    mark,
  });
  const acknowledged = [told('x', first), told('y', second), told('z', third)];
  const found = (events: readonly LogEvent[], wasTold = acknowledged) => faultsOf(wasTold, events);

  t.deepEqual(found([first, second, third]), []);
  t.regex(found([first, second]).join(), /^z was acknowledged at \w+ of state-k and is not there$/);
  t.regex(found([first, { ...second, data: { value: 'other' } }, third]).join(), /^y was acknowledged/);
  t.regex(found([first, second, third, event(3, 'z')]).join(), /^z is there twice$/);
  t.regex(
    found([first, second, third, { ...event(3, 'new'), id: 'id-0' }]).join(),
    /^the event id-0 is there twice$/,
  );
  t.regex(found([first, second, third, event(3, 'new', 4)]).join(), /^state-k jumps to revision 4$/);
  t.regex(found([first, third, second]).join(), /stands behind/);
  t.regex(
    found([first, second, third], [told('y', second), told('x', first)]).join(),
    /^x stands before what w wrote/,
  );
});
