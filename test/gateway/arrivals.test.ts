import { once } from 'node:events';
import test from 'ava';
import { openHub } from '../support/hub.ts';
import { jwtSecret } from '../support/token.ts';
import { until } from '../support/until.ts';
import { exchange } from './client.ts';
import { bearer, bytesOf, open, serve } from './proxy-world.ts';

test('an upload to a service may take longer than a request may while it moves, and no longer when it does not', async (t) => {
  const timeouts = { headersMs: 300, requestMs: 400, checkEveryMs: 20 };
  const hub = await openHub({ jwtSecret, allowedTargets: ['127.0.0.0/8'], timeouts });
  t.teardown(hub.close);
  let received = 0;
  await serve(t, hub, 'slow', async (request, response) => {
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await once(request, 'end').catch(() => {});
    response.end(String(received));
  });
  const { request, answer } = open(hub, 'POST', '/proxy/slow/', { 'transfer-encoding': 'chunked' });
  request.on('error', () => {});
  // A request elsewhere that never becomes whole says when the limit of all has passed.
  const { authorization } = bearer();
  const head = `PUT /state/k HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n`;
  let isOver = false;
  const elsewhere = exchange(
    hub.port,
    `${head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
  ).then((text) => {
    isOver = true;
    return text;
  });
  let sent = 0;
  while (!isOver) {
    request.write('x');
    sent++;
    const expected = sent;
    await until(() => received >= expected);
  }
  t.regex(await elsewhere, /^HTTP\/1\.1 408 /);
  request.end('y');
  t.is((await bytesOf(await answer)).toString(), String(sent + 1));

  const stuck = open(hub, 'POST', '/proxy/slow/', { 'transfer-encoding': 'chunked' });
  stuck.request.on('error', () => {}).write('x');
  t.is((await stuck.answer).statusCode, 408);
});
