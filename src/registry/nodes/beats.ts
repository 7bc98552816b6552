import { type Beat, maxBeats } from '../../bus/remote/protocol.ts';
import type { Clock } from '../../clock.ts';
import { given } from '../../given.ts';

/** Tells the other nodes of the log the heartbeats that this one has heard: the newest of each instance, in batches. */
export type Beats = {
  heard(beat: Beat): void;
  close(): void;
};

export type BeatsOptions = {
  readonly after: Clock['after'];
  /** Where the other nodes are reached; null for one that serves no protocol. */
  readonly others: () => ReadonlyMap<string, string | null>;
  /** Resolves when the node has taken them; false when it could not be reached. */
  readonly send: (url: string, beats: readonly Beat[]) => Promise<boolean>;
};

const everyMs = 250;
/** Between two tries to reach a node that could not be. */
const restEveries = 4;
/** Of one frame, about. */
const maxBatchBytes = 262_144;

/** What is not sent to one node yet: each instance once, so as many at most as there are. */
type Mailbox = { readonly beats: Map<string, Beat>; sending: boolean; restEveries: number };

const weigh = ({ service, metrics }: Beat): number => {
  let bytes = 64 + service.length;
  for (const name in metrics) bytes += name.length + 24;
  return bytes;
};

const takeBatch = (beats: Map<string, Beat>): readonly Beat[] => {
  const batch: Beat[] = [];
  let bytes = 0;
  for (const [service, beat] of beats) {
    bytes += weigh(beat);
    if (batch.length === maxBeats || (bytes > maxBatchBytes && batch.length > 0)) break;
    beats.delete(service);
    batch.push(beat);
  }
  return batch;
};

export const createBeats = ({ after, others, send }: BeatsOptions): Beats => {
  const mailboxes = new Map<string, Mailbox>();
  let cancel: (() => void) | undefined;
  let closed = false;

  const deliver = async (url: string, mailbox: Mailbox): Promise<void> => {
    mailbox.sending = true;
    while (mailbox.beats.size > 0 && !closed) {
      const reached = await send(url, takeBatch(mailbox.beats));
      if (!reached) {
        // The next heartbeats say as much; what these said would be old by then.
        mailbox.beats.clear();
        mailbox.restEveries = restEveries;
        break;
      }
    }
    mailbox.sending = false;
  };

  const flush = (): void => {
    cancel = undefined;
    let isLeft = false;
    const known = others();
    for (const [node, mailbox] of mailboxes) {
      const url = known.get(node);
      if (url === undefined || url === null) {
        mailboxes.delete(node);
      } else if (mailbox.restEveries > 0) {
        mailbox.restEveries--;
        isLeft = true;
      } else if (!mailbox.sending) {
        void deliver(url, mailbox);
      } else {
        isLeft ||= mailbox.beats.size > 0;
      }
    }
    if (isLeft) plan();
  };

  const plan = (): void => {
    if (!closed) cancel ??= after(everyMs, flush);
  };

  return {
    heard(beat) {
      for (const [node, url] of others()) {
        if (url === null) continue;
        let mailbox = mailboxes.get(node);
        if (mailbox === undefined) {
          mailbox = { beats: new Map(), sending: false, restEveries: 0 };
          mailboxes.set(node, mailbox);
        }
        const before = mailbox.beats.get(beat.service);
        // What the newer one does not say the older one has said.
        mailbox.beats.set(
          beat.service,
          before === undefined ? beat : { ...before, ...given(beat), service: beat.service },
        );
        plan();
      }
    },
    close() {
      closed = true;
      cancel?.();
    },
  };
};
