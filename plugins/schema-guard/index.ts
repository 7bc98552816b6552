import type { Json, PluginContext } from 'nexus-integration-core/plugin';
import { createGuard } from './guard.ts';

type Config = {
  /** By topic pattern. */
  readonly schemas: { readonly [pattern: string]: Json };
  /** What becomes of a message whose topic no schema is for. */
  readonly unlisted: 'pass' | 'refuse';
};

const pageLimit = 100;

export const initialize = async (context: PluginContext<Config>): Promise<void> => {
  const { config, hooks, log, state } = context;
  // Those of the configuration cannot be replaced by a key: both count.
  const configured = createGuard();
  const kept = createGuard();
  for (const [pattern, schema] of Object.entries(config.schemas)) {
    const taken = configured.put(pattern, schema);
    if (!taken.ok) throw new Error(`the schema of ${pattern}: ${taken.reason}`);
  }

  const prefix = `${state.prefix}schemas/`;
  // Until the list is read: a change may be told before a page that does not have it yet.
  let newest: Map<string, string> | undefined = new Map();
  const take = (key: string, position: string, schema: Json, deleted: boolean): void => {
    if ((newest?.get(key) ?? '') > position) return;
    newest?.set(key, position);
    const pattern = key.slice(prefix.length);
    if (deleted) {
      kept.remove(pattern);
      return;
    }
    const taken = kept.put(pattern, schema);
    if (!taken.ok) log.error('a schema is not taken', { key, reason: taken.reason });
  };

  await state.watch(`${prefix}*`, ({ key, position, value, deleted }) => take(key, position, value, deleted));
  for (let after: string | undefined; ; ) {
    const page = await state.list(prefix, {
      limit: pageLimit,
      ...(after === undefined ? {} : { after }),
    });
    for (const { key, position, value } of page) take(key, position, value, false);
    after = page.at(-1)?.key;
    if (page.length < pageLimit) break;
  }
  newest = undefined;

  hooks.register('before_publish', ({ topic, payload }) => {
    const [fixed, changing] = [configured.faults(topic, payload), kept.faults(topic, payload)];
    if (fixed === undefined && changing === undefined) {
      return config.unlisted === 'pass' ? undefined : { refuse: `there is no schema for ${topic}` };
    }
    const errors = [...(fixed ?? []), ...(changing ?? [])];
    if (errors.length === 0) return undefined;
    return { refuse: `the payload breaks the schema of ${topic}`, details: { topic, errors } };
  });
  hooks.register('before_state_change', ({ operation, key, value }) => {
    if (operation === 'delete') return undefined;
    if (operation !== 'set' || value === undefined) return { refuse: 'a schema is set as a whole' };
    const taken = kept.check(key.slice(prefix.length), value);
    return taken.ok ? undefined : { refuse: `this is no schema that can be used: ${taken.reason}` };
  });
};
