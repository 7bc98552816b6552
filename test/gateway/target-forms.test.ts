import { createServer } from 'node:http';
import { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { refusedForms, refusedNames } from '../registry/target/forms.ts';
import { openHub } from '../support/hub.ts';
import { type Answer, request, until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

/** Every connect that this process, hub and tests, asks the system for: `HOST:PORT`. */
const attempts: string[] = [];
const connect = Socket.prototype.connect;
const placeOf = (argument: unknown): string => {
  const options: unknown = Array.isArray(argument) ? argument[0] : argument;
  if (typeof options !== 'object' || options === null) return JSON.stringify(options);
  const { host, port, path } = options as { host?: unknown; port?: unknown; path?: unknown };
  return `${String(host ?? path)}:${String(port)}`;
};
Socket.prototype.connect = function (this: Socket, ...parameters: Parameters<typeof connect>) {
  attempts.push(placeOf(parameters[0]));
  return connect.apply(this, parameters);
} as typeof connect;

const headers = {
  authorization: `Bearer ${signToken('tester', 'services:read services:write services:invoke:*')}`,
};

const openTarget = async (
  t: ExecutionContext,
  address: string,
  answer: (url: string) => { readonly status: number; readonly location?: string },
) => {
  let requests = 0;
  const server = createServer((asked, response) => {
    requests++;
    const { status, location } = answer(asked.url ?? '');
    asked.resume();
    response.writeHead(status, location === undefined ? {} : { location }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const place = server.address();
  return {
    port: typeof place === 'object' && place !== null ? place.port : 0,
    get requests() {
      return requests;
    },
  };
};

const codeOf = ({ body }: Answer): string => `${String(body.code)}`;
const checked = { intervalMs: 500, unhealthyThreshold: 1, graceMs: 0 };
const served = { name: 'svc', version: '1.0.0' };

test.serial('no connection is asked for to a refused address, however it is written', async (t) => {
  const victim = await openTarget(t, '127.0.0.1', () => ({ status: 200 }));
  const resolve = async (name: string): Promise<readonly string[]> => {
    if (name.toLowerCase() === 'localhost') return ['127.0.0.1', '::1'];
    const known = refusedNames[name];
    if (known === undefined) throw new Error('no such name');
    return known;
  };
  const hub = await openHub({ jwtSecret, resolve });
  const own = `127.0.0.1:${hub.port}`;
  t.teardown(hub.close);
  const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
    request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
  const { port } = victim;
  t.true(refusedForms.length >= 120, `${refusedForms.length}`);

  const probed: string[] = [];
  let registered = 0;
  for (const [index, form] of refusedForms.entries()) {
    const direct = { ...served, id: `direct-${index}`, name: `direct-${index}`, host: form, port };
    const answer = await ask('POST', '/services', direct);
    if (answer.status === 201) {
      registered++;
      const invoked = await ask('POST', `/services/direct-${index}/invoke`, {
        method: 'm',
        timeoutMs: 2_000,
      });
      t.is(invoked.status, 502, form);
      t.is(codeOf(invoked), 'target_refused', form);
      const proxied = await ask('GET', `/proxy/direct-${index}/latest/meta-data`);
      t.is(proxied.status, 502, form);
      t.is(codeOf(proxied), 'target_refused', form);
    } else {
      t.is(answer.status, 422, form);
    }
    for (const [kind, url] of [
      ['http', `http://${form}:${port}/health`],
      ['plain', `http://${form.replace(/^([^[].*:.*:.*)$/, '[$1]')}:${port}/`],
      ['tcp', `tcp://${form.replace(/^([^[].*:.*:.*)$/, '[$1]')}:${port}`],
    ] as const) {
      const id = `${kind}-${index}`;
      const check = {
        ...served,
        id,
        host: 'good.example',
        port: 1,
        healthCheckUrl: url,
        healthCheck: checked,
      };
      const status = (await ask('POST', '/services', check)).status;
      if (status === 201) probed.push(id);
      else t.is(status, 422, url);
    }
  }
  t.true(registered > 50, `${registered} of ${refusedForms.length} are taken and refused when they are used`);
  t.true(probed.length > 100, `${probed.length}`);
  for (const id of probed) {
    const { body } = await until(
      () => ask('GET', `/services/${id}`),
      ({ body: service }) => service.status === 'unhealthy',
    );
    t.regex(
      String(body.statusReason),
      /never a target|allowedTargets|neither a plain host|cannot be resolved/,
      id,
    );
  }
  t.is(victim.requests, 0);
  t.deepEqual(
    attempts.filter((place) => place !== own && !place.startsWith(`localhost:${hub.port}`)),
    [],
  );
});

test.serial(
  'a name that leads elsewhere at each look-up is never followed to a refused address',
  async (t) => {
    const good = await openTarget(t, '127.0.0.2', () => ({ status: 200 }));
    const victim = await openTarget(t, '127.0.0.1', () => ({ status: 200 }));
    let asked = 0;
    const resolve = async (): Promise<readonly string[]> => [asked++ % 2 === 0 ? '127.0.0.2' : '127.0.0.1'];
    const hub = await openHub({ jwtSecret, resolve, allowedTargets: ['127.0.0.2/32'] });
    t.teardown(hub.close);
    const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
      request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
    attempts.length = 0;
    const outcomes = new Set<number>();
    for (let index = 0; index < 20; index++) {
      // Another name each time, so that no kept connection answers.
      const name = `rebinding-${index}`;
      await ask('POST', '/services', { ...served, id: name, name, host: `${name}.example`, port: good.port });
      outcomes.add((await ask('POST', `/services/${name}/invoke`, { method: 'm' })).status);
      outcomes.add((await ask('GET', `/proxy/${name}/`)).status);
    }
    t.deepEqual([...outcomes].sort(), [200, 502]);
    t.true(good.requests > 0);
    t.is(victim.requests, 0);
    t.deepEqual(
      [...new Set(attempts)].filter((place) => place !== `127.0.0.1:${hub.port}`),
      [`127.0.0.2:${good.port}`],
    );
    await hub.close();
  },
);

test.serial(
  'a redirect to a refused address is not followed by a health check, a call or the proxy',
  async (t) => {
    const victim = await openTarget(t, '127.0.0.1', () => ({ status: 200 }));
    const places = [
      `http://127.0.0.1:${victim.port}/`,
      `//127.0.0.1:${victim.port}/`,
      'http://169.254.169.254/latest/meta-data',
      `http://0x7f000001:${victim.port}/`,
      `http://[::ffff:127.0.0.1]:${victim.port}/`,
    ];
    const statuses = [301, 302, 303, 307, 308];
    const turns = statuses.flatMap((status) => places.map((location) => ({ status, location })));
    const redirecting = await openTarget(
      t,
      '127.0.0.2',
      (url) => turns[Number(url.slice(1))] ?? { status: 500 },
    );
    const hub = await openHub({ jwtSecret, allowedTargets: ['127.0.0.2/32'] });
    t.teardown(hub.close);
    const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
      request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
    const { port } = redirecting;
    attempts.length = 0;
    await ask('POST', '/services', { ...served, id: 'one', host: '127.0.0.2', port });
    for (const [index, { status, location }] of turns.entries()) {
      const invoked = await ask('POST', '/services/svc/invoke', { method: String(index) });
      t.like(invoked.body, { code: 'upstream_failed', upstreamStatus: status });
      const proxied = await fetch(`${hub.url}/proxy/svc/${index}`, { headers, redirect: 'manual' });
      t.is(proxied.status, status);
      t.is(proxied.headers.get('location'), location);
      await proxied.arrayBuffer();
      const id = `checked-${index}`;
      const healthCheckUrl = `http://127.0.0.2:${port}/${index}`;
      await ask('POST', '/services', {
        ...served,
        name: id,
        id,
        host: '127.0.0.2',
        port,
        healthCheckUrl,
        healthCheck: checked,
      });
    }
    for (const [index, { status }] of turns.entries()) {
      const { body } = await until(
        () => ask('GET', `/services/checked-${index}`),
        ({ body: service }) => service.status === 'unhealthy',
      );
      t.is(body.statusReason, `health check: status ${status}`);
    }
    t.is(victim.requests, 0);
    t.deepEqual(
      [...new Set(attempts)].filter((place) => !place.endsWith(`:${hub.port}`)),
      [`127.0.0.2:${port}`],
    );
    await hub.close();
  },
);
