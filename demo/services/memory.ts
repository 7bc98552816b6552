import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { type HubClient, HubError } from '../hub-client.ts';
import { runService } from './service-host.ts';

/** Keeps documents in the hub's state. Several writers may change one document: each change is put on the version that
 * it was made from, and made again from the newer one when somebody was faster. */

const entry = z.object({ value: z.json(), version: z.number() });
const put = z.object({ version: z.number() });
const maxTries = 100;

const pathOf = (key: string): string => `/state/${encodeURIComponent(`documents/${key}`)}`;

const read = async (hub: HubClient, key: string): Promise<z.output<typeof entry> | undefined> => {
  try {
    return entry.parse((await hub.request('GET', pathOf(key))).body);
  } catch (error) {
    if (error instanceof HubError && error.status === 404) return undefined;
    throw error;
  }
};

const change = async (hub: HubClient, key: string, make: (value: Json | undefined) => Json) => {
  for (let tries = 1; tries <= maxTries; tries++) {
    const current = await read(hub, key);
    const headers = current === undefined ? { 'if-none-match': '*' } : { 'if-match': `"${current.version}"` };
    try {
      const { body } = await hub.request('PUT', pathOf(key), {
        headers,
        body: { value: make(current?.value) },
      });
      return { key, version: put.parse(body).version, tries };
    } catch (error) {
      if (!(error instanceof HubError && error.code === 'precondition_failed') && !isConflict(error))
        throw error;
    }
  }
  throw new Error(`${key} changed during each of ${maxTries} tries`);
};

const isConflict = (error: unknown): boolean =>
  error instanceof HubError && error.code === 'version_conflict';

const key = z.string().min(1).max(200);
const remember = z.object({ key, report: z.json() });
const append = z.object({ key, item: z.json() });
const recall = z.object({ key });

runService({
  name: 'memory',
  capabilities: ['documents'],
  actions: [{ method: 'remember', takes: ['key', 'report'], gives: 'document' }],
  methods: {
    async remember(data, { hub }) {
      const { key, report } = remember.parse(data);
      return change(hub, key, () => report);
    },
    async append(data, { hub }) {
      const { key, item } = append.parse(data);
      return change(hub, key, (value) => [...(Array.isArray(value) ? value : []), item]);
    },
    async recall(data, { hub }) {
      const { key } = recall.parse(data);
      const current = await read(hub, key);
      return current === undefined ? null : { key, value: current.value, version: current.version };
    },
  },
});
