import type { Json } from '../../../../domain/event.ts';
import type { Clock } from '../../../clock.ts';
import { roughBytes } from '../../../rough-bytes.ts';
import type { CallAnswer, CallFault, CallTarget } from '../sandbox.ts';

/** Calls that wait for one guest. */
const maxCalls = 1_000;
const maxBytes = 16 * 1_024 * 1_024;

export const failed = (fault: CallFault, message: string): CallAnswer => ({ ok: false, fault, message });

type WaitingCall = {
  readonly target: CallTarget;
  readonly input: Json;
  readonly deadlineMs: number;
  readonly bytes: number;
  readonly answer: (answer: CallAnswer) => void;
  readonly cancelTimer: () => void;
};

/** Calls that came while their guest was away, in their order. */
export type Waiting = {
  /** Answers `timeout` when nobody has taken it by then, `overloaded` when too many wait. */
  add(target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer>;
  /** Hands all of them to `call`, each with the time that it has left. */
  release(call: (target: CallTarget, input: Json, timeoutMs: number) => Promise<CallAnswer>): void;
  refuse(fault: CallFault, message: string): void;
};

export const createWaiting = (clock: Clock): Waiting => {
  const calls = new Set<WaitingCall>();
  let bytes = 0;

  const remove = (call: WaitingCall): void => {
    calls.delete(call);
    bytes -= call.bytes;
    call.cancelTimer();
  };

  return {
    add(target, input, timeoutMs) {
      const weight = roughBytes(input, maxBytes);
      if (calls.size >= maxCalls || bytes + weight > maxBytes) {
        return Promise.resolve(
          failed('overloaded', 'The plugin is being restarted, and too many calls wait for it'),
        );
      }
      return new Promise((answer) => {
        const call: WaitingCall = {
          target,
          input,
          deadlineMs: clock.now() + timeoutMs,
          bytes: weight,
          answer,
          cancelTimer: clock.after(timeoutMs, () => {
            remove(call);
            answer(failed('timeout', `The plugin was being restarted and not back after ${timeoutMs} ms`));
          }),
        };
        calls.add(call);
        bytes += weight;
      });
    },
    release(call) {
      for (const waiting of [...calls]) {
        remove(waiting);
        const leftMs = waiting.deadlineMs - clock.now();
        // A clock that stands still or runs late leaves less than a millisecond: the guest is asked all the same.
        call(waiting.target, waiting.input, Math.max(1, leftMs)).then(waiting.answer, (error: unknown) =>
          waiting.answer(failed('gone', String(error))),
        );
      }
    },
    refuse(fault, message) {
      for (const waiting of [...calls]) {
        remove(waiting);
        waiting.answer(failed(fault, message));
      }
    },
  };
};
