import test from 'ava';
import { asStreamId, type LogEvent } from '../../domain/event.ts';
import type { Selection } from '../../src/watch/filter.ts';
import { type Batch, createGroups } from '../../src/watch/groups.ts';
import { positionAt, record } from '../support/recorded.ts';

const eventAt = (place: number, stream: string, priority = 'NORMAL'): LogEvent => {
  const [event] = record(stream, [{ actor: 'a', event: { type: 'Happened', data: { priority } } }]);
  if (event === undefined) throw new Error('no event');
  return { ...event, position: positionAt(place) };
};

const topics = (pattern: string): Selection => ({ type: 'topics', pattern });
type Name = { readonly name: string };

const openGroups = (maxBatchEvents = 100) => {
  const groups = createGroups<Name>(maxBatchEvents);
  const offered = new Map<string, Batch[]>();
  return {
    groups,
    offered,
    join: (name: string, selection: Selection): Name => {
      const watcher = { name };
      groups.add(selection, watcher);
      return watcher;
    },
    flush: (): readonly string[] => {
      offered.clear();
      const called = groups.flush(({ name }, batch) => {
        offered.set(name, [...(offered.get(name) ?? []), batch]);
      });
      return [...called].map(({ name }) => name);
    },
  };
};

test('watchers of one selection › are offered the same array, those of others their own', (t) => {
  const { groups, offered, join, flush } = openGroups();
  join('a', topics('x.*'));
  join('b', topics('x.*'));
  join('c', topics('x.>'));
  join('d', topics('y'));
  groups.push(eventAt(1, 'topic-x.1'), 10);
  groups.push(eventAt(2, 'topic-x.1.2'), 20);
  groups.push(eventAt(3, 'topic-x.3'), 30);
  t.deepEqual([...flush()].sort(), ['a', 'b', 'c']);
  t.is(offered.get('a')?.[0]?.events, offered.get('b')?.[0]?.events);
  const placesOf = (name: string) => offered.get(name)?.[0]?.events.map(({ position }) => position);
  t.deepEqual(placesOf('a'), [positionAt(1), positionAt(3)]);
  t.is(offered.get('a')?.[0]?.bytes, 40);
  t.deepEqual(placesOf('c'), [positionAt(1), positionAt(2), positionAt(3)]);
  t.deepEqual(flush(), []);
});

test('priorities › of one topic are selections of their own', (t) => {
  const { groups, offered, join, flush } = openGroups();
  join('all', topics('x'));
  join('high', { type: 'topics', pattern: 'x', priority: 'HIGH' });
  join('stream', { type: 'stream', stream: asStreamId('topic-x'), priority: 'LOW' });
  groups.push(eventAt(1, 'topic-x', 'HIGH'), 1);
  groups.push(eventAt(2, 'topic-x', 'LOW'), 1);
  flush();
  const places = (name: string) => offered.get(name)?.[0]?.events.map(({ position }) => position);
  t.deepEqual(places('all'), [positionAt(1), positionAt(2)]);
  t.deepEqual(places('high'), [positionAt(1)]);
  t.deepEqual(places('stream'), [positionAt(2)]);
});

test('more events than a batch may have › come as several, in order', (t) => {
  const { groups, offered, join, flush } = openGroups(3);
  join('a', { type: 'all' });
  for (let place = 1; place <= 7; place++) groups.push(eventAt(place, 'state-a'), 1);
  flush();
  t.deepEqual(
    offered.get('a')?.map(({ events }) => events.map(({ position }) => position)),
    [[1, 2, 3].map(positionAt), [4, 5, 6].map(positionAt), [positionAt(7)]],
  );
});

test('delete › leaves nothing, also while the group is told', (t) => {
  const { groups, join, flush } = openGroups();
  const selection = topics('x');
  const first = join('a', selection);
  const second = join('b', selection);
  groups.add(selection, second);
  t.is(groups.size, 2);
  groups.push(eventAt(1, 'topic-x'), 1);
  const told: string[] = [];
  const all = groups.flush(({ name }) => {
    told.push(name);
    groups.delete(selection, first);
  });
  t.deepEqual(told, ['a', 'b']);
  t.is([...all].length, 2);
  t.is(groups.size, 1);
  groups.delete(selection, first);
  groups.delete(selection, second);
  t.is(groups.size, 0);
  groups.push(eventAt(2, 'topic-x'), 1);
  t.deepEqual(flush(), []);
});
