import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { until } from '../support/rest.ts';
import { entriesIn, sampleEntries, snapshotOf } from '../support/snapshots.ts';
import { type Answer, call } from './client.ts';

const load = (hub: Hub, raw: string, query = ''): Promise<Answer> =>
  call(hub.url, 'POST', `/snapshot${query}`, { raw, headers: { 'content-type': 'application/json' } });
const put = (hub: Hub, key: string, value: unknown): Promise<Answer> =>
  call(hub.url, 'PUT', `/state/${encodeURIComponent(key)}`, { json: { value } });
const saved = async (hub: Hub) => {
  const { text } = await call(hub.url, 'GET', '/snapshot');
  return new Map(entriesIn(text).map(({ key, value }) => [key, value]));
};

/** A load whose body the test sends; `answer` is its status, or what broke it. */
const beginLoad = (hub: Hub): { readonly upload: ClientRequest; readonly answer: Promise<unknown> } => {
  const upload = request(`${hub.url}/snapshot`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  });
  const answer = new Promise((resolve) => {
    upload.on('response', (response) => resolve(response.resume().statusCode));
    upload.on('error', resolve);
  });
  return { upload, answer };
};

const codeOf = ({ body }: Answer): unknown => (body as { readonly code?: unknown }).code;

test('others write during a load: each of their writes is done, and the last word on a key counts', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  await Promise.all(['gone/1', 'gone/2', 'touched'].map((key) => put(hub, key, 'before')));
  const entries = sampleEntries(2_000);
  const loading = load(hub, await snapshotOf(entries), '?mode=replace');
  const own = Array.from({ length: 60 }, (_, index) => [`own/${index}`, index] as const);
  const shared = entries.slice(0, 60).map(({ key }) => [key, 'other'] as const);
  const writes = await Promise.all([...own, ...shared].map(([key, value]) => put(hub, key, value)));
  t.true(writes.every(({ status }) => status === 200 || status === 201));
  const done = await loading;
  t.is(done.status, 200, done.text);
  const state = await saved(hub);
  for (const { key, value } of entries) {
    const now = JSON.stringify(state.get(key));
    t.true(
      now === JSON.stringify(value) || (now === '"other"' && shared.some(([name]) => name === key)),
      key,
    );
  }
  t.false(state.has('gone/1') || state.has('gone/2') || state.has('touched'));
});

test('one load at a time, its upload included; one that breaks off makes room for the next', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  const first = beginLoad(hub);
  first.upload.write('{"a":1,');
  const busy = await until(
    () => load(hub, '{}'),
    ({ status }) => status !== 200,
  );
  t.is(busy.status, 503);
  t.is(codeOf(busy), 'busy');
  first.upload.end('"b":2}');
  t.is(await first.answer, 200);
  t.is((await saved(hub)).size, 2);

  const broken = beginLoad(hub);
  broken.upload.write('{"c":1');
  await until(
    () => load(hub, '{}'),
    ({ status }) => status !== 200,
  );
  broken.upload.destroy();
  await until(
    () => load(hub, '{}'),
    ({ status }) => status === 200,
  );
  t.is((await saved(hub)).size, 2);
});

test('an upload may take longer than a request may while it moves, and no longer when it does not', async (t) => {
  const hub = await openHub({ timeouts: { headersMs: 2_000, requestMs: 2_000, checkEveryMs: 20 } });
  t.teardown(() => hub.close());
  const stuck = beginLoad(hub);
  stuck.upload.write('{');
  const answer = await stuck.answer;
  t.true(answer === 408 || answer instanceof Error, String(answer));
  await until(
    () => load(hub, '{}'),
    ({ status }) => status === 200,
  );

  const slow = beginLoad(hub);
  slow.upload.write('{"a":[0');
  let pieces = 0;
  const timer = setInterval(() => {
    slow.upload.write(`,${++pieces}`);
    if (pieces < 30) return;
    clearInterval(timer);
    slow.upload.end(']}');
  }, 100);
  t.is(await slow.answer, 200);
});

test('a reader that is slow gets the state of one position, and one that goes away holds nothing up', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  const pad = 'x'.repeat(100_000);
  const keys = Array.from({ length: 150 }, (_, index) => `big/${String(index).padStart(3, '0')}`);
  await load(hub, await snapshotOf(keys.map((key) => ({ key, value: pad }))));
  const open = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      request(`${hub.url}/snapshot`, resolve).on('error', reject).end();
    });
  const [slow, gone] = [await open(), await open()];
  // Nothing is read, and more stands behind the answers than sockets hold: others go on meanwhile.
  for (const key of keys.slice(100)) await put(hub, key, 'new');
  await call(hub.url, 'DELETE', '/state/big%2F149');
  await put(hub, 'big/150', 'new');
  gone.destroy();
  let text = '';
  for await (const chunk of slow.setEncoding('utf8')) text += chunk;
  const entries = entriesIn(text);
  t.is(entries.length, 150);
  t.true(entries.every(({ value }) => value === pad));
  t.is((await saved(hub)).get('big/120'), 'new');
  t.deepEqual(hub.logged, []);
});
