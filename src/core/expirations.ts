import { streamId } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import type { Handler } from '../command/handle.ts';
import { ProblemError, problem } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';

/** Records that one version of a key has expired, unless the key has another one by now. */
export const createExpire =
  ({ runner, node }: Pick<Parts, 'runner' | 'node'>, handler: Handler, { state }: Pick<Deciders, 'state'>) =>
  async (key: string, version: number): Promise<void> => {
    const document = runner.store.read<StateDocument>('state', key);
    const { outcome } = await handler.handle(
      state,
      streamId('state', key),
      { type: 'ExpireState', expectedVersion: version },
      {
        metadata: {
          actor: 'system',
          correlationId: newId(),
          // What set the key for this time.
          causationId: document?.version === version ? document.eventId : null,
          node,
          schema: 1,
        },
      },
    );
    if (outcome === 'busy') throw new ProblemError(problem('busy', `${key} changed during each try`));
  };
