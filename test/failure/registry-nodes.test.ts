import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { listen } from '../registry/support.ts';
import { redisForTest } from '../support/redis-server.ts';
import { type Answer, readWholeLog, request, until } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';
import { type Node, nodeIdOf, startNode } from './bus-rounds.ts';

/** Three hubs on one log. */
type Hubs = { readonly nodes: readonly Node[]; readonly ids: readonly string[] };

const openHubs = async (t: ExecutionContext): Promise<Hubs | undefined> => {
  t.timeout(120_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return undefined;
  const nodes = await Promise.all(['a', 'b', 'c'].map((name) => startNode(t, name, redis.url)));
  return { nodes, ids: await Promise.all(nodes.map(({ hub }) => nodeIdOf(hub.url))) };
};

const urlOf = (node: Node | undefined): string => {
  if (node === undefined) throw new Error('there is no such node');
  return node.hub.url;
};

/** Answers the health checks of all instances, and takes down which node asked. */
const openChecks = async (t: ExecutionContext, ids: readonly string[]) => {
  const probes = new Map<string, string[]>(ids.map((id) => [id, []]));
  const sick = new Set<string>();
  const server = await listen((asked, response) => {
    const id = asked.url?.slice(1) ?? '';
    probes.get(id)?.push(String(asked.headers['x-nexus-node']));
    response.writeHead(sick.has(id) ? 500 : 200).end();
  });
  t.teardown(server.close);
  const probesOf = (id: string): readonly string[] => probes.get(id) ?? [];
  return {
    sick,
    probesOf,
    urlOf: (id: string) => `http://127.0.0.1:${server.port}/${id}`,
    /** Resolves with who made the newest `count` probes of the instance, once that was one node. */
    judgeOf: async (id: string, count = 3): Promise<string> => {
      const newest = await until(
        () => Promise.resolve(probesOf(id).slice(-count)),
        (last) => last.length === count && new Set(last).size === 1,
      );
      return newest[0] ?? '';
    },
  };
};

const service = { name: 'svc', version: '1.0.0', host: '127.0.0.1', port: 9 };
const healthCheck = {
  intervalMs: 500,
  timeoutMs: 400,
  unhealthyThreshold: 2,
  healthyThreshold: 1,
  graceMs: 0,
};

const register = async (t: ExecutionContext, url: string, body: object): Promise<void> => {
  t.is((await request(url, 'POST', '/services', { body: { ...service, ...body } })).status, 201);
};

const view = async (url: string, id: string): Promise<Answer['body']> =>
  (await request(url, 'GET', `/services/${id}`)).body;

/** What every node is to say alike. */
const statusesAt = async (url: string): Promise<string> => {
  const { body } = await request(url, 'GET', '/services');
  const services = body.services as readonly Readonly<Record<string, unknown>>[];
  const told = services.map(({ id, status, statusReason, statusCause, statusSince, revision }) =>
    [id, status, statusReason, statusCause, statusSince, revision].join(' '),
  );
  return told.sort().join('\n');
};

/** Resolves with what all nodes say, once they say the same and it fits. */
const agreed = async (nodes: readonly Node[], fits: (told: string) => boolean): Promise<string> => {
  const told = await until(
    () => Promise.all(nodes.map((node) => statusesAt(urlOf(node)))),
    ([first = '', ...others]) => fits(first) && others.every((other) => other === first),
  );
  return told[0] ?? '';
};

const linesWith = (told: string, text: string): number =>
  told.split('\n').filter((line) => line.includes(text)).length;

const changesOf = async (url: string, id: string): Promise<readonly string[]> =>
  (await readWholeLog(url))
    .filter(({ stream, type }) => stream === `service-${id}` && type === 'ServiceStatusChanged')
    .map(({ data }) => String((data as { readonly to: string }).to));

test.serial(
  'each instance is probed by one node, all tell the same of it, and the share of a node that is killed is probed by others within 5 s',
  async (t) => {
    const hubs = await openHubs(t);
    if (hubs === undefined) return;
    const { nodes, ids } = hubs;
    // So many that each of three nodes has some.
    const probed = Array.from({ length: 30 }, (_, index) => `probed-${index}`);
    const checks = await openChecks(t, probed);
    await Promise.all(
      probed.map((id, index) =>
        register(t, urlOf(nodes[index % 3]), { id, healthCheckUrl: checks.urlOf(id), healthCheck }),
      ),
    );
    const judges = await Promise.all(probed.map((id) => checks.judgeOf(id)));
    t.deepEqual([...new Set(judges)].sort(), [...ids].sort());
    const from = probed.map((id) => checks.probesOf(id).length);
    await until(
      () =>
        Promise.resolve(probed.every((id, index) => checks.probesOf(id).length >= (from[index] ?? 0) + 4)),
      (isDone) => isDone,
    );
    for (const [index, id] of probed.entries())
      t.deepEqual(new Set(checks.probesOf(id).slice(from[index])), new Set([judges[index]]), id);

    const sick = probed.filter((_, index) => index % 2 === 0);
    for (const id of sick) checks.sick.add(id);
    const told = await agreed(
      nodes,
      (all) => linesWith(all, ' unhealthy health check: status 500 ') === sick.length,
    );
    t.is(linesWith(told, ' healthy health check passed '), probed.length - sick.length);
    for (const id of sick) t.deepEqual(await changesOf(urlOf(nodes[0]), id), ['healthy', 'unhealthy']);
    checks.sick.clear();
    await agreed(nodes, (all) => linesWith(all, ' healthy ') === probed.length);

    const [victim, ...left] = nodes;
    const orphans = probed.filter((_, index) => judges[index] === ids[0]);
    const steady = probed.find((_, index) => judges[index] !== ids[0]) ?? '';
    await victim?.hub.kill('SIGKILL');
    const killedMs = performance.now();
    const [before, steadyBefore] = [
      orphans.map((id) => checks.probesOf(id).length),
      checks.probesOf(steady).length,
    ];
    await until(
      () => Promise.resolve(orphans.every((id, index) => checks.probesOf(id).length > (before[index] ?? 0))),
      (isDone) => isDone,
    );
    // One is probed each 0.5 s ± 10 % by a node that goes on: its probes are the clock.
    const meanwhile = checks.probesOf(steady).length - steadyBefore;
    t.log(
      `${orphans.length} of 30 moved within ${Math.round(performance.now() - killedMs)} ms, ${meanwhile} probes of another`,
    );
    t.true(meanwhile <= 10, `${meanwhile} probes of an instance that did not move`);
    for (const id of probed) t.not(await checks.judgeOf(id, 2), ids[0], id);
    for (const [index, id] of probed.entries())
      if (!orphans.includes(id)) t.is(await checks.judgeOf(id), judges[index] ?? '', id);

    const [dying = ''] = orphans;
    checks.sick.add(dying);
    await agreed(left, (all) => linesWith(all, ' unhealthy ') === 1 && all.includes(`${dying} unhealthy `));
    t.deepEqual(
      await changesOf(urlOf(left[0]), dying),
      ['healthy', 'unhealthy', 'healthy', 'unhealthy'].slice(sick.includes(dying) ? 0 : 2),
    );
  },
);

test.serial(
  'heartbeats that come to each node in turn keep an instance healthy, also while its judge is stopped and when it wakes',
  async (t) => {
    const hubs = await openHubs(t);
    if (hubs === undefined) return;
    const { nodes, ids } = hubs;
    const checks = await openChecks(t, ['one']);
    const ttlSec = 3;
    const first = urlOf(nodes[0]);
    await register(t, first, { id: 'one', ttlSec, healthCheckUrl: checks.urlOf('one'), healthCheck });
    await until(
      () => request(urlOf(nodes[2]), 'POST', '/services/one/heartbeat', { body: {} }),
      ({ status }) => status === 200,
    );

    let beat = 0;
    /** To the next node in turn. Each of three hears one per 3.3 s, which is more than a TTL. */
    const beatOnce = async (living: readonly Node[]): Promise<number> => {
      const load = (++beat % 100) / 100;
      const body = { load, metrics: { beat } };
      t.is(
        (await request(urlOf(living[beat % living.length]), 'POST', '/services/one/heartbeat', { body }))
          .status,
        200,
      );
      return load;
    };
    /** Beats to the next node until all of them know what it said: while a link is not open yet that may be lost. */
    const heardByAll = async (): Promise<void> => {
      await until(
        async () => {
          const load = await beatOnce(nodes);
          await delay(1_100);
          const told = await Promise.all(nodes.map((node) => view(urlOf(node), 'one')));
          return told.every((service) => service.load === load);
        },
        (isKnown) => isKnown,
      );
    };
    for (let round = 0; round < 7; round++) await heardByAll();
    t.deepEqual(await changesOf(first, 'one'), ['healthy']);

    const judge = await checks.judgeOf('one');
    const stopped = nodes[ids.indexOf(judge)];
    const left = nodes.filter((node) => node !== stopped);
    process.kill(stopped?.hub.pid ?? 0, 'SIGSTOP');
    t.teardown(() => process.kill(stopped?.hub.pid ?? 0, 'SIGCONT'));
    const isProbedByOthers = (): boolean => checks.probesOf('one').at(-1) !== judge;
    const stoppedAt = checks.probesOf('one').length;
    while (!isProbedByOthers() || checks.probesOf('one').length < stoppedAt + 8) {
      await beatOnce(left);
      await delay(500);
    }
    process.kill(stopped?.hub.pid ?? 0, 'SIGCONT');
    // It judges again: that its alarms rang meanwhile counts for nothing.
    while (checks.probesOf('one').at(-1) !== judge) {
      await beatOnce(left);
      await delay(500);
    }
    for (let round = 0; round < 8; round++) {
      await beatOnce(left);
      await delay(500);
    }
    t.deepEqual(await changesOf(urlOf(left[0]), 'one'), ['healthy']);
    await agreed(nodes, (all) => all.startsWith('one healthy '));
  },
);

test.serial(
  'a service whose WebSocket is open to one node is called through each, and offline with the reason when that node is killed',
  async (t) => {
    const hubs = await openHubs(t);
    if (hubs === undefined) return;
    const { nodes } = hubs;
    const [first, second, third] = nodes.map(urlOf);
    if (first === undefined || second === undefined || third === undefined) return t.fail();
    const registration = { id: 'one', name: 'svc', version: '1.0.0', reach: 'socket' };
    t.is((await request(first, 'POST', '/services', { body: registration })).status, 201);

    let hangs = 0;
    const serveAt = async (url: string): Promise<void> => {
      const client = await openWs(url);
      await until(
        () => client.ask({ type: 'serve', service: 'one' }),
        ({ type }) => type === 'serving',
      );
      client.onFrame(({ type, call, data, method }) => {
        if (type !== 'call') return;
        if (method === 'hang') hangs++;
        else client.send({ type: 'callResult', call, result: { url, data } });
      });
    };
    const invoke = (url: string, body: object) => request(url, 'POST', '/services/svc/invoke', { body });
    const answeredBy = (url: string, at: string) =>
      until(
        () => invoke(url, { method: 'where', data: url }),
        ({ status, body }) => status === 200 && (body.result as { readonly url?: string }).url === at,
      );

    await serveAt(first);
    for (const url of [first, second, third])
      t.like((await answeredBy(url, first)).body, { result: { data: url }, instance: 'one' });
    t.like(await invoke(second, { method: 'hang', timeoutMs: 200 }), {
      status: 504,
      body: { code: 'upstream_timeout' },
    });
    await agreed(nodes, (all) => all.startsWith('one healthy its WebSocket serves it socket '));

    // The one before may have been given up on its way.
    const hungBefore = hangs;
    const hanging = invoke(second, { method: 'hang' });
    await until(
      () => Promise.resolve(hangs),
      (count) => count > hungBefore,
    );
    await nodes[0]?.hub.kill('SIGKILL');
    t.like(await hanging, { status: 502, body: { code: 'upstream_failed' } });
    const gone = 'one offline the node that its WebSocket was open to is gone socket ';
    await agreed(nodes.slice(1), (all) => all.startsWith(gone));

    await serveAt(third);
    await answeredBy(second, third);
    await agreed(nodes.slice(1), (all) => all.startsWith('one healthy its WebSocket serves it socket '));
    t.deepEqual(await changesOf(second, 'one'), ['healthy', 'offline', 'healthy']);
  },
);
