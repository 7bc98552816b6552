import type { Json } from '../../../domain/event.ts';
import type { FetchInit, PublishOptions, SubscribeOptions } from '../plugin.ts';

/**
 * What the guest's side of a `PluginContext` asks for, by operation: the data of a `Wish`. The numbers `subscription` and
 * `watch` are the guest's own, from 1 and counted together; the hub calls `message:N` and `change:N` back with them.
 * What comes over the pipe is checked by the hub, whatever stands here.
 */
export type WishData = {
  /** Answered with `{ messageId, position }`. */
  'messageBus.publish': {
    readonly topic: string;
    readonly payload: Json;
    readonly options?: PublishOptions;
  };
  'messageBus.subscribe': {
    readonly subscription: number;
    readonly pattern: string;
    readonly options?: SubscribeOptions;
  };
  'messageBus.unsubscribe': { readonly subscription: number };
  /** Answered with the entry, or null. */
  'state.get': { readonly key: string };
  /** Answered with `{ version, position }`. */
  'state.set': {
    readonly key: string;
    readonly value: Json;
    readonly options?: { readonly expectedVersion?: number; readonly ttlSec?: number };
  };
  'state.delete': { readonly key: string; readonly options?: { readonly expectedVersion?: number } };
  /** Answered with the entries. */
  'state.list': {
    readonly prefix: string;
    readonly options?: { readonly limit?: number; readonly after?: string };
  };
  'state.watch': { readonly watch: number; readonly selector: string };
  'state.unwatch': { readonly watch: number };
  /** Answered with the services. */
  'services.list': { readonly filter?: { readonly name?: string; readonly capability?: string } };
  /** Answered with `{ result, instance, attempts }`. */
  'services.invoke': {
    readonly service: string;
    readonly method: string;
    readonly data?: Json;
    readonly options?: { readonly timeoutMs?: number; readonly key?: string };
  };
  /** Answered with a `FetchAnswer`. */
  fetch: { readonly url: string; readonly init?: FetchInit };
};

export type WishOperation = keyof WishData;
