import test from 'ava';
import fc from 'fast-check';
import { XPublisher } from 'zeromq';
import { asPosition, asRevision, asStreamId, type LogEvent } from '../../domain/event.ts';
import { BatchFault, decodeBatch, encodeBatch } from '../../src/bus/zeromq/mesh/batch.ts';
import { openPeerLink } from '../../src/bus/zeromq/mesh/peer-link.ts';
import { createLogger } from '../../src/logger.ts';
import type { Offer } from '../../src/watch/offers.ts';
import { until } from '../support/until.ts';

const at = (n: number) => asPosition(n.toString(16).padStart(16, '0'));
const eventAt = (n: number): LogEvent => ({
  id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
  stream: asStreamId('topic-a'),
  revision: asRevision(n),
  position: at(n),
  type: 'MessagePublished',
  data: { payload: { deep: [n] } },
  metadata: {
    actor: 'a',
    correlationId: 'c',
    causationId: null,
    node: 'n',
    schema: 1,
    recordedAt: '2026-01-01T00:00:00.000Z',
  },
});

const framesOf = (events: readonly unknown[], header: object = {}): readonly Buffer[] => {
  const whole = { logId: 'log', epoch: 'e', previous: at(0), last: at(events.length), ...header };
  return encodeBatch(
    whole,
    events.map((event) => JSON.stringify(event)),
  )
    .slice(1)
    .map((text) => Buffer.from(text));
};

test('a batch › comes out as it went in', (t) => {
  const events = [eventAt(1), eventAt(2), eventAt(3)];
  const batch = decodeBatch(framesOf(events), 16);
  t.like(batch, { logId: 'log', epoch: 'e', previous: at(0), last: at(3) });
  t.deepEqual(batch.events(), events);
});

const one = eventAt(1);
const faults: Readonly<Record<string, readonly Buffer[]>> = {
  'no frame': [],
  'a frame too many': [...framesOf([one]), Buffer.from('{}')],
  'a header that is not JSON': [Buffer.from('{'), Buffer.from('[]')],
  'a header that is no object': [Buffer.from('[]'), Buffer.from('[]')],
  'a large header': [Buffer.from(JSON.stringify({ logId: 'x'.repeat(2_000) })), Buffer.from('[]')],
  'positions of another width': framesOf([one], { previous: '00', last: '01' }),
  'an end before its beginning': framesOf([one], { previous: at(2) }),
  'events that are not JSON': [framesOf([one])[0] ?? Buffer.alloc(0), Buffer.from('[')],
  'events that are no list': [framesOf([one])[0] ?? Buffer.alloc(0), Buffer.from('{}')],
  'too many events': framesOf(Array.from({ length: 1_001 }, (_, n) => eventAt(n + 1))),
  'another end than it says': framesOf([one], { last: at(7) }),
  'no event at all': framesOf([], { last: at(1) }),
  'an event twice': framesOf([one, one]),
  'an event at its beginning': framesOf([one], { previous: at(1), last: at(2) }),
  'an id that is none': framesOf([{ ...one, id: '../x' }]),
  'a stream that is none': framesOf([{ ...one, stream: '\u0000' }]),
  'a type that is none': framesOf([{ ...one, type: 'a b' }]),
  'a revision that is none': framesOf([{ ...one, revision: -1 }]),
  'a revision that is text': framesOf([{ ...one, revision: '1' }]),
  'no data': framesOf([{ ...one, data: undefined }]),
  'no metadata': framesOf([{ ...one, metadata: undefined }]),
  'metadata without an actor': framesOf([{ ...one, metadata: { ...one.metadata, actor: 7 } }]),
  'a traceparent that is no text': framesOf([{ ...one, metadata: { ...one.metadata, traceparent: {} } }]),
};

test('what is no batch › is told as such, and nothing of it is taken', (t) => {
  for (const [name, frames] of Object.entries(faults)) {
    t.throws(() => decodeBatch(frames, 16).events(), { instanceOf: BatchFault }, name);
  }
});

test('any bytes in the place of some › give a batch whose events ascend between its positions, or a fault', (t) => {
  const [head, body] = framesOf([eventAt(1), eventAt(2)]);
  if (head === undefined || body === undefined) return t.fail();
  const change = fc.tuple(fc.boolean(), fc.nat(), fc.uint8Array({ maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
      const frames = [Buffer.from(head), Buffer.from(body)];
      for (const [first, place, bytes] of changes) {
        const frame = frames[first ? 0 : 1];
        frame?.set(bytes.slice(0, frame.length - (place % frame.length)), place % frame.length);
      }
      try {
        const batch = decodeBatch(frames, 16);
        let before = batch.previous;
        for (const { position } of batch.events()) {
          if (position <= before) return false;
          before = position;
        }
        return before === batch.last;
      } catch (error) {
        return error instanceof BatchFault;
      }
    }),
    { numRuns: 3_000, seed: 3 },
  );
  t.pass();
});

test('a peer that sends rubbish › is told of once, and what it sends that is sound is taken all the same', async (t) => {
  const socket = new XPublisher({ linger: 0 });
  await socket.bind('tcp://127.0.0.1:*');
  const offered: Offer[] = [];
  const warned: string[] = [];
  const link = openPeerLink({
    peer: { address: socket.lastEndpoint ?? '', serverKey: undefined, loopback: true },
    keys: undefined,
    hub: { position: at(0), offer: (offer) => offered.push(offer) },
    logId: 'log',
    logger: { ...createLogger('silent'), warn: (_facts, message) => warned.push(message) },
    nowMs: () => 0,
  });
  await socket.receive();
  await socket.receive();
  const bad = Object.values(faults).filter((frames) => frames.every((frame) => frame.length < 100_000));
  for (const frames of bad) await socket.send(['$nexus.log', ...frames]);
  for (const frames of bad) await socket.send(['$nexus.log', ...frames]);
  await socket.send(['$nexus.log', ...framesOf([one], { logId: 'other' })]);
  await socket.send(['$nexus.log', ...framesOf([one])]);
  await until(() => offered.length === 1);
  t.like(link.stats(), { connected: true, refused: bad.length * 2 + 1, batches: 1 });
  t.deepEqual(offered, [{ previous: at(0), events: [one] }]);
  t.is(warned.length, 2);
  await link.close();
  socket.close();
});
