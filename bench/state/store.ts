import type { Load } from '../support/measure.ts';

/** What a client of the benchmark is told of its server. */
export type ClientTarget = {
  readonly kind: 'nexus' | 'bare' | 'etcd' | 'redis';
  readonly url: string;
  readonly token?: string | undefined;
  /** Connections over HTTP; the others have one. */
  readonly connections: number;
};

/** A key-value server as its client sees it. Writes resolve once the server says that they are done. */
export type Store = {
  put(key: string, value: string): Promise<unknown>;
  /** Writes on the condition that the key is as this client's own last `cas` or `learn` of it left it. */
  cas(key: string, value: string): Promise<unknown>;
  /** Reads the key, so that `cas` may begin. */
  learn(key: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  /** The first 100 keys that begin with `prefix`. */
  list(prefix: string): Promise<unknown>;
  /** Publishes a message to a topic. Undefined where there is no such thing. */
  readonly post?: (topic: string, payload: string) => Promise<unknown>;
  /** What `get` gives, by a GraphQL query. */
  readonly query?: (key: string) => Promise<unknown>;
  /** Writes many keys by whatever costs the least; each is durable once it resolves. */
  fill(entries: readonly (readonly [key: string, value: string])[]): Promise<unknown>;
  /** Calls `onValue` with each new value of `key`; resolves once it listens. Undefined where there is no such thing. */
  readonly watch: ((key: string, onValue: (value: string) => void) => Promise<void>) | undefined;
  close(): Promise<void>;
};

/** What the client is asked, one JSON line each; `keys` from `first` on, `count` of them. */
export type ClientJob = {
  readonly call: 'put' | 'cas' | 'get' | 'list' | 'post' | 'query' | 'learn' | 'fill' | 'watch';
  readonly first: number;
  readonly count: number;
  readonly inFlight: number;
  /** How long; `fill` and `watch` are told how often instead, and `learn` takes each key once. */
  readonly seconds?: number;
  readonly n?: number;
};

/** What comes of it: `n` operations. */
export type ClientLoad = Load & { readonly n: number };

/** 100 keys to a prefix, in the order of their numbers. */
export const prefixOf = (index: number): string =>
  `bench/${String(Math.floor(index / 100)).padStart(6, '0')}/`;
export const keyOf = (index: number): string => prefixOf(index) + String(index % 100).padStart(2, '0');
