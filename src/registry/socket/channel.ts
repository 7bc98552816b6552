import type { Json } from '../../../domain/event.ts';

/** One call as it is pushed to the connection that serves its instance. */
export type PushedCall = {
  /** Counted per connection, from 1. */
  readonly call: number;
  /** Id of the instance. */
  readonly service: string;
  readonly method: string;
  /** JSON text. */
  readonly body: string;
  /** That are left for it: nobody waits longer. */
  readonly timeoutMs: number;
  readonly correlationId: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
};

/** What the service at the other end said of a call. */
export type CallAnswer =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly error: CallError };

export type CallError = { readonly message: string; readonly code?: string; readonly data?: Json };

/** The way out of a connection that a service opened. */
export type Channel = {
  /** True while the service does not take what it was sent. */
  readonly full: boolean;
  /** Resolves once there is room again, or the connection is closed. */
  drained(): Promise<void>;
  push(call: PushedCall): void;
  /** Nobody waits for the answer any more. */
  cancel(call: number): void;
  /** It is given no further calls for this instance; those that it has may still be answered. */
  ended(service: string, reason: string): void;
};

/** One connection over which instances are called. */
export type Attendance = {
  /**
   * Calls of the instance come here from now on, `max` at a time; whoever had them before is told. Undefined: it serves too
   * many. Resolves once the change of status that follows was written, or could not be.
   */
  serve(service: string, max: number): Promise<void> | undefined;
  /** False when it does not serve it. */
  stop(service: string, reason: string): boolean;
  readonly services: Iterable<string>;
  /** `late`: the caller is gone, or it was answered before. `unknown`: there never was such a call. */
  answer(call: number, answer: CallAnswer): 'taken' | 'late' | 'unknown';
  /** Ends everything that it serves, and resolves once its last call has ended. */
  drain(reason: string): Promise<void>;
  /** It is closed: the calls under way are broken. */
  close(): void;
};
