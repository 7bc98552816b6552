import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import test from 'ava';
import type { Hub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { call } from './client.ts';
import { bearer, bytesOf, open, openProxyHub, serve } from './proxy-world.ts';

let hub: Hub;
test.before(async () => {
  hub = await openProxyHub();
});
test.after.always(() => hub.close());

const wholeBytes = 200 * 1_048_576;
/** Far more than what the sockets of both sides and the streams between them hold, and far less than the whole. */
const heldBytes = 48 * 1_048_576;
const block = Buffer.alloc(1_048_576, 'nexus');
const digestOf = async (stream: AsyncIterable<unknown>): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of stream) if (chunk instanceof Buffer) hash.update(chunk);
  return hash.digest('hex');
};
const expected = (() => {
  const hash = createHash('sha256');
  for (let sent = 0; sent < wholeBytes; sent += block.length) hash.update(block);
  return hash.digest('hex');
})();

/** Writes all of it as fast as it is taken; `sent` says how much was. */
const pour = async (to: NodeJS.WritableStream, sent: { bytes: number; isHeld: boolean }): Promise<void> => {
  for (; sent.bytes < wholeBytes; sent.bytes += block.length) {
    if (to.write(block)) continue;
    sent.isHeld = true;
    await once(to, 'drain');
    sent.isHeld = false;
  }
  to.end();
};

/** Resolves when a writer that is held up has stayed where it is for some rounds of the event loop of both sides. */
const standsStill = async (sent: { bytes: number; isHeld: boolean }): Promise<void> => {
  let before = -1;
  let still = 0;
  await until(() => {
    still = sent.isHeld && sent.bytes === before ? still + 1 : 0;
    before = sent.bytes;
    return still > 20 || sent.bytes >= wholeBytes;
  });
};

test('a download of 200 MB waits for its reader, and arrives whole', async (t) => {
  const sent = { bytes: 0, isHeld: false };
  await serve(t, hub, 'down', (_request, response) => void pour(response, sent));
  const { request, answer } = open(hub, 'GET', '/proxy/down/');
  request.end();
  const response = await answer;
  await standsStill(sent);
  t.true(
    sent.bytes < heldBytes,
    `${sent.bytes} bytes were taken from the instance for a reader that reads none`,
  );
  t.is(await digestOf(response), expected);
});

test('an upload of 200 MB waits for the instance, and arrives whole', async (t) => {
  const sent = { bytes: 0, isHeld: false };
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  await serve(t, hub, 'up', async (incoming, response) => {
    await begun;
    response.end(await digestOf(incoming));
  });
  const { request, answer } = open(hub, 'PUT', '/proxy/up/');
  const poured = pour(request, sent);
  await standsStill(sent);
  t.true(sent.bytes < heldBytes, `${sent.bytes} bytes were taken from a client that no instance reads`);
  begin();
  await poured;
  t.is((await bytesOf(await answer)).toString(), expected);
});

test('the length of an upload is told to the instance where the client told it', async (t) => {
  const lengths: unknown[] = [];
  await serve(t, hub, 'lengths', async (incoming, response) => {
    lengths.push([incoming.headers['content-length'], incoming.headers['transfer-encoding']]);
    response.end(await bytesOf(incoming));
  });
  t.is((await call(hub.url, 'POST', '/proxy/lengths/', { headers: bearer(), raw: 'four' })).text, 'four');
  const { request, answer } = open(hub, 'POST', '/proxy/lengths/', { 'transfer-encoding': 'chunked' });
  request.end('more');
  t.is((await bytesOf(await answer)).toString(), 'more');
  t.deepEqual(lengths, [
    ['4', undefined],
    [undefined, 'chunked'],
  ]);
});

test('an answer is passed on as it comes, and may take longer than the time limit of its beginning', async (t) => {
  let response: ServerResponse | undefined;
  await serve(t, hub, 'events', (_request, answer) => {
    response = answer;
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  });
  const { request, answer } = open(hub, 'GET', '/proxy/events/', { 'x-nexus-timeout-ms': '1000' });
  request.end();
  const incoming = await answer;
  t.is(incoming.headers['content-type'], 'text/event-stream');
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    response?.write(event);
    const [chunk]: unknown[] = await once(incoming, 'data');
    t.is(String(chunk), event);
  }
  // A second request that has its time-out meanwhile says that the first has outlived its own.
  await serve(t, hub, 'never', (asked) => asked.resume());
  const second = await call(hub.url, 'POST', '/proxy/never/', {
    headers: { ...bearer(), 'x-nexus-timeout-ms': '1100' },
  });
  t.like(second, { status: 504, body: { code: 'upstream_timeout', instance: 'never-0' } });
  response?.end('data: 3\n\n');
  t.is((await bytesOf(incoming)).toString(), 'data: 3\n\n');
});

test('a client that goes away cancels the request at the instance', async (t) => {
  let asked: IncomingMessage | undefined;
  await serve(t, hub, 'held', (incoming, response) => {
    asked = incoming;
    if (incoming.url === '/begun') response.writeHead(200).write('x');
  });
  for (const path of ['/never', '/begun']) {
    asked = undefined;
    const { request } = open(hub, 'GET', `/proxy/held${path}`);
    request.on('error', () => {}).end();
    await until(() => asked !== undefined);
    const gone = new Promise((resolve) => asked?.on('error', () => {}).once('close', resolve));
    request.destroy();
    await gone;
    t.pass();
  }
});

test('an answer that breaks off breaks off for the client too', async (t) => {
  await serve(t, hub, 'broken', (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy());
  });
  const { request, answer } = open(hub, 'GET', '/proxy/broken/');
  request.end();
  await t.throwsAsync(bytesOf(await answer));
});

test('an instance that answers before it has the whole body is heard', async (t) => {
  await serve(t, hub, 'early', (_request, response) => {
    response.writeHead(413, { connection: 'close' }).end('no');
  });
  const { request, answer } = open(hub, 'POST', '/proxy/early/', { 'transfer-encoding': 'chunked' });
  request.on('error', () => {}).write('some');
  const response = await answer;
  t.is(response.statusCode, 413);
  t.is((await bytesOf(response)).toString(), 'no');
  request.end('rest');
});
