import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { HubClient } from './hub-client.ts';

const event = z.looseObject({
  id: z.string(),
  stream: z.string(),
  revision: z.number(),
  position: z.string(),
  type: z.string(),
  data: z.unknown(),
  metadata: z.looseObject({ recordedAt: z.string(), correlationId: z.string() }),
});
export type LoggedEvent = z.output<typeof event>;

const logPage = z.object({ events: z.array(event), position: z.string(), more: z.boolean() });
const services = z.object({ services: z.array(z.looseObject({ id: z.string(), status: z.string() })) });
const states = z.object({
  entries: z.array(z.looseObject({ key: z.string(), value: z.json(), version: z.number() })),
  cursor: z.string().optional(),
});
const messages = z.object({ events: z.array(z.unknown()), more: z.boolean() });

/** Every event of the log, or those of one correlation, in order. */
export const readLog = async (hub: HubClient, correlationId?: string): Promise<readonly LoggedEvent[]> => {
  const events: LoggedEvent[] = [];
  const only = correlationId === undefined ? '' : `&correlationId=${encodeURIComponent(correlationId)}`;
  for (let after = ''; ; ) {
    const page = logPage.parse((await hub.request('GET', `/log?limit=500${after}${only}`)).body);
    events.push(...page.events);
    if (!page.more) return events;
    after = `&after=${page.position}`;
  }
};

const registryOf = async (hub: HubClient) =>
  services.parse((await hub.request('GET', '/services')).body).services.map((service) => {
    // What only the running process knows (docs/adr/0009) is not part of the comparison.
    const { load: _load, inFlight: _inFlight, lastSeenAt: _lastSeenAt, ...kept } = service;
    return kept;
  });

const stateOf = async (hub: HubClient) => {
  const state = [];
  for (let cursor = ''; ; ) {
    const page = states.parse((await hub.request('GET', `/state?limit=100${cursor}`)).body);
    for (const entry of page.entries) {
      const path = `/state/${encodeURIComponent(entry.key)}/history?limit=1000`;
      state.push({ ...entry, history: (await hub.request('GET', path)).body });
    }
    if (page.cursor === undefined) return state;
    cursor = `&cursor=${encodeURIComponent(page.cursor)}`;
  }
};

/** What the hub answers about its services, its state with the history of each key, its messages and its log. */
export type Picture = {
  readonly registry: readonly unknown[];
  readonly state: readonly { readonly key: string; readonly value: unknown; readonly version: number }[];
  readonly messages: readonly unknown[];
  readonly log: readonly LoggedEvent[];
};

export const pictureParts = ['registry', 'state', 'messages', 'log'] as const;

export const takePicture = async (hub: HubClient): Promise<Picture> => {
  const log = await readLog(hub);
  const path = `/events?topic=${encodeURIComponent('demo.>')}&limit=1000`;
  const { events } = messages.parse((await hub.request('GET', path)).body);
  return { registry: await registryOf(hub), state: await stateOf(hub), messages: events, log };
};

/** The parts in which two pictures differ. The later log may have gone on behind the end of the earlier one. */
export const differences = (before: Picture, after: Picture): readonly (typeof pictureParts)[number][] => {
  const shortened = { ...after, log: after.log.slice(0, before.log.length) };
  return pictureParts.filter((part) => !isDeepStrictEqual(before[part], shortened[part]));
};

const stateSet = z.object({ value: z.json() });

/** True when the keys that the replayed events wrote have exactly the values and versions that the events give them. */
export const replayedState = (replayed: readonly LoggedEvent[], picture: Picture, task: string): boolean => {
  const folded = new Map<string, unknown>();
  for (const { type, stream, revision, data } of replayed) {
    if (type !== 'StateSet') continue;
    const key = stream.slice('state-'.length);
    folded.set(key, { key, value: stateSet.parse(data).value, version: revision + 1 });
  }
  const served = picture.state
    .filter(({ key }) => key.startsWith(`documents/${task}/`))
    .map(({ key, value, version }) => ({ key, value, version }));
  return (
    served.length > 0 &&
    isDeepStrictEqual(
      served,
      [...folded.keys()].sort().map((key) => folded.get(key)),
    )
  );
};
