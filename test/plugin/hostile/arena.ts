import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent } from '../../../domain/event.ts';
import { type Answer, readWholeLog, request } from '../../support/rest.ts';
import { type HostilePlugin, mustBeLimited } from './hostile-plugin.ts';
import { type Ground, offerPlugin, withdrawPlugin } from './offer.ts';
import { openTrap } from './trap.ts';
import { type Testimony, witness } from './witness.ts';

/** Stands in a file, in the environment of the hub, and in its state: nobody may ever see it. */
export const secret = 'nobody-may-see-this-8d1f';

/** What came of one attack. */
export type Happened = {
  /** Status of the answer to `enable`, and its code when it was refused. */
  readonly enabled: number;
  readonly refusal: string;
  /** Of the plugin when all was over, before it was disabled. */
  readonly status: string;
  readonly statusReason: string;
  /** Faults of its calls. */
  readonly failures: readonly string[];
  readonly failed: readonly { readonly cause: string; readonly reason: string }[];
  readonly limits: readonly string[];
  /** Payload of the message that set it off, as it stands in the log. */
  readonly payload: unknown;
};

/** The hub that is attacked, wherever it runs. */
export type Host = {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly pid: number;
  /** Lines that it logged at warn and above. */
  logged(): readonly Readonly<Record<string, unknown>>[];
  close(): Promise<unknown>;
};

/** A hub with two witnesses, one beside the attacker, and one in a process of its own. */
export type Arena = {
  readonly host: Host;
  /** Processes of the hub's that hold plugins. */
  children(): readonly number[];
  /** How often the witness beside the attackers was started again. */
  restarts(): Promise<number>;
  /** Offers and enables it, sets it off, waits for what it is said to come to, and disables it. */
  attack(plugin: HostilePlugin): Promise<Happened>;
  /** What is wrong with the hub, the witnesses and all that no plugin may change or see: nothing. */
  harm(): Promise<readonly string[]>;
  /** The same, of the whole log: read once, at the end. */
  traces(attackers: readonly HostilePlugin[]): Promise<readonly string[]>;
  close(): Promise<void>;
};

const childrenOf = (pid: number): readonly number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
      return text === '' ? [] : text.split(' ').map(Number);
    } catch {
      return [];
    }
  });

/** Those that hold plugins; others bundle, and end by themselves. */
const sandboxesOf = (pid: number): readonly number[] =>
  childrenOf(pid).filter((child) => {
    try {
      return !/esbuild|bundler-process/.test(readFileSync(`/proc/${child}/cmdline`, 'latin1'));
    } catch {
      return false;
    }
  });

/** After so many looks at what came of it the attack is repeated. */
const looksPerAttack = 100;

type Facts = {
  readonly status: string;
  readonly statusReason: string;
  readonly metrics: {
    readonly failures: Record<string, number>;
    readonly restarts: number;
    readonly calls: number;
  };
};

const isOver = (plugin: HostilePlugin, events: readonly LogEvent[], facts: Facts): boolean => {
  const failed = events.some(({ type }) => type === 'PluginFailed');
  const limited = events.some(({ type }) => type === 'PluginLimitExceeded');
  const { fate } = plugin;
  if (fate.end === 'falls') return failed;
  if (fate.end === 'refused') return failed || facts.status === 'failed';
  if (fate.end === 'either') return true;
  if (mustBeLimited(fate)) return limited || failed;
  return plugin.by !== 'message' || facts.metrics.calls > 0;
};

/** @param start starts a hub that finds its plugins on that ground, with the trust `low` for the plugin `far`. */
export const openArena = async (start: (ground: Ground) => Promise<Host>): Promise<Arena> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-hostile-'));
  const trap = await openTrap();
  const ground: Ground = {
    pluginDir: join(folder, 'plugins'),
    secretFile: join(folder, 'secret.json'),
    open: trap.open,
  };
  await mkdir(ground.pluginDir);
  await writeFile(ground.secretFile, JSON.stringify({ secret }));
  await writeFile(
    join(folder, 'secret.mjs'),
    `export const initialize = () => { throw new Error('${secret}'); };`,
  );
  process.env.CANARY = secret;
  for (const name of ['far', 'witness']) await offerPlugin(ground, witness(name));
  const host = await start(ground);
  const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    request(host.url, method, path, body === undefined ? {} : { body });
  const must = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const answer = await call(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  };
  /** By plugin: position of the message that was published last on its topic. */
  const heads = new Map<string, string>();
  const factsOf = async (name: string): Promise<Facts> =>
    (await must('GET', `/plugins/${name}`)).body as Facts;
  const eventsOf = async (name: string): Promise<readonly LogEvent[]> => {
    const { status, body } = await call('GET', `/streams/plugin-${name}?limit=1000`);
    return status === 200 ? (body as { readonly events: readonly LogEvent[] }).events : [];
  };

  await must('PUT', '/state/secret%2Fkey', { value: secret });
  await must('POST', '/services', {
    id: 'secret-1',
    name: 'secret-service',
    version: '1.0.0',
    host: '127.0.0.1',
    port: Number(new URL(trap.trap).port),
    protocol: 'http',
  });
  const before = new Set(sandboxesOf(host.pid));
  await must('POST', '/plugins/far/enable', {});
  const farProcesses = sandboxesOf(host.pid).filter((pid) => !before.has(pid));
  await must('POST', '/plugins/witness/enable', {});

  /** Once more when who has to be asked about it went down with its process while it was. */
  const publishOn = async (topic: string, payload: unknown): Promise<Answer> => {
    const answer = await call('POST', `/events/${topic}`, { payload });
    return answer.body.code === 'plugin_failed' ? publishOn(topic, payload) : answer;
  };
  /** Publishes on `attack.{name}`, and gives back what stands in the log then. */
  const publish = async (name: string, payload: unknown): Promise<unknown> => {
    const topic = `attack.${name}`;
    const after = heads.get(name) ?? 'start';
    const { body } = await publishOn(topic, payload);
    const page = (await must('GET', `/events?topic=${topic}&after=${after}&limit=1000`)).body as {
      readonly events: readonly { readonly messageId: string; readonly payload: unknown }[];
    };
    heads.set(name, String(body.position));
    return page.events.find(({ messageId }) => messageId === body.messageId)?.payload;
  };
  const testimony = async (name: string): Promise<Testimony | string> => {
    const asked = Math.floor(performance.now());
    const payload = (await publish(name, asked)) as Partial<Testimony> | undefined;
    return payload?.witness === name && payload.asked === asked && Array.isArray(payload.seen)
      ? { witness: name, asked, seen: payload.seen }
      : `${name} answered ${JSON.stringify(payload)}`;
  };

  return {
    host,
    children: () => sandboxesOf(host.pid),
    restarts: async () => (await factsOf('witness')).metrics.restarts,
    async attack(plugin) {
      const { name } = plugin;
      await offerPlugin(ground, plugin);
      const config = plugin.config ?? { trap: trap.trap, open: trap.open };
      const enabled = await call('POST', `/plugins/${name}/enable`, { config });
      let payload: unknown;
      if (enabled.status < 300) {
        const { fate } = plugin;
        if (fate.end !== 'refused' && plugin.by !== 'stop') payload = await publish(name, name);
        for (let looks = 1; !isOver(plugin, await eventsOf(name), await factsOf(name)); looks++) {
          await delay(20);
          // Of several that ran when their process ended nobody is blamed: whoever did it does it again, alone.
          if (fate.end === 'falls' && looks % looksPerAttack === 0) await publish(name, name);
        }
      }
      const facts = await call('GET', `/plugins/${name}`);
      const { status = '', statusReason = '', metrics } = facts.body as Partial<Facts>;
      const events = await eventsOf(name);
      const happened: Happened = {
        enabled: enabled.status,
        refusal: String(enabled.body.code ?? ''),
        status,
        statusReason,
        failures: Object.keys(metrics?.failures ?? {}),
        failed: events.flatMap(({ type, data }) =>
          type === 'PluginFailed' ? [data as Happened['failed'][number]] : [],
        ),
        limits: events.flatMap(({ type, data }) =>
          type === 'PluginLimitExceeded' ? [(data as { readonly limit: string }).limit] : [],
        ),
        payload,
      };
      if (enabled.status < 300) await must('POST', `/plugins/${name}/disable`, {});
      await withdrawPlugin(ground, name);
      return happened;
    },
    async harm() {
      const wrong: string[] = [];
      const check = (holds: boolean, what: string): void => {
        if (!holds) wrong.push(what);
      };
      const health = await call('GET', '/health');
      check(health.status === 200, `health answers ${health.status} ${JSON.stringify(health.body)}`);
      for (const name of ['witness', 'far']) {
        const told = await testimony(name);
        if (typeof told === 'string') wrong.push(told);
        else check(told.seen.length === 0, `${name} sees ${told.seen.join()}`);
      }
      const far = await factsOf('far');
      check(far.metrics.restarts === 0, `far was restarted ${far.metrics.restarts} times`);
      const children = sandboxesOf(host.pid);
      check(
        farProcesses.every((pid) => children.includes(pid)),
        'the process of far is another one',
      );
      check(trap.caught() === 0, `${trap.caught()} requests reached the server that nobody may come to`);
      check(Object.keys(Object.prototype).length === 0, 'the prototype of all objects was changed');
      return wrong;
    },
    async traces(attackers) {
      const wrong: string[] = [];
      const allowed = new Map(attackers.map((plugin) => [plugin.name, plugin.permissions]));
      for (const event of await readWholeLog(host.url)) {
        const actor = String((event.metadata as { readonly actor?: unknown }).actor ?? '');
        const name = actor.startsWith('plugin:') ? actor.slice('plugin:'.length) : undefined;
        const text = JSON.stringify(event);
        const own = event.stream === 'state-secret/key';
        if (!own && text.includes(secret))
          wrong.push(`${event.stream} holds the secret: ${text.slice(0, 200)}`);
        if (name === undefined) {
          if (/"forged"/.test(text) && !event.stream.startsWith('plugin-'))
            wrong.push(`forged: ${text.slice(0, 200)}`);
          continue;
        }
        const isOwnKey = event.stream.startsWith(`state-plugin/${name}/`);
        const granted = (allowed.get(name)?.publish ?? []).some((pattern) =>
          event.stream.startsWith(`topic-${pattern.replace(/[>*].*$/, '')}`),
        );
        if (!isOwnKey && !granted && !event.stream.startsWith('subscription-')) {
          wrong.push(`${name} wrote to ${event.stream}`);
        }
      }
      for (const line of host.logged()) {
        if (JSON.stringify(line).includes(secret))
          wrong.push(`the hub logged the secret: ${String(line.msg)}`);
        if (line.level === 'error' || line.level === 'fatal') {
          if (line.plugin === undefined) wrong.push(`the hub logged ${JSON.stringify(line).slice(0, 300)}`);
        }
      }
      const beside = readdirSync(folder).filter(
        (name) => !['hub', 'plugins', 'secret.json', 'secret.mjs'].includes(name),
      );
      if (beside.length > 0) wrong.push(`files beside the plugins: ${beside.join()}`);
      return wrong;
    },
    async close() {
      await host.close();
      await trap.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
