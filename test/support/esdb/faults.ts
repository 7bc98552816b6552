import type { EsdbStore } from './store.ts';

/**
 * What happens to one append:
 * `kill` committed, then the call dies before the answer; `killBefore` dies without a commit; `mute` committed, never
 * answered; `swallow` neither; `deaf` neither, and the call that it came by takes nothing
 * any more; `hold` committed, answered when `releaseHeld` is called; `late` not even committed
 * until then; `afterHeld` lets go of what is held first, and has forgotten every id, as a new leader has;
 * `notLeader` sent on to `leaderPort`; `notReady`, `busy`, `noLeader`, `timeout` refused with that answer; `accessDenied`; `bare` an error
 * without details.
 */
export type AppendFault =
  | 'kill'
  | 'killBefore'
  | 'mute'
  | 'swallow'
  | 'deaf'
  | 'hold'
  | 'late'
  | 'afterHeld'
  | 'notReady'
  | 'busy'
  | 'noLeader'
  | 'notLeader'
  | 'timeout'
  | 'accessDenied'
  | 'bare';

export type EsdbFaultSettings = {
  /** `unimplemented`: the server is too old to say what it can do. */
  features: 'ok' | 'unimplemented';
  /** The next feature queries fail with an error that says nothing. */
  failFeatures: number;
  /** The next reads are refused with `Server Is Not Ready`. */
  notReadyReads: number;
  /** The next reads and subscriptions are accepted and stay silent. */
  silentReads: number;
  /** A subscription that falls behind live by more events is dropped (23.10) or sent back to catch up (24.2). */
  slowLimit: number;
  slowOutcome: 'drop' | 'fellBehind';
  /** How many consumers were too slow so far. */
  slowConsumers: number;
  /** True: reading $all backwards and subscriptions begin with the event at the position itself. */
  inclusive: boolean;
  maxAppendBytes: number;
  /** Where `notLeader` sends clients to. */
  leaderPort: number;
};

/** The faults of one server, read at each call. All are off at first. */
export const createEsdbFaults = () => {
  const appends: AppendFault[] = [];
  const held: (() => void)[] = [];
  const settings: EsdbFaultSettings = {
    features: 'ok',
    failFeatures: 0,
    notReadyReads: 0,
    silentReads: 0,
    slowLimit: Number.POSITIVE_INFINITY,
    slowOutcome: 'drop',
    slowConsumers: 0,
    inclusive: false,
    maxAppendBytes: 1_048_576,
    leaderPort: 0,
  };
  return {
    /** The next appends each take one fault, in order. */
    nextAppends: (...faults: AppendFault[]): void => {
      appends.push(...faults);
    },
    takeAppend: (): AppendFault | undefined => appends.shift(),
    hold: (answer: () => void): void => {
      held.push(answer);
    },
    releaseHeld: (): void => {
      for (const answer of held.splice(0)) answer();
    },
    /** To be changed at any time. */
    settings,
  };
};

export type EsdbFaults = ReturnType<typeof createEsdbFaults>;

/** What the handlers of one server share. */
export type EsdbContext = {
  readonly store: EsdbStore;
  readonly faults: EsdbFaults;
  /** Counts of calls taken, by name. */
  readonly calls: Map<string, number>;
  /** The commit position that each subscription asked to go on behind, 0 for the start. */
  readonly subscribedFrom: bigint[];
};

export const count = (context: EsdbContext, call: string): void => {
  context.calls.set(call, (context.calls.get(call) ?? 0) + 1);
};
