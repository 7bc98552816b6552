import type { Json } from '../../domain/event.ts';
import type { Priority } from '../../domain/message/message.ts';

export type { Json, Priority };

/**
 * What the author of a plugin writes against (docs/plugins.md): types alone, nothing of it is loaded.
 *
 * The entry module exports `initialize(context)`, which may be async, and may export `shutdown()`.
 */

export type PluginMessage = {
  readonly messageId: string;
  readonly topic: string;
  readonly payload: Json;
  readonly priority: Priority;
  readonly key?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly publishedAt: string;
  /** The subject that published it. */
  readonly publisher: string;
  readonly position: string;
};

export type PluginStateEntry = {
  readonly key: string;
  readonly value: Json;
  readonly version: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly position: string;
};

export type PluginStateChange = {
  readonly key: string;
  readonly value: Json;
  readonly oldValue: Json;
  readonly version: number;
  readonly deleted: boolean;
  readonly position: string;
};

export type PublishOptions = {
  readonly priority?: Priority;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly deliverAt?: string;
  readonly ttlMs?: number;
  /** A repeated one within 24 h publishes nothing again. */
  readonly messageId?: string;
};

export type SubscribeOptions = {
  /**
   * A name, `[A-Za-z0-9_-]{1,32}`: the hub keeps what the plugin has not handled, over restarts, and hands it out again
   * when the handler throws; after `maxDeliver` attempts (5) it is a dead letter of the subscription `plugin.{plugin}.{name}`.
   * Absent: only what is published while the plugin runs, each message once.
   */
  readonly durable?: string;
  /** Where a durable subscription that is new begins: `now` unless given. */
  readonly from?: 'start' | 'now';
  readonly maxDeliver?: number;
  /** Ms to wait after each failed attempt. */
  readonly backoffMs?: readonly number[];
  /** Messages that are being handled at a time, 1 … 256; 16 unless given. */
  readonly maxInFlight?: number;
};

export type Stoppable = { stop(): Promise<void> };

export type FetchInit = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text; at most `messageBytes`. */
  readonly body?: string;
  /** Ms; the time of the call that it is made in at most. */
  readonly timeoutMs?: number;
};

/** The body is here already: text of at most `messageBytes`. Redirects are not followed. */
export type FetchAnswer = {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** What `before_…` hooks and `on_request` answer with: nothing, a change, or why not. */
export type Verdict<Change> =
  | undefined
  | { readonly change: Change }
  | { readonly refuse: string; readonly details?: Json };

export type PublishHookInput = {
  readonly topic: string;
  readonly payload: Json;
  readonly priority: Priority;
  readonly key?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly subject: string;
};

export type StateHookInput = {
  readonly operation: 'set' | 'patch' | 'increment' | 'delete';
  readonly key: string;
  /** Of `set`. */
  readonly value?: Json;
  /** Of `patch`: the merge patch or the JSON patch as it came. */
  readonly patch?: Json;
  /** Of `increment`. */
  readonly by?: number;
  readonly expectedVersion?: number;
  readonly subject: string;
};

export type ServiceHookInput = {
  readonly service: Readonly<Record<string, Json>>;
  readonly subject: string;
};

export type InvokeHookInput = {
  readonly service: string;
  /** Of a request through the proxy: its path. */
  readonly method: string;
  /** HTTP method of a request through the proxy, which `data` is null of: it can be refused, and not changed. */
  readonly http?: string;
  readonly data: Json;
  readonly subject: string;
};

export type InvokedHookInput = InvokeHookInput & {
  /** `ok`, or the code of what went wrong. */
  readonly outcome: string;
  readonly result: Json;
  readonly instance?: string;
  readonly durationMs?: number;
};

export type RequestHookInput = {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  /** Without `authorization`, `cookie` and other secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly subject: string;
  readonly address: string;
};

type Answers<Value> = Value | Promise<Value>;

/** By hook: what it is handed, and what it may answer. */
export type HookHandlers = {
  before_service_register: (
    input: ServiceHookInput,
  ) => Answers<
    Verdict<{ readonly metadata?: Json; readonly tags?: readonly string[]; readonly weight?: number }>
  >;
  before_service_invoke: (input: InvokeHookInput) => Answers<Verdict<{ readonly data: Json }>>;
  after_service_invoke: (
    input: InvokedHookInput,
  ) => Answers<undefined | { readonly change: { readonly result: Json } }>;
  before_publish: (input: PublishHookInput) => Answers<
    Verdict<{
      readonly payload?: Json;
      readonly priority?: Priority;
      readonly headers?: Readonly<Record<string, string>>;
    }>
  >;
  after_publish: (input: PluginMessage) => Answers<void>;
  /** `value` stands in the place of the value, the patch or the number. A deletion has none to change. */
  before_state_change: (input: StateHookInput) => Answers<Verdict<{ readonly value: Json }>>;
  after_state_change: (
    input: Omit<PluginStateChange, 'oldValue'> & { readonly subject: string; readonly updatedAt: string },
  ) => Answers<void>;
  /** `headers` are added to the answer; names of the hub's own are not replaced. */
  on_request: (
    input: RequestHookInput,
  ) => Answers<Verdict<{ readonly headers: Readonly<Record<string, string>> }>>;
};

/** `base` is undefined when it is not known, `current` when the key does not exist. */
export type ConflictInput = { readonly base?: Json; readonly current?: Json; readonly incoming: Json };
export type ConflictAnswer =
  | { readonly value: Json }
  | { readonly refuse: string; readonly conflicts?: readonly string[] };

export type PluginContext<Config extends Json = Json> = {
  readonly name: string;
  readonly version: string;
  /** As the operator gave it, checked by the manifest's schema, with its defaults. */
  readonly config: Config;
  /** One line of the hub's log each. */
  readonly log: {
    debug(message: string, fields?: Readonly<Record<string, Json>>): void;
    info(message: string, fields?: Readonly<Record<string, Json>>): void;
    warn(message: string, fields?: Readonly<Record<string, Json>>): void;
    error(message: string, fields?: Readonly<Record<string, Json>>): void;
  };
  readonly messageBus: {
    /** Resolves once the message is durable. Rejects with a `PluginCallError`. */
    publish(
      topic: string,
      payload: Json,
      options?: PublishOptions,
    ): Promise<{ readonly messageId: string; readonly position: string }>;
    subscribe(
      pattern: string,
      handler: (message: PluginMessage) => Answers<void>,
      options?: SubscribeOptions,
    ): Promise<Stoppable>;
  };
  readonly state: {
    /** `plugin/{name}/`: the keys that are the plugin's own. Keys are whole everywhere. */
    readonly prefix: string;
    get(key: string): Promise<PluginStateEntry | null>;
    /** @param options `expectedVersion` 0: only when there is none. Another version is refused, code `version_conflict`. */
    set(
      key: string,
      value: Json,
      options?: { readonly expectedVersion?: number; readonly ttlSec?: number },
    ): Promise<{ readonly version: number; readonly position: string }>;
    delete(key: string, options?: { readonly expectedVersion?: number }): Promise<void>;
    list(
      prefix: string,
      options?: { readonly limit?: number; readonly after?: string },
    ): Promise<readonly PluginStateEntry[]>;
    /** @param selector a key, or a prefix and `*`. */
    watch(selector: string, handler: (change: PluginStateChange) => Answers<void>): Promise<Stoppable>;
  };
  readonly services: {
    list(filter?: { readonly name?: string; readonly capability?: string }): Promise<readonly Json[]>;
    invoke(
      service: string,
      method: string,
      data?: Json,
      options?: { readonly timeoutMs?: number; readonly key?: string },
    ): Promise<{ readonly result: Json; readonly instance: string; readonly attempts: number }>;
  };
  readonly hooks: {
    /** Before `initialize` is done; the manifest must declare the hook. One handler for each. */
    register<Name extends keyof HookHandlers>(name: Name, handler: HookHandlers[Name]): void;
  };
  readonly resolvers: {
    /** Before `initialize` is done; the manifest must declare the name. */
    register(name: string, resolve: (conflict: ConflictInput) => Answers<ConflictAnswer>): void;
  };
  /** 10 ms at least. `setTimeout`, `setInterval` and their ends are there too. */
  readonly timers: {
    after(ms: number, run: () => Answers<void>): () => void;
    every(ms: number, run: () => Answers<void>): () => void;
  };
  /** What signing needs. */
  readonly crypto: {
    /** @returns HMAC-SHA-256 of `text` as UTF-8 under `key` as UTF-8, in lower-case hex. */
    hmacSha256(key: string, text: string): Promise<string>;
    /** A UUID of version 4. */
    randomId(): string;
  };
  /** To the origins of the manifest alone. Rejects with a `PluginCallError`. */
  fetch(url: string, init?: FetchInit): Promise<FetchAnswer>;
};

/** What the hub refused: `code` is one of docs/errors.md, or `limit_exceeded`, `not_granted`. */
export type PluginCallError = Error & { readonly code: string };

export type PluginModule = {
  initialize(context: PluginContext): Answers<void>;
  shutdown?(): Answers<void>;
};
