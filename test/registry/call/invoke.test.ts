import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from 'node:http';
import test from 'ava';
import type { Json } from '../../../domain/event.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { openRegistry, type Registry } from '../../../src/registry/registry.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { createTestClock, freePort, type Listening, listen, quiet, serviceDocument } from '../support.ts';
import { silent, withInstances } from './world.ts';

const bodyOf = async (request: IncomingMessage): Promise<Json> => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
};

const open = (random: () => number = Math.random): Registry =>
  openRegistry({
    logger: quiet,
    targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
    changeStatus: async () => {},
    deregister: async () => {},
    random,
  });

const withServers = async (
  listeners: readonly RequestListener[],
  run: (registry: Registry, servers: readonly Listening[]) => Promise<void>,
  changes: Partial<ServiceDocument> = {},
): Promise<void> => {
  const registry = open();
  const servers = await Promise.all(listeners.map(listen));
  servers.forEach(({ port }, index) => {
    registry.put(serviceDocument({ id: `s${index}`, port, ...changes }));
  });
  try {
    await run(registry, servers);
  } finally {
    await registry.close();
    await Promise.all(servers.map((server) => server.close()));
  }
};

const answering =
  (status: number, body: string | Uint8Array): RequestListener =>
  (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  };

test('the instance is called with POST /{method} and the data, and its JSON is the result', async (t) => {
  const seen: unknown[] = [];
  const echo: RequestListener = async (request, response) => {
    const body = await bodyOf(request);
    seen.push([request.method, request.url, request.headers['content-type'], body]);
    response.end(JSON.stringify({ echo: body }));
  };
  await withServers([echo], async (registry) => {
    const invoked = await registry.invoke('svc', { method: 'math/add', data: { a: 1 } });
    t.like(invoked, { ok: true, value: { result: { echo: { a: 1 } }, instance: 's0', attempts: 1 } });
    await registry.invoke('svc', { method: 'none' });
    t.deepEqual(seen, [
      ['POST', '/math/add', 'application/json', { a: 1 }],
      ['POST', '/none', 'application/json', null],
    ]);
  });
});

test('the caller’s trace goes on under a parent id of the hub, and one begins where there is none', async (t) => {
  const seen: IncomingHttpHeaders[] = [];
  const note: RequestListener = (request, response) => {
    seen.push(request.headers);
    answering(200, '1')(request, response);
  };
  await withServers([note], async (registry) => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${trace}-b7ad6b7169203331-00`;
    const tracestate = 'vendor=1';
    await registry.invoke('svc', { method: 'm' }, { traceparent, tracestate, correlationId: 'c-1' });
    await registry.invoke('svc', { method: 'm' }, { tracestate });
    await registry.invoke(
      'svc',
      { method: 'm' },
      { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-00`, tracestate },
    );
    const [first, second, third] = seen;
    t.regex(first?.traceparent as string, new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-00$`));
    t.is(first?.tracestate, tracestate);
    t.is(first?.['x-correlation-id'], 'c-1');
    for (const begun of [second, third]) {
      t.regex(begun?.traceparent as string, /^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      t.is(begun?.tracestate, undefined);
    }
  });
});

test('connections are kept: a hundred invocations in a row do not open a hundred', async (t) => {
  await withServers([answering(200, '1')], async (registry, [server]) => {
    let connections = 0;
    server?.server.on('connection', () => connections++);
    for (let call = 0; call < 100; call++) t.true((await registry.invoke('svc', { method: 'm' })).ok);
    t.true(connections < 10, `${connections}`);
  });
});

test('nobody of that name is service_not_found, nobody healthy or able is no_healthy_instance', async (t) => {
  const registry = open();
  t.like(await registry.invoke('svc', { method: 'm' }), { problem: { code: 'service_not_found' } });
  registry.put(serviceDocument({ status: 'maintenance' }));
  t.like(await registry.invoke('svc', { method: 'm' }), {
    problem: { code: 'no_healthy_instance', facts: { instances: [{ id: 'one', status: 'maintenance' }] } },
  });
  registry.put(serviceDocument({ id: 'two', capabilities: ['b'] }));
  t.like(await registry.invoke('svc', { method: 'm', capability: 'a' }), {
    problem: { code: 'no_healthy_instance', facts: { capability: 'a' } },
  });
  await registry.close();
});

test('only an instance with the capability is called', async (t) => {
  await withServers([answering(200, '0'), answering(200, '1')], async (registry, [, second]) => {
    registry.put(serviceDocument({ id: 's1', port: second?.port ?? 0, capabilities: ['b'] }));
    for (let call = 0; call < 10; call++) {
      t.like(await registry.invoke('svc', { method: 'm', capability: 'b' }), { value: { instance: 's1' } });
    }
  });
});

const failures: readonly [claim: string, RequestListener, Record<string, unknown>][] = [
  [
    'a status outside 2xx, with its JSON',
    answering(422, '{"why":"no"}'),
    { upstreamStatus: 422, body: { why: 'no' } },
  ],
  ['a status outside 2xx, with its text', answering(500, 'oops'), { upstreamStatus: 500, body: 'oops' }],
  ['an answer that is not JSON', answering(200, '<html>'), { upstreamStatus: 200, body: '<html>' }],
  ['an answer that is not UTF-8', answering(200, Buffer.from([0x22, 0xff, 0x22])), { upstreamStatus: 200 }],
  [
    'an answer deeper than 64 levels',
    answering(200, `${'['.repeat(65)}${']'.repeat(65)}`),
    { upstreamStatus: 200 },
  ],
  ['an answer over 1 MiB', answering(200, `"${'x'.repeat(1_048_576)}"`), { upstreamStatus: 200, body: null }],
  [
    'a redirect',
    (_request, response) => response.writeHead(307, { location: '/x' }).end(),
    { upstreamStatus: 307 },
  ],
  [
    'a connection that breaks after the request',
    (request) => request.socket.destroy(),
    { instance: 's0', attempts: 1 },
  ],
];
for (const [claim, listener, facts] of failures) {
  test(`${claim} is upstream_failed, and nobody else is tried`, async (t) => {
    let others = 0;
    const count: RequestListener = (request, response) => {
      others++;
      listener(request, response);
    };
    await withServers([count, count], async (registry) => {
      const invoked = await registry.invoke('svc', { method: 'm' });
      t.like(invoked, { ok: false, problem: { code: 'upstream_failed' } });
      const { instance: _, ...expected } = facts;
      t.like(invoked.ok ? {} : invoked.problem.facts, expected);
      t.is(others, 1);
    });
  });
}

test('answers of exactly 64 levels and of exactly 1 MiB are results, an empty one is null', async (t) => {
  const deep = `${'['.repeat(64)}${']'.repeat(64)}`;
  const large = `"${'x'.repeat(1_048_574)}"`;
  for (const [body, length] of [
    [deep, deep.length],
    [large, large.length],
  ] as const) {
    await withServers([answering(200, body)], async (registry) => {
      const invoked = await registry.invoke('svc', { method: 'm' });
      t.is(invoked.ok ? JSON.stringify(invoked.value.result).length : 0, length);
    });
  }
  await withServers([answering(204, '')], async (registry) => {
    t.like(await registry.invoke('svc', { method: 'm' }), { value: { result: null } });
  });
});

test('an instance that refuses connections is passed over for another one', async (t) => {
  await withServers([answering(200, '1')], async (registry) => {
    registry.put(serviceDocument({ id: 'dead', port: await freePort(), weight: 1_000 }));
    const invoked = await registry.invoke('svc', { method: 'm' });
    t.like(invoked, { value: { instance: 's0', attempts: 2 } });
  });
});

test('when nobody can be reached the attempts are told', async (t) => {
  const registry = open();
  registry.put(serviceDocument({ id: 'a', port: await freePort() }));
  registry.put(serviceDocument({ id: 'b', port: await freePort() }));
  t.like(await registry.invoke('svc', { method: 'm' }), {
    problem: { code: 'upstream_failed', facts: { attempts: 2 } },
  });
  await registry.close();
});

test('an address that is not allowed is never called', async (t) => {
  const registry = open();
  registry.put(serviceDocument({ id: 'metadata', host: '169.254.169.254', port: 80 }));
  t.like(await registry.invoke('svc', { method: 'm' }), { problem: { code: 'target_refused' } });
  await registry.close();
});

test('a name is connected to by the address that was checked, again at every connect', async (t) => {
  const server = await listen(answering(200, '1'));
  let address = '127.0.0.1';
  const registry = openRegistry({
    logger: quiet,
    targets: createTargets({
      mode: 'protected',
      allowedTargets: [],
      ownPorts: () => [],
      resolve: async () => [address],
    }),
    changeStatus: async () => {},
    deregister: async () => {},
  });
  registry.put(serviceDocument({ host: 'service.example', port: server.port }));
  t.like(await registry.invoke('svc', { method: 'm' }), { value: { result: 1 } });
  address = '10.0.0.1';
  server.server.closeAllConnections();
  let code = '';
  while (code !== 'target_refused') {
    const invoked = await registry.invoke('svc', { method: 'm' });
    if (invoked.ok) return t.fail('the new address was not checked');
    code = invoked.problem.code;
    // The first call may still have met the dying connection.
    t.true(code === 'target_refused' || code === 'upstream_failed');
  }
  await registry.close();
  await server.close();
});

test('no answer in time is upstream_timeout, and the instance has no request left', async (t) => {
  const clock = createTestClock();
  const run = async (registry: Registry, [server]: readonly Listening[]): Promise<void> => {
    const arrived = once(server?.server ?? process, 'request');
    const invoking = registry.invoke('svc', { method: 'm', timeoutMs: 50 });
    await arrived;
    clock.advance(50);
    t.like(await invoking, { problem: { code: 'upstream_timeout', facts: { instance: 's0', attempts: 1 } } });
    t.is(registry.live('s0')?.inFlight, 0);
  };
  await withInstances([silent], {}, run, { clock: clock.now, after: clock.after });
});

test('a caller who gives up cancels the request at the instance', async (t) => {
  let gone: Promise<unknown> = Promise.resolve();
  const hold: RequestListener = (request) => {
    gone = once(request.socket, 'close');
    request.resume();
  };
  await withServers([hold], async (registry, [server]) => {
    const caller = new AbortController();
    const arrived = once(server?.server ?? process, 'request');
    const invoking = registry.invoke('svc', { method: 'm' }, { signal: caller.signal });
    await arrived;
    t.is(registry.live('s0')?.inFlight, 1);
    caller.abort();
    t.like(await invoking, { problem: { code: 'upstream_failed' } });
    await gone;
    t.is(registry.live('s0')?.inFlight, 0);
  });
});
