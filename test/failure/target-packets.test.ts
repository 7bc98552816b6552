import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { refusedForms, refusedNames } from '../registry/target/forms.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { type Answer, request, until } from '../support/rest.ts';
import { skipped } from '../support/skip.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { traced, whyNoInjection } from './inject.ts';

const headers = {
  authorization: `Bearer ${signToken('tester', 'services:read services:write services:invoke:*')}`,
};
const served = {
  version: '1.0.0',
  name: 'svc',
  healthCheck: { intervalMs: 500, unhealthyThreshold: 1, graceMs: 0 },
};

/** Connects of TCP that a traced process asked the system for. */
const connectsIn = (trace: string): readonly string[] =>
  trace.split('\n').filter((line) => /connect\(\d+<TCP/.test(line));

/** A hub whose system calls are traced; gives its trace when it has ended. */
const startTraced = async (t: ExecutionContext, env: Readonly<Record<string, string>>) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-traced-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'trace');
  const hub = await startHubProcess(folder, [], env, traced(file, '-yy', '-e', 'trace=connect'));
  t.teardown(() => hub.kill('SIGKILL'));
  return {
    ask: (method: string, path: string, body?: unknown): Promise<Answer> =>
      request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) }),
    end: async (): Promise<readonly string[]> => {
      await hub.kill('SIGTERM');
      return connectsIn(await readFile(file, 'utf8'));
    },
  };
};

test('the system sees no connect to a refused address: registration, health check, call and proxy', async (t) => {
  const lacking = whyNoInjection();
  if (lacking !== undefined) return skipped(t, t.title, lacking);
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const place = server.address();
  const port = typeof place === 'object' && place !== null ? place.port : 0;

  const hub = await startTraced(t, { NEXUS_JWT_SECRET: jwtSecret });
  // The resolver of this machine knows none of the test's own names.
  const forms = refusedForms.filter((form) => refusedNames[form] === undefined);
  const probed: string[] = [];
  for (const [index, form] of forms.entries()) {
    const name = `direct-${index}`;
    const { status } = await hub.ask('POST', '/services', { ...served, id: name, name, host: form, port });
    if (status === 201) {
      t.is((await hub.ask('POST', `/services/${name}/invoke`, { method: 'm' })).status, 502, form);
      t.is((await hub.ask('GET', `/proxy/${name}/latest/meta-data`)).status, 502, form);
    } else {
      t.is(status, 422, form);
    }
    for (const scheme of ['http', 'tcp']) {
      const id = `${scheme}-${index}`;
      const host = form.includes(':') && /^[0-9a-f:.]+$/i.test(form) ? `[${form}]` : form;
      const check = {
        ...served,
        id,
        host: 'good.example',
        port: 1,
        healthCheckUrl: `${scheme}://${host}:${port}`,
      };
      if ((await hub.ask('POST', '/services', check)).status === 201) probed.push(id);
    }
  }
  t.true(probed.length > 100, `${probed.length}`);
  for (const id of probed) {
    await until(
      () => hub.ask('GET', `/services/${id}`),
      ({ body }) => body.status === 'unhealthy',
    );
  }
  t.deepEqual(await hub.end(), []);
  t.is(asked, 0);

  // The control: without authentication loopback is a target, and the trace shows it.
  const open = await startTraced(t, {});
  await open.ask('POST', '/services', { ...served, id: 'one', host: '127.0.0.1', port });
  t.is((await open.ask('POST', '/services/svc/invoke', { method: 'm' })).status, 200);
  const [seen = ''] = await open.end();
  t.true(seen.includes(`sin_port=htons(${port})`), seen);
  t.is(asked, 1);
});
