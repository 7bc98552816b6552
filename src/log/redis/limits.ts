/** Times in ms, sizes in bytes; each bounds a wait or a buffer of the adapter. */
export type Limits = {
  /** For TCP and TLS to come up. */
  readonly connectMs: number;
  /** For one reply; then the connection is given up. */
  readonly replyMs: number;
  /** How long a call waits for a connection that was lost a moment ago; after that it is refused at once. */
  readonly graceMs: number;
  /** For one append or read in all, second tries included. */
  readonly callMs: number;
  /** For one blocking read of a watcher. */
  readonly blockMs: number;
  /** For what is in flight when the log closes. */
  readonly closeMs: number;
  readonly retryMs: { readonly first: number; readonly most: number };
  /** Appends that wait or are in flight. */
  readonly waitingAppends: number;
  readonly waitingBytes: number;
  /** Appends, events and bytes that go together into one run of the script; one append may be as large by itself. */
  readonly batch: { readonly appends: number; readonly events: number; readonly bytes: number };
  readonly batchesInFlight: number;
  /** Events of one page of a read, and the bytes at which it ends early. */
  readonly page: { readonly events: number; readonly bytes: number };
  /** Events that one step of the scavenger removes. */
  readonly scavengeEvents: number;
};

export const defaultLimits: Limits = {
  connectMs: 3_000,
  replyMs: 4_000,
  graceMs: 2_000,
  callMs: 10_000,
  blockMs: 5_000,
  closeMs: 5_000,
  retryMs: { first: 50, most: 2_000 },
  waitingAppends: 10_000,
  waitingBytes: 64_000_000,
  batch: { appends: 256, events: 1_000, bytes: 1_000_000 },
  batchesInFlight: 2,
  page: { events: 1_000, bytes: 4_000_000 },
  scavengeEvents: 500,
};
