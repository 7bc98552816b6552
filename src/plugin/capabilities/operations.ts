import { unreachable } from '../../../domain/decider.ts';
import type { Json } from '../../../domain/event.ts';
import { isJsonObject } from '../../../domain/json.ts';
import { defaultLimit } from '../../core/reads.ts';
import { ok, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { CommandDone, Context, StateEntry } from '../../nexus-core.ts';
import type { WishAnswer } from '../sandbox/sandbox.ts';
import { answerWith, granted } from './answers.ts';
import type { HubOperations } from './capabilities.ts';
import type { createDeliveries } from './deliveries.ts';
import type { PluginFetch } from './fetch.ts';
import type { WishRequest } from './grants.ts';
import { exceeds } from './sizes.ts';
import { maxWaitMs, type WishData } from './wishes.ts';

export type OperationsOptions = {
  readonly hub: HubOperations;
  context(): Context;
  readonly deliveries: Pick<ReturnType<typeof createDeliveries>, 'subscribe' | 'watch' | 'end'>;
  readonly outgoing: Pick<PluginFetch, 'fetch'>;
  /** Of one answer. */
  readonly maxBytes: number;
  /** Aborts when the guest is gone. */
  readonly gone: AbortSignal;
};

/** As the plugin's author knows it (`PluginStateEntry`). */
const entryOf = ({ key, value, version, updatedAt, updatedBy, position }: StateEntry): Json => ({
  key,
  value,
  version,
  updatedAt,
  updatedBy,
  position,
});

const published = ({ result, position }: CommandDone): Json => ({
  messageId: (isJsonObject(result) ? result.messageId : undefined) ?? null,
  position,
});

const written = ({ events, position }: CommandDone): Json => ({
  version: (events.at(-1)?.revision ?? -1) + 1,
  position,
});

/** Up to `limit` entries, however many deleted keys stand between them: fewer are all that there are, or too many bytes. */
const listState = async (
  { hub, context, maxBytes }: Pick<OperationsOptions, 'hub' | 'context' | 'maxBytes'>,
  { prefix, limit = defaultLimit, after }: WishData<'state.list'>,
): Promise<Result<readonly Json[]>> => {
  const entries: Json[] = [];
  let from: { readonly after?: string; readonly cursor?: string } = given({ after });
  for (;;) {
    const page = await hub.states({ prefix, limit: limit - entries.length, ...from }, context());
    if (!page.ok) return page;
    entries.push(...page.value.entries.map(entryOf));
    const { cursor } = page.value;
    if (cursor === undefined || entries.length >= limit || exceeds(entries, maxBytes)) return ok(entries);
    from = { cursor };
  }
};

/** Carries out what was granted, by the operations that any client of the hub uses. */
export const createOperations =
  (options: OperationsOptions) =>
  async (request: WishRequest): Promise<WishAnswer> => {
    const { hub, context, deliveries, outgoing, gone } = options;
    const { operation } = request;
    const same = (value: Json): Json => value;
    switch (operation) {
      case 'publish': {
        const { data } = request;
        return answerWith(await hub.execute({ type: 'PublishMessage', data }, context()), published);
      }
      case 'subscribe':
        return answerWith(await deliveries.subscribe(request.data), same);
      case 'unsubscribe':
        deliveries.end(`message:${request.data.n}`);
        return granted(null);
      case 'state.get': {
        const found = await hub.state(request.data.key, {}, context());
        if (!found.ok && found.problem.code === 'not_found') return granted(null);
        return answerWith(found, entryOf);
      }
      case 'state.set': {
        const { ttlSec, ...rest } = request.data;
        const data = { ...rest, ...(ttlSec === undefined ? {} : { ttlMs: ttlSec * 1_000 }) };
        return answerWith(await hub.execute({ type: 'SetState', data }, context()), written);
      }
      case 'state.delete': {
        const { data } = request;
        return answerWith(await hub.execute({ type: 'DeleteState', data }, context()), () => null);
      }
      case 'state.list': {
        const listed = await listState(options, request.data);
        return answerWith(listed, (entries) => entries);
      }
      case 'state.watch':
        return answerWith(await deliveries.watch(request.data), same);
      case 'state.unwatch':
        deliveries.end(`change:${request.data.n}`);
        return granted(null);
      case 'services.list': {
        const { name, capability } = request.data;
        const filter = given({ name, capabilities: capability === undefined ? undefined : [capability] });
        return answerWith(await hub.services(filter, context()), ({ services }) => services);
      }
      case 'services.invoke': {
        const { service, ...data } = request.data;
        const leftMs = data.timeoutMs ?? maxWaitMs;
        const invoked = await hub.invoke(service, data, context(), { signal: gone, leftMs });
        return answerWith(invoked, ({ result, instance, attempts }) => ({ result, instance, attempts }));
      }
      case 'fetch':
        return outgoing.fetch(request.data);
      default:
        return unreachable(operation);
    }
  };
