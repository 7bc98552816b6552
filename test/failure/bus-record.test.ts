import test from 'ava';
import { asPosition, asRevision, type LogEvent, streamId } from '../../domain/event.ts';
import type { Owner } from '../../domain/subscription/subscription.ts';
import { fencingOf } from './bus-fence.ts';
import { type Entry, entriesIn, findingsOf, type Life, lineOf, type Records } from './bus-record.ts';

const came = (ns: number, delivery: string, message: number, key = 'k'): Entry => ({
  ...{ what: 'received', ns, delivery, attempt: 1, messageId: `m-${message}`, key, position: `p${message}` },
});
const told = (ns: number, delivery: string, what: 'acking' | 'acked' | 'durable'): Entry => ({
  ...{ what, ns, delivery },
});
const cut = (ns: number): Entry => ({ what: 'cut', ns });

const found = (lives: readonly Life[], more: Partial<Records> = {}): string =>
  findingsOf({ lives, handovers: [], published: [], ...more }).faults.join();

test('control › the check of what consumers saw finds each way in which it is wrong', (t) => {
  const whole = [came(1, 'd1', 1), told(2, 'd1', 'acking'), told(3, 'd1', 'acked')];
  t.is(found([{ entries: whole }], { published: ['m-1'] }), '');
  t.is(found([{ entries: whole }], { published: ['m-1', 'm-2'] }), 'm-2 was never acknowledged');
  t.is(
    found([{ entries: [came(1, 'd1', 1)], endedNs: 2 }], { published: ['m-1'] }),
    'm-1 was never acknowledged',
  );

  const again = [came(4, 'd2', 1), told(5, 'd2', 'acking'), told(6, 'd2', 'acked')];
  t.regex(found([{ entries: whole }, { entries: again }]), /^m-1 was delivered again/, 'it was acknowledged');
  t.is(found([{ entries: whole }, { entries: again }], { handovers: [3.5] }), '', 'its hub has forgotten it');
  t.regex(found([{ entries: whole }, { entries: again }], { handovers: [4.5] }), /^m-1 was delivered again/);
  const durable = [came(1, 'd1', 1), told(2, 'd1', 'acking'), told(3, 'd1', 'durable')];
  t.regex(
    found([{ entries: durable }, { entries: again }], { handovers: [3.5] }),
    /^m-1 was delivered again/,
  );
  const unanswered = [came(1, 'd1', 1), told(2, 'd1', 'acking')];
  t.regex(
    found([{ entries: unanswered }, { entries: again }]),
    /^m-1 was delivered again/,
    'its consumer lives',
  );
  t.is(found([{ entries: unanswered, endedNs: 3 }, { entries: again }]), '');
  t.is(
    found([{ entries: unanswered, endedNs: 0.5 }, { entries: again }]),
    '',
    'it came while it was being killed',
  );
  t.is(found([{ entries: [...unanswered, cut(3)] }, { entries: again }]), '');

  const second = [came(4, 'd2', 2), told(5, 'd2', 'acking'), told(6, 'd2', 'acked')];
  const behind = [came(7, 'd3', 1), told(8, 'd3', 'acking'), told(9, 'd3', 'acked')];
  t.is(found([{ entries: whole }, { entries: second }]), '');
  t.is(found([{ entries: second }, { entries: behind }]), 'k: p1 was first delivered behind p2');
  const early = [came(1.5, 'd2', 2), told(5, 'd2', 'acking')];
  t.is(found([{ entries: whole }, { entries: early }]), 'k: p2 came while p1 was held');
  const other = [came(1.5, 'd2', 2, 'other'), told(5, 'd2', 'acking')];
  t.is(found([{ entries: whole }, { entries: other }]), '', 'keys run in parallel');
});

test('control › a record that ends in the middle of a line counts up to there', (t) => {
  const line = lineOf(came(1, 'd1', 1));
  t.deepEqual(entriesIn(`${line}${line.slice(0, 20)}`), [came(1, 'd1', 1)]);
  t.deepEqual(entriesIn(line.slice(0, 20)), []);
});

test('control › the check of a log finds what a former owner wrote', (t) => {
  const owner = (node: string): Owner => ({ node, epoch: `of-${node}` });
  let revision = 0;
  const event = (
    category: 'subscription' | 'checkpoint',
    type: string,
    data: unknown,
    node = 'a',
  ): LogEvent => ({
    id: `id-${revision}`,
    stream: streamId(category, 's'),
    revision: asRevision(revision++),
    position: asPosition(revision.toString(16).padStart(16, '0')),
    type,
    data,
    metadata: {
      ...{ recordedAt: '2026-01-01T00:00:00.000Z', actor: 'system', correlationId: 'c', causationId: null },
      ...{ node, schema: 1 },
    },
  });
  const taken = (node: string) =>
    event('subscription', 'SubscriptionUpdated', { changes: {}, owner: owner(node) }, node);
  const saved = (node: string) =>
    event('checkpoint', 'SubscriptionCheckpointed', { created: 0, owner: owner(node), state: {} }, node);
  const copy = { messageId: 'm', topic: 't', payload: 1, priority: 'LOW', headers: {}, publisher: 'me' };
  const message = { ...copy, publishedAt: '2026-01-01T00:00:00.000Z', position: '0000000000000001' };
  const dead = {
    messageId: 'm',
    position: message.position,
    attempts: 1,
    error: 'e',
    errors: [],
    redrives: 0,
    message,
  };
  const buried = (node: string) => event('subscription', 'MessageDeadLettered', dead, node);
  const faults = (...events: readonly LogEvent[]) => fencingOf(events, 's').faults.join();

  t.is(faults(taken('a'), saved('a'), buried('a'), taken('b'), saved('a'), saved('b'), buried('b')), '');
  t.regex(faults(taken('a'), saved('a'), taken('b'), saved('b'), saved('a')), /^a checkpoint of a/);
  t.regex(faults(taken('a'), saved('a'), taken('b'), buried('a')), /^a dead letter of a stands where b/);
});
