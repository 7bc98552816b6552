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
  entries: z.array(z.looseObject({ key: z.string() })),
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
  const entries: unknown[] = [];
  const histories: Record<string, unknown> = {};
  for (let cursor = ''; ; ) {
    const page = states.parse((await hub.request('GET', `/state?limit=100${cursor}`)).body);
    entries.push(...page.entries);
    for (const { key } of page.entries) {
      histories[key] = (
        await hub.request('GET', `/state/${encodeURIComponent(key)}/history?limit=1000`)
      ).body;
    }
    if (page.cursor === undefined) return { entries, histories };
    cursor = `&cursor=${encodeURIComponent(page.cursor)}`;
  }
};

/** What the hub answers about registry, state, messages and log. */
export type Picture = {
  readonly registry: unknown;
  readonly state: unknown;
  readonly messages: readonly unknown[];
  readonly log: readonly LoggedEvent[];
};

export const takePicture = async (hub: HubClient): Promise<Picture> => {
  const log = await readLog(hub);
  const { events } = messages.parse(
    (await hub.request('GET', `/events?topic=${encodeURIComponent('demo.>')}&limit=1000`)).body,
  );
  return { registry: await registryOf(hub), state: await stateOf(hub), messages: events, log };
};

/** What differs between two pictures, in words; empty when nothing does. The later log may have gone on. */
export const differences = (before: Picture, after: Picture): readonly string[] => {
  const parts: readonly [string, unknown, unknown][] = [
    ['registry', before.registry, after.registry],
    ['state', before.state, after.state],
    ['messages', before.messages, after.messages],
    ['log', before.log, after.log.slice(0, before.log.length)],
  ];
  return parts.filter(([, one, other]) => !isDeepStrictEqual(one, other)).map(([name]) => name);
};
