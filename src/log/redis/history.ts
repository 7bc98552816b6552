import { randomUUID } from 'node:crypto';
import { LogError } from '../event-log.ts';

/** Epoch (empty while none is known) and newest sequence that this process knew when it asked. */
export type Known = { readonly epoch: string; readonly sequence: number };

/**
 * What this process knows of the history on the server, so that a server which was emptied, replaced or set back is
 * noticed instead of taken for the same log. Forgotten with the process: a node's own memory is the log's identity.
 */
export type History = {
  /** Epoch for a history that begins with an append of this process. */
  readonly proposal: string;
  known(): Known;
  /**
   * Takes over an answer to a question asked when `asked` was known.
   * @throws {LogError} `log_unavailable` when it comes from another history.
   */
  observe(asked: Known, epoch: string, sequence: number): void;
};

export const createHistory = (server: string): History => {
  let current: Known = { epoch: '', sequence: 0 };
  const refuse = (text: string, facts: Record<string, unknown>): never => {
    throw new LogError('log_unavailable', `the Redis at ${server} ${text}`, { server, ...facts });
  };
  return {
    proposal: randomUUID(),
    known: () => current,
    observe: (asked, epoch, sequence) => {
      const facts = { knownEpoch: current.epoch, epoch, knownSequence: asked.sequence, sequence };
      if (current.epoch !== '' && epoch !== current.epoch && (epoch !== '' || asked.epoch !== '')) {
        refuse(
          epoch === ''
            ? 'was emptied: the history that this process knows is gone'
            : 'holds another history than the one that this process knows',
          facts,
        );
      }
      if (sequence < asked.sequence) {
        refuse('has lost events that it had acknowledged: its log is behind what this process knows', facts);
      }
      if (epoch !== '') current = { epoch, sequence: Math.max(current.sequence, sequence) };
    },
  };
};
