import type { Json, PublishOptions } from '../plugin.ts';

/** What tests of plugins are written with: types alone, and none of the hub's (docs/plugins.md). */

/** A service of the test's own. What it throws is the failure that the caller is told of. */
export type Service = (method: string, data: Json) => Json | Promise<Json>;

export type PluginTestOptions = {
  /** The plugin's folder, named as the plugin: `import.meta.dirname` of a test that lies in it. */
  readonly folder: string;
  readonly config?: Json;
  /** Values of `{ "$secret": NAME }`, by name. They stand in the environment of this process until `close`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** What is granted, as `EnablePlugin` takes it; all that the manifest asks for unless given. */
  readonly permissions?: Json;
  readonly limits?: Json;
  /** Runs it in this process, for a debugger: no limit of memory or processor time holds. */
  readonly trusted?: boolean;
  /** Services that the test answers for, by name. */
  readonly services?: Readonly<Record<string, Service>>;
  /** Networks that `fetch` may reach beside public addresses, as the option allowedTargets has them. */
  readonly allowedTargets?: readonly string[];
  /** How long what happens later is waited for; 5,000 unless given. */
  readonly waitMs?: number;
};

export type SetOptions = {
  /** 0: only when there is none. */
  readonly expectedVersion?: number;
  /** Name of the resolver of a conflict. */
  readonly resolver?: string;
  readonly ttlMs?: number;
};

export type RequestOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: Json;
};

/** Something that a client of the hub does. */
export type Step = {
  readonly subject: string;
  /** As it stands in messages of failed tests. */
  readonly text: string;
  readonly action:
    | { readonly type: 'command'; readonly command: string; readonly data: Json }
    | { readonly type: 'invoke'; readonly service: string; readonly method: string; readonly data: Json }
    | {
        readonly type: 'request';
        readonly method: string;
        readonly path: string;
        readonly options: RequestOptions;
      };
};

export type Refusal = {
  readonly reason?: string | RegExp;
  readonly details?: Json;
  readonly hook?: string;
};

export type Published = {
  readonly topic: string;
  readonly payload?: Json;
  readonly key?: string;
  readonly publisher?: string;
};

/** What must be true after the step. Each can be asked for one after the other; the step is done once. */
export type Outcome = {
  /** Nobody refused it. */
  thenAccepted(): Promise<Outcome>;
  /** The plugin refused it; by this reason, with these details, when they are given. */
  thenRefused(expected?: Refusal): Promise<Outcome>;
  /** The client got exactly this: the result of a call, or the body of an HTTP answer. */
  thenAnswered(expected: Json): Promise<Outcome>;
  /** The answer to a request over HTTP has these headers, among others. */
  thenHeaders(expected: Readonly<Record<string, string>>): Promise<Outcome>;
  /** A message like this is published, by whomever, at once or later. */
  thenPublished(expected: Published): Promise<Outcome>;
  /** The key has this value, at once or later; undefined: it is not there. */
  thenState(key: string, expected: Json | undefined): Promise<Outcome>;
};

export type When = {
  /** Done when the first `then…` is asked for. */
  when(step: Step): Outcome;
};

export type Logged = { readonly level: string; readonly msg: string } & Readonly<Record<string, unknown>>;

/** A plugin that runs in its sandbox, in a hub of this process on a temporary folder. */
export type PluginTest = When & {
  readonly name: string;
  /** What must have happened before; each of it must be accepted. */
  given(...steps: readonly Step[]): When;
  /** What the plugin logged, and what the hub logged at warn and above. */
  readonly logged: readonly Logged[];
  /** Ends the hub and opens it again on the same folder. */
  restart(): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The functions of the kit. */
export type PluginTestKit = {
  /**
   * Opens a hub in which the plugin runs.
   *
   * @throws {Error} when the plugin is not enabled: the message says why.
   */
  openPluginTest(options: PluginTestOptions): Promise<PluginTest>;
  /** The same step, done by another subject than `test`. */
  by(subject: string, step: Step): Step;
  publish(topic: string, payload: Json, options?: PublishOptions): Step;
  set(key: string, value: Json, options?: SetOptions): Step;
  remove(key: string): Step;
  /** @param amount 1 unless given. */
  increment(key: string, amount?: number): Step;
  /** @param service as the command `RegisterService` takes it; version 1.0.0 and no address unless given. */
  register(service: { readonly name: string } & Readonly<Record<string, Json>>): Step;
  /** @param data null unless given. */
  invoke(service: string, method: string, data?: Json): Step;
  /** Over HTTP, for what stands in the gateway alone. */
  request(method: string, path: string, options?: RequestOptions): Step;
};
