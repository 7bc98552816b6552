import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import test from 'ava';
import { freePort } from '../registry/support.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { call } from './client.ts';
import { bearer, bytesOf, openProxyHub, register, serve } from './proxy-world.ts';

let hub: Hub;
test.before(async () => {
  hub = await openProxyHub();
});
test.after.always(() => hub.close());

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  call(hub.url, method, path, { headers: { ...bearer(), ...headers } });
const codeOf = ({ body }: { readonly body: unknown }): unknown =>
  typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;

test('the instance gets the method, the body and the rest of the target exactly as it was written', async (t) => {
  const seen: unknown[] = [];
  const [server] = await serve(t, hub, 'exact', async (request, response) => {
    seen.push([request.method, request.url, (await bytesOf(request)).toString(), request.headers.host]);
    response.end();
  });
  const targets = [
    ['', '/'],
    ['?a=1&b=%20', '/?a=1&b=%20'],
    ['/', '/'],
    ['/a/../../b', '/a/../../b'],
    ['/%2e%2e/%2E./c', '/%2e%2e/%2E./c'],
    ['//evil.example/x', '//evil.example/x'],
    ['/http://169.254.169.254/', '/http://169.254.169.254/'],
    ['/@evil.example:80/', '/@evil.example:80/'],
    ['/a%2Fb%3Fc;d=\\e', '/a%2Fb%3Fc;d=\\e'],
  ] as const;
  for (const [rest, target] of targets) {
    const headers = bearer();
    t.is(
      (await call(hub.url, 'PROPFIND', `/proxy/exact${rest}`, { headers, raw: 'body' })).status,
      200,
      rest,
    );
    t.deepEqual(seen.pop(), ['PROPFIND', target, 'body', `127.0.0.1:${server?.port}`]);
  }
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']) {
    t.is((await get('/proxy/exact/m', {}, method)).status, 200, method);
    t.like(seen.pop(), [method, '/m', '']);
  }
  t.is(codeOf(await get('/proxy/exact/m', {}, 'TRACE')), 'method_not_allowed');
});

test('what is between two neighbours, and what only the hub may say, does not reach the instance', async (t) => {
  const seen: IncomingHttpHeaders[] = [];
  const [server] = await serve(t, hub, 'fields', (request, response) => {
    seen.push(request.headers);
    response.end();
  });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const answer = await get('/proxy/fields/x', {
    ...bearer('größe'),
    connection: 'x-private, range, content-type, keep-alive',
    'x-private': '1',
    range: 'bytes=0-1',
    'content-type': 'text/x',
    te: 'trailers',
    'keep-alive': 'timeout=5',
    'proxy-authorization': 'Basic eA==',
    cookie: 'session=1',
    forwarded: 'for=1.2.3.4',
    'x-forwarded-for': '1.2.3.4',
    'x-forwarded-prefix': '/y',
    'x-real-ip': '1.2.3.4',
    'x-nexus-subject': 'admin',
    'x-nexus-anything': '1',
    'x-request-id': 'r-1',
    'x-correlation-id': 'c-1',
    'idempotency-key': 'k-1',
    'x-own': 'mine',
    traceparent,
    tracestate: 'v=1',
  });
  t.is(answer.status, 200);
  t.is(answer.headers['x-nexus-instance'], 'fields-0');
  const {
    traceparent: continued,
    'x-nexus-deadline': deadline,
    'x-nexus-timeout-ms': timeoutMs,
    ...rest
  } = seen[0] ?? {};
  t.regex(String(continued), /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  t.true(Date.parse(String(deadline)) > 0);
  // A GET may be tried elsewhere: half of the 30 s.
  t.true(Number(timeoutMs) > 0 && Number(timeoutMs) <= 15_000);
  t.deepEqual(
    { ...rest },
    {
      connection: 'keep-alive',
      host: `127.0.0.1:${server?.port}`,
      range: 'bytes=0-1',
      'content-type': 'text/x',
      'idempotency-key': 'k-1',
      'x-own': 'mine',
      tracestate: 'v=1',
      'x-correlation-id': 'c-1',
      'x-request-id': 'r-1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `127.0.0.1:${hub.port}`,
      'x-nexus-subject': 'gr%C3%B6%C3%9Fe',
      'x-nexus-instance': 'fields-0',
    },
  );
});

test('an answer keeps its own fields, and nothing that would hold for the hub’s origin', async (t) => {
  await serve(t, hub, 'answers', (_request, response) => {
    response.writeHead(418, [
      ...['Connection', 'close, x-private', 'X-Private', '1', 'Content-Type', 'text/html', 'X-Own', 'é'],
      ...['Content-Security-Policy', "default-src 'self'", 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
      ...['Access-Control-Allow-Origin', '*', 'X-Content-Type-Options', 'none', 'Clear-Site-Data', '"*"'],
      ...['Strict-Transport-Security', 'max-age=1', 'Alt-Svc', 'h3=":1"', 'X-Nexus-Position', '1'],
      ...['Cache-Control', 'max-age=60', 'ETag', '"1"', 'X-Request-Id', 'theirs', 'RateLimit-Limit', '1'],
      ...['Service-Worker-Allowed', '/', 'WWW-Authenticate', 'Basic', 'WWW-Authenticate', 'Bearer'],
    ]);
    response.end('<p>');
  });
  const { status, headers, text } = await get('/proxy/answers/', { 'x-request-id': 'mine' });
  t.is(status, 418);
  t.is(text, '<p>');
  t.like(headers, {
    'content-type': 'text/html',
    'content-security-policy': "default-src 'self', sandbox",
    'x-content-type-options': 'nosniff',
    'cache-control': 'max-age=60',
    etag: '"1"',
    'x-request-id': 'mine',
    'x-nexus-instance': 'answers-0',
    'www-authenticate': 'Basic, Bearer',
  });
  t.is(headers['x-own'], 'é');
  for (const name of ['set-cookie', 'access-control-allow-origin', 'clear-site-data', 'alt-svc', 'x-private'])
    t.is(headers[name], undefined, name);
  for (const name of ['strict-transport-security', 'service-worker-allowed', 'x-nexus-position'])
    t.is(headers[name], undefined, name);
  t.not(headers['ratelimit-limit'], '1');
});

test('HEAD, 204, 304 and a redirect are what they were', async (t) => {
  await serve(t, hub, 'forms', (request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"1"', 'content-length': '7' }).end();
    else if (request.url === '/307') response.writeHead(307, { location: 'http://169.254.169.254/' }).end();
    else response.writeHead(200, { 'content-length': '7' }).end(request.method === 'HEAD' ? '' : 'content');
  });
  t.like(await get('/proxy/forms/', {}, 'HEAD'), {
    status: 200,
    text: '',
    headers: { 'content-length': '7' },
  });
  t.like(await get('/proxy/forms/'), { status: 200, text: 'content', headers: { 'content-length': '7' } });
  t.like(await get('/proxy/forms/204'), { status: 204, text: '' });
  t.like(await get('/proxy/forms/304'), { status: 304, text: '', headers: { etag: '"1"' } });
  t.like(await get('/proxy/forms/307'), { status: 307, headers: { location: 'http://169.254.169.254/' } });
});

test('refusals are problems: who may not, what is not there, what is not fit', async (t) => {
  t.is(codeOf(await call(hub.url, 'GET', '/proxy/any/')), 'unauthorized');
  t.like((await get('/proxy/any/', bearer('ada', 'services:invoke:other'))).body, {
    code: 'forbidden',
    scope: 'services:invoke:any',
  });
  for (const name of ['nobody', '', 'UPPER', '%2e%2e', '..', 'a%2Fb'])
    t.is(codeOf(await get(`/proxy/${name}/x`)), 'service_not_found', name);
  await register(hub, 'sick', { id: 'sick', host: '127.0.0.1', port: 9, ttlSec: 60 });
  t.is(codeOf(await get('/proxy/sick/')), 'no_healthy_instance');
  await register(hub, 'walled', { id: 'walled', reach: 'socket' });
  t.is((await get('/proxy/walled/')).status, 501);
  await register(hub, 'far', { id: 'far', host: '169.254.169.254', port: 80 }).catch(() => {});
  await register(hub, 'dead', { id: 'dead', host: '127.0.0.1', port: await freePort() });
  t.like((await get('/proxy/dead/')).body, { code: 'upstream_failed', instance: 'dead', attempts: 1 });
  for (const [name, value] of [
    ['X-Nexus-Strategy', 'best'],
    ['X-Nexus-Timeout-Ms', '0'],
    ['X-Nexus-Timeout-Ms', 'soon'],
    ['X-Nexus-Key', 'x'.repeat(257)],
  ] as const) {
    const { body } = await get('/proxy/dead/', { [name]: value });
    t.like(body, { code: 'invalid', errors: [{ pointer: `/${name}` }] });
  }
});

test('in protected mode a proxied page is sandboxed, and a target that is refused is never connected to', async (t) => {
  const local = await openHub();
  const add = (json: object) => call(local.url, 'POST', '/services', { json: { version: '1.0.0', ...json } });
  await add({ id: 'far', name: 'far', host: '10.1.2.3', port: 80 });
  t.is(codeOf(await call(local.url, 'GET', '/proxy/far/')), 'target_refused');
  await add({ id: 'self', name: 'self', host: '127.0.0.1', port: local.port });
  t.is(codeOf(await call(local.url, 'GET', '/proxy/self/health')), 'target_refused');
  await local.close();
});

test('what has no body goes to another instance when one fails; what has one does not', async (t) => {
  let first = true;
  const flaky: RequestListener = (request, response) => {
    request.resume();
    if (first) response.writeHead(503).end();
    else response.end('fine');
    first = false;
  };
  await serve(t, hub, 'flaky', flaky, flaky);
  t.like(await get('/proxy/flaky/'), { status: 200, text: 'fine' });
  for (const send of [
    () => call(hub.url, 'POST', '/proxy/flaky/', { headers: bearer() }),
    () => call(hub.url, 'PUT', '/proxy/flaky/', { headers: bearer(), raw: 'x' }),
  ]) {
    first = true;
    t.is((await send()).status, 503);
  }
});

test('a body that nobody has taken yet reaches another instance whole', async (t) => {
  await serve(t, hub, 'moved', async (request, response) => {
    response.end(await bytesOf(request));
  });
  await register(hub, 'moved', {
    id: 'moved-dead',
    host: '127.0.0.1',
    port: await freePort(),
    weight: 1_000,
  });
  const raw = Buffer.alloc(300_000, 'abc');
  for (let call_ = 0; call_ < 4; call_++) {
    const answer = await call(hub.url, 'POST', '/proxy/moved/', { headers: bearer(), raw });
    t.is(answer.status, 200);
    t.true(Buffer.from(answer.text).equals(raw));
  }
});
