/** What a node of a shared log says of itself in `node-{id}`; NodeStarted and NodeStopped stand there too. */
export type NodeEvent =
  /** Of itself, again and again: it lives, and is known as `epoch` until this lease is released. */
  | {
      readonly type: 'LeaseTaken';
      readonly data: {
        readonly epoch: string;
        /** So long after it was seen by another node it may be released. */
        readonly ttlMs: number;
        /** Where other nodes reach it; null while it serves no protocol. */
        readonly url: string | null;
      };
    }
  /** Of itself when it stops, or of another that was silent for too long. */
  | {
      readonly type: 'LeaseReleased';
      readonly data: { readonly epoch: string; readonly by: string; readonly reason: string };
    };
