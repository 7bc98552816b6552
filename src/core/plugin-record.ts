import { streamId } from '../../domain/event.ts';
import type { Handler } from '../command/handle.ts';
import { newId } from '../ids.ts';
import type { RecordPlugin } from '../plugin/runtime.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';

/** What the host of plugins tells of its own accord, decided like any command: what is no news is not written. */
export const createPluginRecord =
  (
    { node, logger }: Pick<Parts, 'node' | 'logger'>,
    handler: Handler,
    deciders: Pick<Deciders, 'plugin'>,
  ): RecordPlugin =>
  async (name, event) => {
    const metadata = { actor: 'system', correlationId: newId(), causationId: null, node, schema: 1 };
    const stream = streamId('plugin', name);
    try {
      await handler.handle(deciders.plugin, stream, { type: 'RecordPlugin', event }, { metadata });
    } catch (error) {
      logger.warn({ plugin: name, type: event.type, error }, 'what a plugin did could not be recorded');
    }
  };
