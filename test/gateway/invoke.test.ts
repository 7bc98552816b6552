import test from 'ava';
import { listen } from '../registry/support.ts';
import type { Hub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { call } from './client.ts';
import { bearer, openProxyHub, register, serve } from './proxy-world.ts';

let hub: Hub;
test.before(async () => {
  hub = await openProxyHub();
});
test.after.always(() => hub.close());

const invoke = (name: string, headers: Record<string, string> = {}) =>
  call(hub.url, 'POST', `/services/${name}/invoke`, {
    headers: { ...bearer(), ...headers },
    json: { method: 'm' },
  });

test('the answer names the instance, a failure too', async (t) => {
  await serve(t, hub, 'named', (request, response) => {
    request.resume();
    response.end('1');
  });
  t.like(await invoke('named'), { status: 200, headers: { 'x-nexus-instance': 'named-0' } });
  await serve(t, hub, 'failing', (request, response) => {
    request.resume();
    response.writeHead(500).end();
  });
  t.like(await invoke('failing'), { status: 502, headers: { 'x-nexus-instance': 'failing-0' } });
  t.is((await invoke('nobody')).headers['x-nexus-instance'], undefined);
});

test('the caller’s own deadline ends the call, and one that is none is invalid', async (t) => {
  const given: number[] = [];
  await serve(t, hub, 'timed', (request, response) => {
    request.resume();
    given.push(Number(request.headers['x-nexus-timeout-ms']));
    response.end('1');
  });
  const inTenSec = new Date(Date.now() + 10_000).toISOString();
  t.is((await invoke('timed', { 'x-nexus-deadline': inTenSec })).status, 200);
  t.is((await invoke('timed', { 'x-nexus-timeout-ms': '5000', 'x-nexus-deadline': inTenSec })).status, 200);
  t.true((given[0] ?? 0) <= 10_000 && (given[1] ?? 0) <= 5_000);
  const past = await invoke('timed', { 'x-nexus-deadline': '2020-01-01T00:00:00Z' });
  t.like(past, { status: 504, body: { code: 'upstream_timeout' } });
  t.is(given.length, 2);
  for (const [name, value] of [
    ['X-Nexus-Deadline', 'tomorrow'],
    ['X-Nexus-Timeout-Ms', '-1'],
  ] as const) {
    const bad = await invoke('timed', { [name]: value });
    t.like(bad, { status: 422, body: { code: 'invalid', errors: [{ pointer: `/${name}` }] } });
  }
});

test('beyond a service’s calls at a time it is 503 with Retry-After', async (t) => {
  const held: (() => void)[] = [];
  const server = await listen((request, response) => {
    request.resume();
    held.push(() => response.end('1'));
  });
  t.teardown(server.close);
  await register(hub, 'narrow', {
    ...{ id: 'narrow', host: '127.0.0.1', port: server.port, balancing: { maxInFlight: 1 } },
  });
  const first = invoke('narrow');
  await until(() => held.length === 1);
  t.like(await invoke('narrow'), {
    status: 503,
    headers: { 'retry-after': '1' },
    body: { code: 'overloaded' },
  });
  held[0]?.();
  t.is((await first).status, 200);
});
