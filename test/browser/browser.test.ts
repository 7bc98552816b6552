import { createServer } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import type { Browser, Page } from 'playwright-core';
import { type Hub, type HubOptions, openHub } from '../support/hub.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';
import { foreignHost, inPage, launchChromium, openBlank, pageFor } from './chromium.ts';

let browser: Browser | undefined;

test.before(async () => {
  browser = await launchChromium();
});

test.after.always(async () => {
  await browser?.close();
});

/** What was refused is counted in the log. */
const isNoAudit = ({ type }: { readonly type: string }): boolean => type !== 'AccessDenied';

const hubFor = async (t: ExecutionContext, options: HubOptions = {}): Promise<Hub> => {
  const hub = await openHub(options);
  t.teardown(() => hub.close());
  return hub;
};

test('a page of the hub’s own origin uses REST and GraphQL', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const hub = await hubFor(t);
  await openBlank(page, hub.url);
  const answers = await inPage<readonly unknown[]>(
    page,
    `const json = { 'content-type': 'application/json' };
     const put = await fetch('/state/k', { method: 'PUT', headers: json, body: '{"value":{"from":"page"}}' });
     const stale = await fetch('/state/k', { method: 'PUT', headers: { ...json, 'if-match': '"7"' }, body: '{"value":1}' });
     const get = await fetch('/state/k');
     const query = JSON.stringify({ query: '{ state(key: "k") { value version } }' });
     const graphql = await fetch('/graphql', { method: 'POST', headers: json, body: query });
     return [put.status, stale.status, (await get.json()).value, get.headers.get('etag'), await graphql.json()];`,
  );
  t.deepEqual(answers, [
    201,
    412,
    { from: 'page' },
    '"1"',
    { data: { state: { value: { from: 'page' }, version: 1 } } },
  ]);
});

test('an EventSource of the hub’s own origin goes on behind its Last-Event-ID after a cut', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const begun: (string | undefined)[] = [];
  const hub = await hubFor(t, {
    wrap: (core) => ({
      ...core,
      watchMessages: (topic, input, context) => {
        begun.push(input.after);
        return core.watchMessages(topic, input, context);
      },
    }),
  });
  const proxy = await openFaultProxy({ target: { host: '127.0.0.1', port: hub.port }, seed: 1 });
  t.teardown(() => proxy.close());
  const publish = (payload: number) => request(hub.url, 'POST', '/events/orders.eu', { body: { payload } });
  const positionOf = async (payload: number) =>
    (await readWholeLog(hub.url)).find(
      ({ type, data }) => type === 'MessagePublished' && (data as { payload: unknown }).payload === payload,
    )?.position;
  await publish(0);
  await openBlank(page, `http://127.0.0.1:${proxy.port}`);
  await inPage(
    page,
    `globalThis.seen = [];
     globalThis.opened = 0;
     globalThis.source = new EventSource('/events?topic=orders.*');
     source.onmessage = (event) => seen.push(JSON.parse(event.data).payload);
     await new Promise((resolve) => { source.onopen = () => { opened++; resolve(); }; });`,
  );
  await publish(1);
  await publish(2);
  await page.waitForFunction('seen.length === 2');
  proxy.cut();
  await publish(3);
  await page.waitForFunction('seen.length >= 3 && opened === 2');
  await publish(4);
  await page.waitForFunction('seen.includes(4)');
  t.deepEqual(await inPage(page, 'return seen;'), [1, 2, 3, 4], 'each once, in order, and none of before');
  const [first, second] = [begun[0], begun.at(-1)];
  t.is(first, undefined);
  t.is(second, await positionOf(2), 'the browser has told what it saw last');
});

test('a WebSocket of the hub’s own origin subscribes and publishes', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const hub = await hubFor(t);
  await openBlank(page, hub.url);
  const frames = await inPage<readonly Readonly<Record<string, unknown>>[]>(
    page,
    `const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws', 'nexus.v1');
     const frames = [];
     const ended = new Promise((resolve, reject) => {
       socket.onerror = () => reject(new Error('the socket failed'));
       socket.onmessage = ({ data }) => {
         const frame = JSON.parse(data);
         frames.push(frame);
         if (frame.type === 'subscribed')
           socket.send(JSON.stringify({ type: 'publish', topic: 'orders.eu', payload: { n: 1 }, id: 'p' }));
         if (frames.length === 3) resolve();
       };
     });
     await new Promise((resolve) => { socket.onopen = resolve; });
     socket.send(JSON.stringify({ type: 'subscribe', topic: 'orders.*', id: 's' }));
     await ended;
     socket.close();
     return frames;`,
  );
  const [subscribed, ...rest] = frames;
  t.like(subscribed, { type: 'subscribed', id: 's' });
  t.like(
    rest.find(({ type }) => type === 'published'),
    { id: 'p' },
  );
  t.like(
    rest.find(({ type }) => type === 'message'),
    { topic: 'orders.eu', payload: { n: 1 } },
  );
});

/** An HTTP server of another origin, with one empty page. */
const foreignSite = async (t: ExecutionContext): Promise<string> => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><body></body>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the site has no port');
  return `http://${foreignHost}:${address.port}/`;
};

/** All that a browser sends for a page without asking the server first, and some for which it asks. */
const attack = `
  const { hub } = args;
  const outcome = {};
  const attempt = async (name, run) => {
    try { outcome[name] = await run(); } catch (error) { outcome[name] = error.name; }
  };
  const simple = { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' } };
  const mutation = 'mutation { setState(key: "k", value: "taken") { version } }';
  const form = (method, path, enctype, fields) => {
    const form = document.createElement('form');
    Object.assign(form, { method, action: hub + path, enctype });
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement('input');
      Object.assign(input, { name, value });
      form.append(input);
    }
    return form;
  };
  const submit = (form) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    form.target = frame.name = 'frame-' + document.forms.length;
    document.body.append(frame, form);
    frame.onload = () => resolve('sent');
    form.submit();
  });
  await attempt('read', async () => (await fetch(hub + '/state/k')).status);
  await attempt('write', async () => (await fetch(hub + '/state/k', {
    method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"value":"taken"}' })).status);
  await attempt('publish', async () => (await fetch(hub + '/events/orders.eu', {
    ...simple, body: '{"payload":"taken"}' })).type);
  await attempt('mutate', async () => (await fetch(hub + '/graphql', {
    ...simple, body: JSON.stringify({ query: mutation }) })).type);
  await attempt('tail', () => new Promise((resolve) => {
    const source = new EventSource(hub + '/events?topic=orders.*&after=start');
    source.onopen = () => resolve('open');
    source.onerror = () => { resolve('refused'); source.close(); };
  }));
  await attempt('socket', () => new Promise((resolve) => {
    const socket = new WebSocket(hub.replace('http', 'ws') + '/ws', 'nexus.v1');
    socket.onopen = () => { socket.send('{"type":"publish","topic":"orders.eu","payload":"taken"}'); resolve('open'); };
    socket.onclose = () => resolve('refused');
  }));
  const text = { '{"payload":"taken","x":"': '"}' };
  const query = { query: mutation };
  await attempt('textForm', () => submit(form('post', '/events/orders.eu', 'text/plain', text)));
  await attempt('urlencodedForm', () => submit(form('post', '/graphql', 'application/x-www-form-urlencoded', query)));
  await attempt('multipartForm', () => submit(form('post', '/graphql', 'multipart/form-data', query)));
  await attempt('getForm', () => submit(form('get', '/graphql', 'application/x-www-form-urlencoded', query)));
  // From here on the browser names no origin: 'Origin: null'.
  document.head.append(Object.assign(document.createElement('meta'), { name: 'referrer', content: 'no-referrer' }));
  await attempt('nullForm', () => submit(form('post', '/events/orders.eu', 'text/plain', text)));
  return outcome;`;

/** Method and status of each answer of the hub that the page gets, as they come. */
const answersTo = (page: Page, hub: Hub): readonly string[] => {
  const answers: string[] = [];
  page.on('response', (response) => {
    if (new URL(response.url()).port === String(hub.port))
      answers.push(`${response.request().method()} ${response.status()}`);
  });
  return answers;
};

test('a page of a foreign origin reads nothing and changes nothing', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const hub = await hubFor(t);
  await request(hub.url, 'PUT', '/state/k', { body: { value: 'mine' } });
  await request(hub.url, 'POST', '/events/orders.eu', { body: { payload: 'mine' } });
  const before = await readWholeLog(hub.url);
  await page.goto(await foreignSite(t));
  const answers = answersTo(page, hub);
  const outcome = await inPage(page, attack, { hub: hub.url });
  t.deepEqual(outcome, {
    read: 'TypeError',
    write: 'TypeError',
    // The hub refuses, and the browser keeps even that from the page (Cross-Origin-Resource-Policy).
    publish: 'TypeError',
    mutate: 'TypeError',
    tail: 'refused',
    socket: 'refused',
    textForm: 'sent',
    urlencodedForm: 'sent',
    multipartForm: 'sent',
    getForm: 'sent',
    nullForm: 'sent',
  });
  t.deepEqual((await readWholeLog(hub.url)).filter(isNoAudit), before, 'nothing was written');
  // Of what scripts sent nothing is seen: four forms.
  t.true(
    answers.filter((answer) => answer === 'POST 403').length >= 4,
    `the hub refused: ${answers.join(', ')}`,
  );
  t.deepEqual(hub.logged, []);
});

test('control › the same attempts of a page of the hub’s own origin do write', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const hub = await hubFor(t);
  await openBlank(page, hub.url);
  const answers = answersTo(page, hub);
  const outcome = await inPage<Readonly<Record<string, unknown>>>(page, attack, { hub: hub.url });
  t.like(outcome, { write: 201, tail: 'open', socket: 'open' });
  t.is(answers.filter((answer) => answer === 'POST 403').length, 1, 'only the origin null is foreign');
  const types = (await readWholeLog(hub.url)).map(({ type }) => type);
  t.true(types.includes('StateSet') && types.includes('MessagePublished'));
});

test('a foreign name that leads to the hub’s address (DNS rebinding) is refused', async (t) => {
  const page = await pageFor(t, browser);
  if (page === undefined) return;
  const hub = await hubFor(t);
  const rebound = `http://${foreignHost}:${hub.port}`;
  const before = await readWholeLog(hub.url);
  for (const path of ['/health', '/state', '/graphql?query={health{status}}']) {
    const response = await page.goto(rebound + path);
    t.is(response?.status(), 403, path);
    t.regex((await response?.text()) ?? '', /"code":"protected_mode"/, path);
  }
  await openBlank(page, rebound);
  const outcome = await inPage<Readonly<Record<string, unknown>>>(page, attack, { hub: rebound });
  t.like(
    outcome,
    { read: 403, write: 403, tail: 'refused', socket: 'refused' },
    'the page may read: refusals',
  );
  t.deepEqual((await readWholeLog(hub.url)).filter(isNoAudit), before);
});
