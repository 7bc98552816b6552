import { ProblemError, problem } from '../errors.ts';
import type { Asker, CredentialWatch } from './auth/credential-watch.ts';
import { rest, resume } from './limits/work.ts';

/** Those who wait over HTTP for what somebody else has to say. */
export type Askers = {
  /**
   * Runs `ask` with a signal that aborts when the connection closes, with `shutting_down` when the hub drains, or with
   * `unauthorized` when the credential of whoever asks ends.
   */
  whileOpen<Value>(asker: Asker, ask: (signal: AbortSignal) => Promise<Value>): Promise<Value>;
  drain(): void;
};

/** What a drain ends a wait with. */
export const drainReason = (): ProblemError =>
  new ProblemError(problem('shutting_down', 'The hub is shutting down'));

export const createAskers = (watchCredential: CredentialWatch['watch']): Askers => {
  const open = new Set<AbortController>();
  let draining = false;
  return {
    whileOpen: async ({ res: response, state }, ask) => {
      const controller = new AbortController();
      const onClose = (): void => controller.abort();
      if (draining) controller.abort(drainReason());
      else if (response.destroyed) onClose();
      response.once('close', onClose);
      open.add(controller);
      const stopWatching = watchCredential(state.subject, (why) => controller.abort(new ProblemError(why)));
      rest(response.req);
      try {
        return await ask(controller.signal);
      } finally {
        resume(response.req, false);
        stopWatching();
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
