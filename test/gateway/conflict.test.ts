import test, { type ExecutionContext } from 'ava';
import { startEsdbServer } from '../support/esdb-server.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request } from '../support/rest.ts';

const writers = 500;

/** What stands in the log but for the hub's own events. */
const written = async (hub: Hub) =>
  (await readWholeLog(hub.url)).filter(({ stream }) => stream.startsWith('state-'));

const compete = async (t: ExecutionContext, hub: Hub): Promise<void> => {
  t.teardown(() => hub.close());
  const put = (key: string, value: unknown, headers = {}) =>
    request(hub.url, 'PUT', `/state/${key}`, { body: { value }, headers });
  await put('other', 'untouched');
  await put('k', 'first');
  await put('k', 'second');
  const before = await written(hub);
  t.is(before.length, 3);

  const answers = await Promise.all(
    Array.from({ length: writers }, (_, index) => put('k', `writer-${index}`, { 'if-match': '"2"' })),
  );
  const winners = answers.flatMap((answer, index) => (answer.status === 200 ? [{ answer, index }] : []));
  t.is(winners.length, 1, 'one wins');
  const [winner] = winners;
  const value = `writer-${winner?.index}`;
  t.like(winner?.answer.body, { key: 'k', value, version: 3 });
  for (const { status, body } of answers.filter((answer) => answer !== winner?.answer)) {
    t.is(status, 412);
    t.like(body, {
      code: 'version_conflict',
      key: 'k',
      expectedVersion: 2,
      currentVersion: 3,
      currentValue: value,
    });
  }

  const { body } = await request(hub.url, 'GET', '/state/k/history');
  const history = body.history as readonly { readonly version: number; readonly value: unknown }[];
  t.deepEqual(
    history.map((entry) => [entry.version, entry.value]),
    [
      [3, value],
      [2, 'second'],
      [1, 'first'],
    ],
  );
  const after = await written(hub);
  t.deepEqual(after.slice(0, -1), before, 'nothing else has changed');
  t.like(after.at(-1), { stream: 'state-k', type: 'StateSet', revision: 2, data: { value } });
  t.like((await request(hub.url, 'GET', '/state/other')).body, { value: 'untouched', version: 1 });
  t.deepEqual(hub.logged, []);

  const unconditional = await Promise.all(
    Array.from({ length: 20 }, (_, index) => put('free', `writer-${index}`)),
  );
  const versions = unconditional.map((answer) => Number(answer.body.version)).sort((a, b) => a - b);
  t.deepEqual(
    versions,
    Array.from({ length: 20 }, (_, index) => index + 1),
    'control: without the condition each of them wins',
  );
};

const claim = `${writers} writers with the same If-Match › one wins, the others are told the version that there is`;

test(`embedded › ${claim}`, async (t) => compete(t, await openHub()));

test(`redis › ${claim}`, async (t) => {
  const server = await redisForTest(t);
  if (server !== undefined) await compete(t, await openHub({ log: [server.url] }));
});

test(`eventstoredb › ${claim}`, async (t) => {
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  await compete(t, await openHub({ log: [server.url] }));
});
