import { request } from 'node:http';
import test from 'ava';
import { projections as every } from '../../projections/index.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

type Event = {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: string;
  readonly metadata: {
    readonly correlationId: string;
    readonly traceparent?: string;
    readonly causationId: unknown;
  };
};
type Page = { readonly events: readonly Event[]; readonly position: string; readonly more: boolean };

const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  call(hub.url, 'GET', path, { headers });
const put = (key: string, value: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  call(hub.url, 'PUT', `/state/${key}`, { json: { value }, headers });

test('GET /streams/{stream} › reads both ways, by revision and limit', async (t) => {
  for (const value of [1, 2, 3]) await put('read', value);
  const revisions = async (query: string): Promise<number[]> =>
    ((await get(`/streams/state-read${query}`)).body as Page).events.map(({ revision }) => revision);
  t.deepEqual(await revisions(''), [0, 1, 2]);
  t.deepEqual(await revisions('?from=1'), [1, 2]);
  t.deepEqual(await revisions('?limit=2'), [0, 1]);
  t.deepEqual(await revisions('?direction=backwards&limit=2'), [2, 1]);
  t.deepEqual(await revisions('?direction=backwards&from=1'), [1, 0]);
  t.like((await get('/streams/state-never')).body as object, { code: 'not_found', status: 404 });
  t.like((await get('/streams/state-read?direction=up')).body as object, { code: 'invalid', status: 422 });
  t.like((await get('/streams/state-read?from=-1')).body as object, { code: 'invalid', status: 422 });
});

test('GET /streams/{stream} › takes a name with slashes', async (t) => {
  await put('deep%2Fkey', 1);
  for (const path of ['/streams/state-deep%2Fkey', '/streams/state-deep/key']) {
    t.is(((await get(path)).body as Page).events.length, 1);
  }
});

test('GET /log › pages to the end and filters by type, category, correlation and time', async (t) => {
  const correlated = { 'x-correlation-id': 'corr-1' };
  await put('logged', 1, correlated);
  await call(hub.url, 'POST', '/events/logged', { json: { payload: 1 }, headers: correlated });
  const find = async (query: string): Promise<string[]> =>
    ((await get(`/log?${query}`)).body as Page).events.map(({ type }) => type);
  t.deepEqual(await find('correlationId=corr-1'), ['StateSet', 'MessagePublished']);
  t.deepEqual(await find('correlationId=corr-1&type=StateSet'), ['StateSet']);
  t.deepEqual(await find('correlationId=corr-1&category=topic'), ['MessagePublished']);
  t.deepEqual(await find('correlationId=corr-1&from=2999-01-01T00:00:00Z'), []);
  t.deepEqual(await find('correlationId=corr-1&to=2001-01-01T00:00:00Z'), []);

  const whole: string[] = [];
  let after = '';
  for (;;) {
    const page = (await get(`/log?limit=3${after}`)).body as Page;
    whole.push(...page.events.map(({ position }) => position));
    after = `&after=${page.position}`;
    if (!page.more) break;
  }
  t.deepEqual(whole, [...new Set(whole)].sort());
  t.is(((await get('/log?limit=1')).body as Page).events[0]?.type, 'LogCreated');
});

for (const query of [
  'category=nothing',
  'from=monday',
  'to=5',
  'after=zzz',
  'after=0',
  'limit=no',
  'page=2',
]) {
  test(`GET /log › with ${query} is invalid, and says where`, async (t) => {
    for (const accept of ['application/json', 'application/x-ndjson']) {
      const answer = await get(`/log?${query}`, { accept });
      t.like(answer.body as object, { code: 'invalid', status: 422 });
      const { errors } = answer.body as { errors: { pointer: string }[] };
      t.is(errors[0]?.pointer, `/${query.split('=', 1)[0]}`);
    }
  });
}

test('GET /log › as NDJSON is the whole range, one event a line', async (t) => {
  const own = await openHub();
  t.teardown(() => own.close());
  for (let batch = 0; batch < 25; batch++) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        call(own.url, 'POST', `/events/many.${batch}`, {
          json: { payload: 'x'.repeat(200), key: `${index}` },
        }),
      ),
    );
  }
  const answer = await call(own.url, 'GET', '/log?category=topic', {
    headers: { accept: 'application/x-ndjson' },
  });
  t.is(answer.headers['content-type'], 'application/x-ndjson');
  const events = answer.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
  t.is(events.length, 1_250);
  const positions = events.map(({ position }) => position);
  t.deepEqual(positions, [...new Set(positions)].sort());
  const some = await call(own.url, 'GET', '/log?category=topic&limit=7', {
    headers: { accept: 'application/x-ndjson' },
  });
  t.is(some.text.trimEnd().split('\n').length, 7);
});

test('GET /log › as NDJSON reads no further than its reader does', async (t) => {
  let pages = 0;
  const own = await openHub({
    wrap: (core) => ({
      ...core,
      get ready() {
        return core.ready;
      },
      log: (query, context) => {
        pages++;
        return core.log(query, context);
      },
    }),
  });
  t.teardown(() => own.close());
  const big = 'x'.repeat(20_000);
  for (let batch = 0; batch < 50; batch++) {
    await Promise.all(
      Array.from({ length: 50 }, () => call(own.url, 'POST', '/events/big', { json: { payload: big } })),
    );
  }
  await new Promise<void>((resolve, reject) => {
    const slow = request(`${own.url}/log`, { headers: { accept: 'application/x-ndjson' } }, (response) => {
      response.once('readable', () => {
        // Its first bytes are here and it takes no more: the hub goes on serving others, and reads nothing for it.
        Promise.all(Array.from({ length: 200 }, () => call(own.url, 'GET', '/health/live')))
          .then(() => t.true(pages < 6, `${pages} of 13 pages were read for a reader that takes nothing`))
          .then(() => {
            slow.destroy();
            resolve();
          })
          .catch(reject);
      });
      response.on('error', () => {});
    });
    slow.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
    slow.end();
  });
});

test('POST /commands › runs a command and answers its events and result', async (t) => {
  const command = (json: object): Promise<Answer> => call(hub.url, 'POST', '/commands', { json });
  const data = { key: 'commanded', value: 1 };
  const done = await command({ type: 'SetState', data, commandId: 'c-1' });
  t.is(done.status, 200, done.text);
  const { commandId, events, result } = done.body as { commandId: string; events: Event[]; result: object };
  t.is(commandId, 'c-1');
  t.is(events.length, 1);
  t.like(events[0], { type: 'StateSet', stream: 'state-commanded', revision: 0 });
  t.is(events[0]?.position, done.headers['x-nexus-position']);
  t.like(result, { key: 'commanded', value: 1, version: 1 });

  const stale = await command({ type: 'SetState', data: { ...data, value: 2 }, expectedRevision: 7 });
  t.like(stale.body as object, {
    code: 'revision_conflict',
    status: 409,
    expectedRevision: 7,
    actualRevision: 0,
  });
  t.is((await command({ type: 'SetState', data: { ...data, value: 2 }, expectedRevision: 0 })).status, 200);
});

for (const [what, json] of [
  ['no object', [1]],
  ['no type', { data: {} }],
  ['an unknown type', { type: 'DropEverything', data: {} }],
  ['a type of every object', { type: 'toString', data: {} }],
  ['no data', { type: 'SetState' }],
  ['data of the wrong shape', { type: 'SetState', data: { key: 1 } }],
  ['an unknown member', { type: 'SetState', data: { key: 'k', value: 1 }, more: 1 }],
  ['a commandId that is no text', { type: 'SetState', data: { key: 'k', value: 1 }, commandId: 1 }],
  ['a revision that is no number', { type: 'SetState', data: { key: 'k', value: 1 }, expectedRevision: '1' }],
] as const) {
  test(`POST /commands › with ${what} is invalid`, async (t) => {
    const answer = await call(hub.url, 'POST', '/commands', { json });
    t.like(answer.body as object, { code: 'invalid', status: 422 });
  });
}

test('an event › keeps the ids that its request came with', async (t) => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const made = await put('traced', 1, { 'x-request-id': 'req-9', 'x-causation-id': 'cause-9', traceparent });
  t.is(made.headers['x-request-id'], 'req-9');
  const { events } = (await get('/streams/state-traced')).body as Page;
  t.like(events[0]?.metadata, { correlationId: 'req-9', causationId: 'cause-9', traceparent });
  await put('untraced', 1, { 'x-request-id': 'not sane'.repeat(40), traceparent: 'nonsense' });
  const other = ((await get('/streams/state-untraced')).body as Page).events[0]?.metadata;
  t.is(other?.traceparent, undefined);
  t.regex(other?.correlationId ?? '', /^[0-9a-f-]{36}$/);
});

test('GET /health › tells of log and projections; live and ready are small', async (t) => {
  const health = await get('/health');
  t.is(health.status, 200);
  t.like(health.body as object, { status: 'ok', log: { kind: 'embedded', reachable: true } });
  const { projections } = health.body as { projections: { name: string }[] };
  t.deepEqual(
    projections.map(({ name }) => name),
    every.map(({ name }) => name),
  );
  t.true(every.length > 3);
  t.deepEqual((await get('/health/live')).body, { status: 'ok' });
  t.deepEqual((await get('/health/ready')).body, { status: 'ready' });
});

test('GET /health › is 503 when the hub is down, and ready is 503 while read models are rebuilt', async (t) => {
  const own = await openHub({
    wrap: (core) => ({
      ...core,
      ready: false,
      health: async () => ({ ...(await core.health()), status: 'down' }),
    }),
  });
  t.teardown(() => own.close());
  t.is((await call(own.url, 'GET', '/health')).status, 503);
  const ready = await call(own.url, 'GET', '/health/ready');
  t.like(ready.body as object, { code: 'not_ready', status: 503 });
  t.is(ready.headers['retry-after'], '1');
  t.is((await call(own.url, 'GET', '/health/live')).status, 200);
});

test('X-Nexus-Min-Position › holds for reads of the log too, and must be a position of this log', async (t) => {
  const made = await put('waited', 1);
  const position = made.headers['x-nexus-position'] ?? '';
  const ask = (path: string, minPosition: string) =>
    call(hub.url, 'GET', path, { headers: { 'x-nexus-min-position': minPosition } });
  const paths = ['/log', '/events', '/streams/state-waited', '/state/waited', '/services'];
  for (const path of paths) {
    t.is((await ask(path, position)).status, 200, path);
    const wide = await ask(path, '0'.repeat(32));
    t.like(wide.body as object, { code: 'invalid', errors: [{ pointer: '/X-Nexus-Min-Position' }] }, path);
  }
  const ahead = await Promise.all(paths.map((path) => ask(path, 'f'.repeat(16))));
  t.deepEqual(
    ahead.map(({ status }) => status),
    paths.map(() => 504),
  );
});

test('POST /commands › points at the fault in the body that was sent', async (t) => {
  const post = async (json: unknown) =>
    (await call(hub.url, 'POST', '/commands', { json })).body as { errors: { pointer: string }[] };
  const pointersOf = async (json: unknown) => (await post(json)).errors.map(({ pointer }) => pointer);
  t.deepEqual(await pointersOf({ type: 'SetState', data: { key: '', value: 1 } }), ['/data/key']);
  t.deepEqual(await pointersOf({ type: 'SetState' }), ['/data']);
  t.deepEqual(await pointersOf({ type: 'Nothing', data: {} }), ['/type']);
  t.deepEqual(await pointersOf({ type: 'SetState', data: {}, commandId: '' }), ['/commandId']);
});
