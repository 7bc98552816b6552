import type { Json } from '../../../domain/event.ts';
import type { Instance } from '../instance.ts';
import type { ConnectFailed } from '../target/connector.ts';

/** One call as it goes to an instance, whatever the way there. */
export type OutgoingCall = {
  readonly method: string;
  /** JSON text. */
  readonly body: string;
  /** Lower-case names: correlation, trace, deadline. */
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when the caller is gone or the time of this attempt is over. */
  readonly signal: AbortSignal;
};

/** What came of it. What was aborted is `unsent` or `broken`: why, the caller knows. */
export type Attempt =
  | { readonly outcome: 'answered'; readonly status: number; readonly body: Uint8Array | 'too large' }
  /** Of an instance that is called over its WebSocket: it said so itself. */
  | { readonly outcome: 'result'; readonly value: Json }
  | { readonly outcome: 'refused'; readonly why: string; readonly error: Json }
  /** Nothing was sent. */
  | { readonly outcome: 'unsent'; readonly failure: ConnectFailed }
  | { readonly outcome: 'broken'; readonly why: string };

/** Calls an instance. Never rejects. */
export type Transport = (instance: Instance, call: OutgoingCall) => Promise<Attempt>;
