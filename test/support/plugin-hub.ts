import type { Json, LogEvent } from '../../domain/event.ts';
import type { PluginView } from '../../src/nexus-plugins.ts';
import type { Hub } from './hub.ts';
import { hookOf, hookSource } from './plugin-folder.ts';
import { type Answer, readWholeLog, request, until } from './rest.ts';

const admin = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

export const commandAt = (url: string, type: string, data: Json): Promise<Answer> =>
  request(url, 'POST', '/commands', { body: { type, data } });

export const publishAt = (url: string, topic: string, payload: Json = {}): Promise<Answer> =>
  request(url, 'POST', `/events/${topic}`, { body: { payload } });

export const viewOf = async (hub: Hub, name: string): Promise<PluginView> => {
  const found = await hub.core.plugin(name, admin);
  if (!found.ok) throw new Error(found.problem.detail);
  return found.value;
};

/** A hub that starts on a busy machine does not wait for its plugins for ever. */
export const untilEnabled = async (url: string, name: string): Promise<void> => {
  await until(
    () => request(url, 'GET', `/plugins/${name}`),
    ({ body }) => body.status === 'enabled',
  );
};

export const pluginEvents = async (url: string, name: string): Promise<LogEvent[]> =>
  (await readWholeLog(url)).filter(({ stream }) => stream === `plugin-${name}`);

export const payloadsAt = async (url: string, topic: string): Promise<unknown[]> =>
  (await readWholeLog(url))
    .filter(({ type, stream }) => type === 'MessagePublished' && stream === `topic-${topic}`)
    .map(({ data }) => (data as { readonly payload: unknown }).payload);

/** A plugin that puts its mark in place of what is published below `topic`. */
export const marking = (mark: string, topic: string) => ({
  manifest: hookOf('before_publish', { match: [`${topic}.>`] }),
  source: hookSource('before_publish', `return { change: { payload: { mark: '${mark}' } } };`),
});
