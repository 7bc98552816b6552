import type { Duplex, Readable } from 'node:stream';
import type { Result } from './errors.ts';
import type { CallOptions, Context } from './nexus-core.ts';

/** A request as a client sent it, for an instance of a service. */
export type ForwardRequest = {
  readonly method: string;
  /** What stands on the request line: path and query as the client wrote them, beginning with a slash. */
  readonly target: string;
  /** Names and values in turn, as the client sent them: what must not go on is left out here. */
  readonly fields: readonly string[];
  /** What the hub says beside them, by lower-case name. */
  readonly own: Readonly<Record<string, string>>;
  /** A stream is read once the request goes onto a connection, and no faster than the instance takes it. */
  readonly body?: Readable | Uint8Array;
  /** Unchecked, by the names of the header fields: X-Nexus-Strategy, X-Nexus-Key, X-Nexus-Capability, X-Nexus-Timeout-Ms. */
  readonly options: Readonly<Record<string, unknown>>;
};

export type AnswerHead = {
  readonly status: number;
  /** Names and values in turn: what must not go on has been left out. */
  readonly fields: readonly string[];
  /** Of the body, or of what it would be (HEAD, 304), where the instance said so. */
  readonly length?: number;
  readonly instance: string;
};

/** Where an answer goes to. */
export type AnswerSink = {
  /** Once, before everything else. @throws when it is no head that can be sent. */
  begin(head: AnswerHead): void;
  /** False: nothing more is to come before `onDrain` has run. */
  write(chunk: Uint8Array, onDrain: () => void): boolean;
  end(): void;
  /** After `begin`: the answer broke off, and must not be taken for whole. */
  cut(): void;
};

export type Upgraded =
  | {
      readonly type: 'open';
      readonly instance: string;
      readonly fields: readonly string[];
      /** Owned by the caller. */
      readonly socket: Duplex;
    }
  /** The instance answered with something else than 101; at most 64 KiB of its body. */
  | { readonly type: 'declined'; readonly head: AnswerHead; readonly body: Uint8Array };

/** The way of plain HTTP to a service (docs/registry.md, "The proxy"). Scope: `services:invoke`. */
export type ProxyApi = {
  /**
   * Sends a request to an instance and its answer to `sink`; settles when that is over. A problem is answered only as long as
   * the answer has not begun.
   */
  forward(
    service: string,
    request: ForwardRequest,
    sink: AnswerSink,
    context: Context,
    options?: CallOptions,
  ): Promise<Result<undefined>>;
  /** Opens a WebSocket at an instance. */
  upgrade(
    service: string,
    request: ForwardRequest,
    context: Context,
    options?: CallOptions,
  ): Promise<Result<Upgraded>>;
};
