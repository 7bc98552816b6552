import type { Json } from '../event.ts';

export const priorities = ['LOW', 'NORMAL', 'HIGH', 'CRITICAL'] as const;
export type Priority = (typeof priorities)[number];

export type MessageEvent = {
  readonly type: 'MessagePublished';
  readonly data: {
    readonly messageId: string;
    readonly topic: string;
    readonly payload: Json;
    readonly priority: Priority;
    readonly key?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly deliverAt?: string;
    readonly expiresAt?: string;
  };
};

/** The handler turns `ttlMs` into `expiresAt`: the domain has no clock. */
export type MessageCommand = { readonly type: 'PublishMessage' } & MessageEvent['data'];
/** A topic takes every well-formed message: which ones are well-formed is the input schema's matter. */
export type MessageRejection = never;
export type MessageState = { readonly messages: number };
