import test from 'ava';
import fc from 'fast-check';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

/*
 * test/domain proves that patterns contain each other exactly when the topics do. Here the running hub is asked, with a
 * token for each granted pattern, and held to what all topics and keys say, counted one by one without the code under test.
 */
let hub: Hub;
test.before(async () => {
  hub = await openHub({ jwtSecret });
});
test.after.always(() => hub.close());

const seed = 20_260_101;
const sample = <Value>(values: fc.Arbitrary<Value>, numRuns: number, own: number): Value[] => [
  ...new Map(
    fc.sample(values, { numRuns, seed: seed + own }).map((one) => [JSON.stringify(one), one]),
  ).values(),
];

/** The contract's own words, segment by segment. */
const matches = (pattern: readonly string[], topic: readonly string[], first = true): boolean => {
  const [head, ...tail] = pattern;
  if (head === undefined) return topic.length === 0;
  const [segment, ...others] = topic;
  if (segment === undefined || (first && (head === '*' || head === '>') && segment === '_reply'))
    return false;
  if (head === '>') return true;
  return (head === '*' || head === segment) && matches(tail, others, false);
};

/** All topics of up to four segments; `c` stands for every segment that no pattern names. */
const segments = ['a', 'b', '_reply', 'c'] as const;
const topics: readonly (readonly string[])[] = [1, 2, 3, 4].flatMap((length) =>
  Array.from({ length: segments.length ** length }, (_, code) =>
    Array.from(
      { length },
      (__, place) => segments[Math.floor(code / segments.length ** place) % segments.length] ?? 'c',
    ),
  ),
);
const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', '_reply', '*'), { maxLength: 2 }),
    fc.constantFrom('a', 'b', '*', '>'),
  )
  .map(([front, last]) => [...front, last]);

test('a subscription over WebSocket › is granted exactly when each topic of its pattern is, and else some topic of it is refused', async (t) => {
  let [granted, refused] = [0, 0];
  for (const grant of sample(pattern, 24, 1)) {
    const token = signToken('ann', `events:read:${grant.join('.')}`);
    const ws = await openWs(hub.url, { headers: { authorization: `Bearer ${token}` } });
    const subscribe = async (wanted: readonly string[]): Promise<boolean> => {
      const { type, code, subscription } = await ws.ask({ type: 'subscribe', topic: wanted.join('.') });
      if (type === 'subscribed') {
        await ws.ask({ type: 'unsubscribe', subscription });
        return true;
      }
      t.is(code, 'forbidden');
      return false;
    };
    for (const wanted of sample(pattern, 24, 2)) {
      const what = `${wanted.join('.')} of ${grant.join('.')}`;
      const witness = topics.find((topic) => matches(wanted, topic) && !matches(grant, topic));
      t.is(await subscribe(wanted), witness === undefined, what);
      if (witness === undefined) granted++;
      else {
        refused++;
        t.false(await subscribe(witness), `${what}: ${witness.join('.')}`);
      }
    }
    await ws.close();
  }
  t.true(granted > 10 && refused > 20, `${granted} granted, ${refused} refused`);
});

const letters = ['a', '/', 'é'] as const;
const words = (length: number): readonly string[] =>
  length === 0 ? [''] : words(length - 1).flatMap((word) => letters.map((letter) => word + letter));
const keys = [1, 2, 3, 4].flatMap(words);
const prefix = fc.array(fc.constantFrom(...letters), { maxLength: 3 }).map((all) => all.join(''));

test('a list of a prefix › is granted exactly when each key of it is, and else some key of it is refused', async (t) => {
  let [granted, refused] = [0, 0];
  for (const [text, open] of sample(fc.tuple(prefix, fc.boolean()), 30, 3)) {
    if (text === '' && !open) continue;
    const headers = { authorization: `Bearer ${signToken('ann', `state:read:${text}${open ? '*' : ''}`)}` };
    const covers = (key: string): boolean => (open ? key.startsWith(text) : key === text);
    for (const wanted of sample(prefix, 24, 4)) {
      const what = `${wanted}… of ${text}${open ? '*' : ''}`;
      const witness = keys.find((key) => key.startsWith(wanted) && !covers(key));
      const list = await request(hub.url, 'GET', `/state?prefix=${encodeURIComponent(wanted)}`, { headers });
      t.is(list.status, witness === undefined ? 200 : 403, what);
      if (witness === undefined) granted++;
      else {
        refused++;
        const one = await request(hub.url, 'GET', `/state/${encodeURIComponent(witness)}`, { headers });
        t.is(one.status, 403, `${what}: ${witness}`);
      }
    }
  }
  t.true(granted > 10 && refused > 20, `${granted} granted, ${refused} refused`);
});
