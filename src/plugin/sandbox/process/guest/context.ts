import type { Json } from '../../../../../domain/event.ts';
import type { WishData, WishOperation } from '../../../capabilities/wishes.ts';
import type { PluginContext, PluginModule } from '../../../plugin.ts';

/** What a plugin's context stands on, whatever carries it to the hub. */
export type Bridge = {
  /** Rejects with an error that has a `code`. */
  wish(operation: WishOperation, data: unknown): Promise<unknown>;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: unknown): void;
  hmacSha256(key: string, text: string): Promise<string>;
  randomId(): string;
  /** Once, or again and again; what it answers ends that. What `run` throws is logged. */
  timer(ms: number, again: boolean, run: () => unknown): () => void;
};

export type PluginFacts = { readonly name: string; readonly version: string; readonly config: unknown };

type Handler = (input: Json) => unknown;

/** One plugin's side of the hub: its context, and what it has given the context to be called for. */
export type Plugin = {
  initialize(module: PluginModule): Promise<void>;
  shutdown(): Promise<void>;
  /** @returns undefined when there is no handler for `target`. */
  handlerOf(target: string): Handler | undefined;
  registered(): { readonly hooks: readonly string[]; readonly resolvers: readonly string[] };
};

/** Without a prototype, so that no name is found that was not put there. */
const table = (): Record<string, Handler> => Object.create(null);

const requireFunction = (value: unknown, what: string): void => {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function`);
};

export const createPlugin = (facts: PluginFacts, bridge: Bridge): Plugin => {
  const handlers = table();
  let lastNumber = 0;
  let initializing = true;
  let module: PluginModule | undefined;

  const wish = <Operation extends WishOperation>(
    operation: Operation,
    data: { readonly [Field in keyof WishData<Operation>]?: unknown },
  ) => bridge.wish(operation, data);

  /** The handler is there before the hub knows of it, so that nothing comes in between. */
  const follow = async (
    kind: 'message' | 'change',
    handler: unknown,
    start: (number: number) => Promise<unknown>,
    end: (number: number) => Promise<unknown>,
  ) => {
    requireFunction(handler, 'the handler');
    const number = ++lastNumber;
    const target = `${kind}:${number}`;
    handlers[target] = handler as Handler;
    try {
      await start(number);
    } catch (error) {
      delete handlers[target];
      throw error;
    }
    let ended: Promise<void> | undefined;
    return Object.freeze({
      stop: () => {
        ended ??= (async () => {
          await end(number);
          delete handlers[target];
        })();
        return ended;
      },
    });
  };

  const register = (kind: 'hook' | 'resolver', name: string, handler: unknown): void => {
    requireFunction(handler, `the handler of ${name}`);
    if (!initializing) throw new Error(`${kind}s are registered before initialize is done`);
    const target = `${kind}:${name}`;
    if (handlers[target] !== undefined) throw new Error(`the ${kind} ${name} has a handler already`);
    handlers[target] = handler as Handler;
  };

  const logger =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: unknown = {}) =>
      bridge.log(level, message, fields);

  const context = {
    name: facts.name,
    version: facts.version,
    config: facts.config,
    log: Object.freeze({
      debug: logger('debug'),
      info: logger('info'),
      warn: logger('warn'),
      error: logger('error'),
    }),
    messageBus: Object.freeze({
      publish: (topic, payload, options) => wish('publish', { ...options, topic, payload }),
      subscribe: (pattern, handler, options) =>
        follow(
          'message',
          handler,
          (n) => wish('subscribe', { ...options, n, pattern }),
          (n) => wish('unsubscribe', { n }),
        ),
    } satisfies Loose<PluginContext['messageBus']>),
    state: Object.freeze({
      prefix: `plugin/${facts.name}/`,
      get: (key) => wish('state.get', { key }),
      set: (key, value, options) => wish('state.set', { ...options, key, value }),
      delete: async (key, options) => {
        await wish('state.delete', { ...options, key });
      },
      list: (prefix, options) => wish('state.list', { ...options, prefix }),
      watch: (selector, handler) =>
        follow(
          'change',
          handler,
          (n) => wish('state.watch', { n, selector }),
          (n) => wish('state.unwatch', { n }),
        ),
    } satisfies Loose<PluginContext['state']>),
    services: Object.freeze({
      list: (filter) => wish('services.list', { ...filter }),
      invoke: (service, method, data, options) =>
        wish('services.invoke', {
          ...options,
          service,
          method,
          ...(data !== undefined && { data }),
        }),
    } satisfies Loose<PluginContext['services']>),
    hooks: Object.freeze({
      register: (name: string, handler: unknown) => register('hook', name, handler),
    }),
    resolvers: Object.freeze({
      register: (name: string, resolve: unknown) => register('resolver', name, resolve),
    }),
    timers: Object.freeze({
      after: (ms: number, run: () => unknown) => bridge.timer(ms, false, run),
      every: (ms: number, run: () => unknown) => bridge.timer(ms, true, run),
    }),
    crypto: Object.freeze({
      hmacSha256: (key: string, text: string) => bridge.hmacSha256(`${key}`, `${text}`),
      randomId: () => bridge.randomId(),
    }),
    fetch: (url, init) => wish('fetch', { ...init, url }),
  } satisfies Loose<PluginContext>;

  const namesOf = (kind: string) =>
    Object.keys(handlers)
      .filter((target) => target.startsWith(kind))
      .map((target) => target.slice(kind.length));

  return {
    async initialize(loaded) {
      module = loaded;
      requireFunction(loaded.initialize, 'the export initialize');
      // What the hub answers with is what the types of the context promise: checked there, not here.
      await loaded.initialize(Object.freeze(context) as PluginContext);
      initializing = false;
    },
    async shutdown() {
      await module?.shutdown?.();
    },
    handlerOf: (target) => handlers[target],
    registered: () => ({ hooks: namesOf('hook:'), resolvers: namesOf('resolver:') }),
  };
};

/** The same functions, with what they resolve to left open: it comes over the pipe. */
type Loose<Shape> = {
  readonly [Key in keyof Shape]: Shape[Key] extends (...args: infer Args) => Promise<unknown>
    ? (...args: Args) => Promise<unknown>
    : Shape[Key] extends (...args: never) => unknown
      ? unknown
      : Shape[Key] extends object
        ? Key extends 'config'
          ? unknown
          : Loose<Shape[Key]>
        : unknown;
};
