import type { ServerResponse } from 'node:http';
import { ProblemError, problem } from '../errors.ts';

/** Those who wait over HTTP for what somebody else has to say. */
export type Askers = {
  /** Runs `ask` with a signal that aborts when the connection of `response` closes, or with `shutting_down` when the hub drains. */
  whileOpen<Value>(response: ServerResponse, ask: (signal: AbortSignal) => Promise<Value>): Promise<Value>;
  drain(): void;
};

/** What a drain ends a wait with. */
export const drainReason = (): ProblemError =>
  new ProblemError(problem('shutting_down', 'The hub is shutting down'));

export const createAskers = (): Askers => {
  const open = new Set<AbortController>();
  let draining = false;
  return {
    whileOpen: async (response, ask) => {
      const controller = new AbortController();
      const onClose = (): void => controller.abort();
      if (draining) controller.abort(drainReason());
      else if (response.destroyed) onClose();
      response.once('close', onClose);
      open.add(controller);
      try {
        return await ask(controller.signal);
      } finally {
        open.delete(controller);
        response.off('close', onClose);
      }
    },
    drain: () => {
      draining = true;
      for (const controller of open) controller.abort(drainReason());
    },
  };
};
