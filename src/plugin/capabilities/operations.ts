import { setImmediate as nextTurn } from 'node:timers/promises';
import { unreachable } from '../../../domain/decider.ts';
import type { Json } from '../../../domain/event.ts';
import { isJsonObject } from '../../../domain/json.ts';
import { defaultLimit, maxLimit } from '../../core/reads.ts';
import { given } from '../../given.ts';
import type { CommandDone, Context, StateEntry } from '../../nexus-core.ts';
import { createTurns } from '../../watch/turns.ts';
import type { WishAnswer } from '../sandbox/sandbox.ts';
import { answerWith, granted, refusalOf, refuse } from './answers.ts';
import type { HubOperations } from './capabilities.ts';
import type { createDeliveries } from './deliveries.ts';
import type { PluginFetch } from './fetch.ts';
import type { WishRequest } from './grants.ts';
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

/** About so many bytes of values, or of JSON text, are taken at a time. */
const turnBytes = 262_144;
/** Keys that one list of a plugin looks at, deleted ones included. */
const maxListed = 100_000;

/** Collects a list until its JSON text is larger than an answer may be: who hands it over refuses it then. */
const createCollector = (maxBytes: number) => {
  const items: Json[] = [];
  let bytes = 2;
  let sinceTurn = 0;
  return {
    items,
    get isTooLarge() {
      return bytes > maxBytes;
    },
    /** Takes no more than the first item that is too much, and gives others their turn. */
    async take(more: Iterable<Json>): Promise<void> {
      for (const item of more) {
        const size = Buffer.byteLength(JSON.stringify(item)) + (items.length === 0 ? 0 : 1);
        items.push(item);
        bytes += size;
        sinceTurn += size;
        if (bytes > maxBytes) return;
        if (sinceTurn < turnBytes) continue;
        sinceTurn = 0;
        await nextTurn();
      }
    },
  };
};

type ListOptions = Pick<OperationsOptions, 'hub' | 'context' | 'maxBytes' | 'gone'>;

const stopped = (): WishAnswer => refuse('shutting_down', 'the plugin is being stopped');

/** Up to `limit` entries, however many deleted keys stand between them: fewer are all that there are, or too many bytes. */
const listState = async (
  { hub, context, maxBytes, gone }: ListOptions,
  { prefix, limit = defaultLimit, after }: WishData<'state.list'>,
): Promise<WishAnswer> => {
  const list = createCollector(maxBytes);
  const pageBytes = Math.min(maxBytes, turnBytes);
  let scanned = 0;
  let from: { readonly after?: string; readonly cursor?: string } = given({ after });
  for (;;) {
    const query = { prefix, limit: limit - list.items.length, maxBytes: pageBytes, ...from };
    const page = await hub.states(query, { ...context(), signal: gone });
    if (!page.ok) return refusalOf(page.problem);
    const { entries, cursor } = page.value;
    await list.take(entries.map(entryOf));
    if (cursor === undefined || list.items.length >= limit || list.isTooLarge) return granted(list.items);
    scanned += page.value.scanned;
    if (scanned >= maxListed) {
      const detail = `${maxListed} keys, deleted ones included, hold fewer than ${limit} entries: list a narrower prefix`;
      return refuse('limit_exceeded', detail);
    }
    await nextTurn();
    if (gone.aborted) return stopped();
    from = { cursor };
  }
};

/** All that there are, a page at a time: a list that is too large is not collected whole to find out. */
const listServices = async (
  { hub, context, maxBytes, gone }: ListOptions,
  { name, capability }: WishData<'services.list'>,
): Promise<WishAnswer> => {
  const list = createCollector(maxBytes);
  const filter = given({ name, capabilities: capability === undefined ? undefined : [capability] });
  for (let from: { readonly cursor?: string } = {}; ; ) {
    const page = await hub.services({ ...filter, limit: maxLimit, ...from }, context());
    if (!page.ok) return refusalOf(page.problem);
    const { services, cursor } = page.value;
    await list.take(services);
    if (cursor === undefined || list.isTooLarge) return granted(list.items);
    await nextTurn();
    if (gone.aborted) return stopped();
    from = { cursor };
  }
};

/** Carries out what was granted, by the operations that any client of the hub uses. */
export const createOperations = (options: OperationsOptions) => {
  const { hub, context, deliveries, outgoing, gone } = options;
  /** A list gives the others their turn, but a hundred would all go on in the same one. */
  const turns = createTurns(1);
  const inTurn = async (list: () => Promise<WishAnswer>): Promise<WishAnswer> =>
    (await turns.run(list, gone)) ?? stopped();
  return async (request: WishRequest): Promise<WishAnswer> => {
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
      case 'state.list':
        return inTurn(() => listState(options, request.data));
      case 'state.watch':
        return answerWith(await deliveries.watch(request.data), same);
      case 'state.unwatch':
        deliveries.end(`change:${request.data.n}`);
        return granted(null);
      case 'services.list':
        return inTurn(() => listServices(options, request.data));
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
};
