import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { heapFlag } from '../../src/heap.ts';
import type { PartOptions } from '../bus/part.ts';
import { startEtcd } from '../support/etcd.ts';
import { startHub } from '../support/hub.ts';
import { type Load, latency, perSec, print } from '../support/measure.ts';
import { type Cpu, type Running, startProcess } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import type { ClientJob, ClientLoad, ClientTarget } from './store.ts';

/** A server with one client process. */
export type Way = {
  readonly name: string;
  ask(job: ClientJob): Promise<ClientLoad>;
  /** Processor time of the server, and of its client. */
  cpu(): Cpu;
  readonly client: Running;
  close(): Promise<void>;
};

type Server = { readonly url: string; cpu(): Cpu; close(): Promise<void> };

export const openClient = (target: ClientTarget): Promise<Running> =>
  startProcess({
    argv: [join(import.meta.dirname, 'client.ts'), JSON.stringify(target)],
    cwd: import.meta.dirname,
  });

/** A hub without its gateway on the files in `folder`, which takes `fill` and nothing else. */
export const openFiller = (folder: string, profile?: string): Promise<Running> =>
  startProcess({
    argv: [
      heapFlag,
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
      join(import.meta.dirname, 'fill-hub.ts'),
      folder,
    ],
    cwd: import.meta.dirname,
  });

export const askClient = async (client: Running, job: ClientJob): Promise<ClientLoad> =>
  JSON.parse(await client.ask(JSON.stringify(job)));

const wayOf = async (
  name: string,
  kind: ClientTarget['kind'],
  server: Server,
  token?: string,
): Promise<Way> => {
  const client = await openClient({ kind, url: server.url, token, connections: 64 });
  return {
    name,
    ask: (job) => askClient(client, job),
    cpu: server.cpu,
    client,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
};

export const stateScope = 'state:read:* state:write:* events:publish:>';

/** Where the hub of a part has its files. */
export const hubFolder = ({ folder }: PartOptions, part: string): string => join(folder, `${part}-hub`);

type Opener = (options: PartOptions, part: string) => Promise<Way | undefined>;

const redisWay =
  (appendfsync: 'always' | 'everysec'): Opener =>
  async () => {
    const redis = await startRedis(appendfsync);
    return redis === undefined ? undefined : wayOf(`Redis, ${appendfsync}`, 'redis', redis);
  };

/** No limit that a client of a benchmark could meet. */
const withoutLimits = { NEXUS_RATE_LIMIT_MAX: '1000000000' };

const bareWay =
  (name: string, file: string): Opener =>
  async ({ folder }, part) => {
    const directory = join(folder, `${part}-${file}`);
    mkdirSync(directory);
    const bare = await startProcess({
      argv: [heapFlag, join(import.meta.dirname, '../support', file), directory],
      cwd: folder,
    });
    return wayOf(name, 'bare', { ...bare, url: `http://127.0.0.1:${bare.line}` });
  };

/** Undefined where the server is not on this machine. */
export const openers: Readonly<
  Record<'nexus' | 'open' | 'etcd' | 'redis' | 'everysec' | 'bare' | 'http', Opener>
> = {
  nexus: async (options, part) => {
    const { profile } = options;
    const hub = await startHub({ folder: hubFolder(options, part), authenticated: true, profile });
    return wayOf('NEXUS', 'nexus', hub, hub.token(stateScope));
  },
  open: async (options, part) => {
    const { profile } = options;
    const hub = await startHub({ folder: hubFolder(options, `${part}-open`), profile, env: withoutLimits });
    return wayOf('NEXUS, open', 'nexus', hub);
  },
  etcd: async () => {
    const etcd = await startEtcd();
    return etcd === undefined ? undefined : wayOf(`etcd ${etcd.version}`, 'etcd', etcd);
  },
  redis: redisWay('always'),
  everysec: redisWay('everysec'),
  bare: bareWay('bare Koa', 'bare-koa.ts'),
  http: bareWay('bare node:http', 'bare-http.ts'),
};

/** Opens those of `names` that are wanted and can be had. */
export const openWays = async <Name extends keyof typeof openers>(
  names: readonly Name[],
  options: PartOptions,
  part: string,
): Promise<Map<Name, Way>> => {
  const ways = new Map<Name, Way>();
  for (const name of names) {
    if (options.ways?.includes(name) === false) continue;
    const way = await openers[name](options, part);
    if (way === undefined) print(`  SKIPPED ${name}: its server is not on this machine`);
    else ways.set(name, way);
  }
  return ways;
};

export const closeWays = async (ways: Iterable<Way>): Promise<void> => {
  for (const way of ways) await way.close();
};

/** Operations of a way so far, and the microseconds of processor time that its server and its client took for them. */
export type Cost = { operations: number; server: number; client: number };

/** Asks and adds to `cost`, so that rounds come to one number each. */
export const askAndCount = async (way: Way, job: ClientJob, cost: Cost): Promise<ClientLoad> => {
  const [server, client] = [way.cpu().all, way.client.cpu().all];
  const load = await way.ask(job);
  cost.operations += load.n;
  cost.server += way.cpu().all - server;
  cost.client += way.client.cpu().all - client;
  return load;
};

export const wayLine = (way: Way, load: Load, { operations, server, client }: Cost): string =>
  `${way.name}: ${perSec(load)} (${latency(load)}; processor ${(server / operations).toFixed(1)} µs, ` +
  `of the client ${(client / operations).toFixed(1)})`;
