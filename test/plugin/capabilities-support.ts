import type { Json } from '../../domain/event.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import {
  defaultLimits,
  noPermissions,
  type PluginLimits,
  type PluginPermissions,
} from '../../domain/plugin/manifest.ts';
import { systemClock } from '../../src/clock.ts';
import type { NexusCore } from '../../src/nexus-core.ts';
import {
  type Capabilities,
  type CapabilitiesOptions,
  createCapabilities,
} from '../../src/plugin/capabilities/capabilities.ts';
import type { WishOperation } from '../../src/plugin/capabilities/wishes.ts';
import type { CallAnswer, WishAnswer } from '../../src/plugin/sandbox/sandbox.ts';
import { createTargets } from '../../src/registry/target/targets.ts';
import { quiet } from '../registry/support.ts';

export const handled: CallAnswer = { ok: true, value: null };
export const threw = (message: string): CallAnswer => ({ ok: false, fault: 'threw', message });

/** What a guest was called for. */
export type Called = { readonly target: string; readonly input: JsonObject };

export type PluginUnderTest = Capabilities & {
  ask(operation: WishOperation, data: Json): Promise<WishAnswer>;
  /** The answer's value. @throws when the wish was refused. */
  get(operation: WishOperation, data: Json): Promise<Json>;
  readonly called: readonly Called[];
  readonly refused: readonly string[];
  readonly limited: readonly string[];
};

export type PluginOptions = {
  readonly name?: string;
  readonly permissions?: Partial<PluginPermissions>;
  readonly limits?: Partial<PluginLimits>;
  /** The guest's handler of messages and changes; the answer is `handled` unless given. */
  readonly guest?: (called: Called) => Promise<CallAnswer> | CallAnswer;
} & Partial<Pick<CapabilitiesOptions, 'clock' | 'targets'>>;

/** The hub's side of a plugin, as a client of a whole hub. */
export const openPlugin = (hub: NexusCore, options: PluginOptions = {}): PluginUnderTest => {
  const called: Called[] = [];
  const refused: string[] = [];
  const limited: string[] = [];
  const capabilities = createCapabilities({
    hub,
    name: options.name ?? 'me',
    permissions: { ...noPermissions, ...options.permissions },
    limits: { ...defaultLimits, timeoutMs: 30_000, ...options.limits },
    async call(target, input) {
      if (!isJsonObject(input)) throw new Error('a guest is handed objects');
      const one = { target, input };
      called.push(one);
      return options.guest?.(one) ?? handled;
    },
    limited: (limit) => limited.push(limit),
    refused: (operation) => refused.push(operation),
    targets: options.targets ?? createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
    clock: options.clock ?? systemClock,
    logger: quiet,
  });
  const ask = (operation: WishOperation, data: Json): Promise<WishAnswer> =>
    // As it comes over the pipe.
    capabilities.wish(JSON.parse(JSON.stringify({ operation, data })));
  return {
    ...capabilities,
    ask,
    async get(operation, data) {
      const answer = await ask(operation, data);
      if (!answer.ok) throw new Error(`${operation}: ${answer.code}: ${answer.message}`);
      return answer.value;
    },
    called,
    refused,
    limited,
  };
};

/** Code of the refusal, or `ok`. */
export const codeOf = (answer: WishAnswer): string => (answer.ok ? 'ok' : answer.code);

/** A guest that answers a call when it is told to. */
export const holding = () => {
  const waiting: ((answer: CallAnswer) => void)[] = [];
  let most = 0;
  return {
    guest: () =>
      new Promise<CallAnswer>((resolve) => {
        waiting.push(resolve);
        most = Math.max(most, waiting.length);
      }),
    answer: (answer: CallAnswer) => waiting.shift()?.(answer),
    get open() {
      return waiting.length;
    },
    get most() {
      return most;
    },
  };
};

/** For a plugin with the permissions that test/plugin/capabilities.test.ts grants it. */
export const ungranted: readonly (readonly [WishOperation, Json])[] = [
  ['publish', { topic: 'other.x', payload: 1 }],
  ['subscribe', { n: 1, pattern: 'other.>' }],
  ['subscribe', { n: 1, pattern: 'other.x', durable: 'd' }],
  ['subscribe', { n: 1, pattern: '>' }],
  ['state.get', { key: 'plugin/other/x' }],
  ['state.get', { key: 'nexus/x' }],
  ['state.set', { key: 'app/x', value: 1 }],
  ['state.set', { key: 'nexus/x', value: 1 }],
  ['state.set', { key: 'plugin/other/x', value: 1 }],
  ['state.delete', { key: 'plugin/other/x' }],
  ['state.list', { prefix: '' }],
  ['state.list', { prefix: 'plugin/' }],
  ['state.list', { prefix: 'ne' }],
  ['state.watch', { n: 1, selector: '*' }],
  ['state.watch', { n: 1, selector: 'nexus/*' }],
  ['state.watch', { n: 1, selector: 'plugin/other/x' }],
  ['services.list', {}],
  ['services.invoke', { service: 'mail', method: 'send' }],
  ['fetch', { url: 'https://other.example/' }],
  ['fetch', { url: 'https://api.example:8443/' }],
  ['fetch', { url: 'http://api.example/' }],
  ['fetch', { url: 'file:///etc/passwd' }],
];

export const malformed: readonly (readonly [string, Json])[] = [
  ['publish', null],
  ['publish', { topic: 'own.x' }],
  ['publish', { topic: 'own x', payload: 1 }],
  ['publish', { topic: 'own.x', payload: 1, more: 1 }],
  ['subscribe', { n: 0, pattern: 'own.>' }],
  ['subscribe', { n: 1, pattern: 'own.>', durable: '../x' }],
  ['subscribe', { n: 1, pattern: 'own.>', from: 'start' }],
  ['subscribe', { n: 1, pattern: 'own.>', maxInFlight: 257 }],
  ['state.get', { key: '' }],
  ['state.set', { key: 'plugin/curious/x', value: 1, ttlSec: 0 }],
  ['state.list', { prefix: 'plugin/me/', limit: 1_001 }],
  ['state.watch', { n: 1 }],
  ['services.invoke', { service: 'mail', method: 'send', timeoutMs: 30_001 }],
  ['fetch', { url: 'no url' }],
  ['fetch', { url: 'https://api.example/', method: 'TRACE' }],
  ['constructor', {}],
  ['log', {}],
];
