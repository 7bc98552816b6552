import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { asRevision, streamId } from '../../domain/event.ts';
import { context, openWorld } from '../retention/world.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type Answer, request, until, whenReady } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { random } from './hub-rounds.ts';

const topics = Array.from({ length: 120 }, (_, n) => `kill.t${n}`);
const messages = 12;
/** What each round leaves of every topic; NEXUS_LONG=1 makes it eleven rounds instead of three. */
const limits = isLong ? [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1] : [8, 5, 2];
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

type Page = {
  readonly events: readonly { readonly payload: unknown }[];
  readonly gap?: { readonly to: string };
};

/** What is wrong with how a topic reads from its start; `positions` are those of its messages. */
const faultsOf = (topic: string, positions: readonly string[], { events, gap }: Page): string[] => {
  const faults: string[] = [];
  const left = events.map(({ payload }) => Number(payload));
  const first = left[0] ?? positions.length;
  if (left.some((payload, index) => payload !== first + index) || first + left.length !== positions.length)
    faults.push(`${topic} has ${left.join(' ')}`);
  if (first > 0 && gap === undefined) faults.push(`${topic} begins at ${first}, and no gap is told`);
  // Recorded, and not hidden yet when the hub was killed: told, though it can still be read.
  if (gap !== undefined && gap.to < (positions[first - 1] ?? ''))
    faults.push(`${topic} begins at ${first}, and the gap ends before`);
  return faults;
};

const pageOf = async (hub: HubProcess, topic: string): Promise<Page> => {
  const { body } = await request(hub.url, 'GET', `/events?topic=${topic}&after=start`);
  return body as unknown as Page;
};

const allFaults = async (
  hub: HubProcess,
  positions: ReadonlyMap<string, readonly string[]>,
  left?: number,
): Promise<string[]> => {
  const faults = await Promise.all(
    Array.from(positions, async ([topic, own]) => {
      const page = await pageOf(hub, topic);
      const found = faultsOf(topic, own, page);
      if (left === undefined) return found;
      if (page.events.length !== left) found.push(`${topic} has ${page.events.length} and not ${left}`);
      if (page.gap?.to !== own[messages - left - 1]) found.push(`the gap of ${topic} ends elsewhere`);
      return found;
    }),
  );
  return faults.flat();
};

const put = (hub: HubProcess, pattern: string, maxMessages: number): Promise<Answer> =>
  request(hub.url, 'PUT', `/retention/${pattern}`, { body: { maxMessages } });

/** Topics of which it is recorded that no more than `left` messages stay. */
const trimmedTo = async (hub: HubProcess, left: number): Promise<number> => {
  const { body } = await request(hub.url, 'GET', '/log?category=trim&limit=1000');
  const events = body.events as readonly { readonly data: { readonly before: number } }[];
  return events.filter(({ data }) => data.before >= messages - left).length;
};

test('kill -9 in the middle of enforcing › no topic has a hole that is not told, and the next hub finishes', async (t) => {
  t.timeout(10 * 60_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-retention-kill-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const draw = random(seed);
  let hub = await startHubProcess(folder);
  t.teardown(() => hub.kill('SIGKILL'));
  const positions = new Map<string, string[]>();
  await Promise.all(
    topics.map(async (topic) => {
      const own: string[] = [];
      positions.set(topic, own);
      for (let n = 0; n < messages; n++) {
        const { body } = await request(hub.url, 'POST', `/events/${topic}`, { body: { payload: n } });
        own.push(String(body.position));
      }
    }),
  );
  let killedInside = 0;
  for (const [round, left] of limits.entries()) {
    // The moment is drawn by how many topics were trimmed, not by a clock.
    const killAt = 1 + Math.floor(draw() * (topics.length - 1));
    const setting = put(hub, 'kill.*', left);
    while ((await trimmedTo(hub, left)) < killAt);
    await setting;
    await hub.kill('SIGKILL');

    hub = await startHubProcess(folder);
    await whenReady(hub.url);
    t.deepEqual(await allFaults(hub, positions), [], `round ${round}: after the kill`);
    const pages = await Promise.all(topics.map((topic) => pageOf(hub, topic)));
    if (pages.some(({ events }) => events.length > left)) killedInside++;
    // A change of policies begins a round; that of another pattern does as well.
    await put(hub, `other-${round}`, 1);
    await until(
      () => request(hub.url, 'GET', '/retention'),
      ({ body }) => (body.maintenance as { lastRun: unknown }).lastRun !== null,
    );
    t.deepEqual(await allFaults(hub, positions, left), [], `round ${round}: after the next hub's`);
  }
  t.log(`seed ${seed}: ${limits.length} rounds, ${killedInside} kills with work left`);
});

test('control › the same check finds a hole that nobody recorded', async (t) => {
  const world = await openWorld(t);
  const own: string[] = [];
  for (let n = 0; n < 6; n++) own.push(await world.publish('a', n));
  const read = async (): Promise<string[]> => {
    const page = await world.core.messages({ topic: 'a', after: 'start' }, context);
    return page.ok ? faultsOf('a', own, page.value) : [page.problem.detail];
  };
  t.deepEqual(await read(), []);
  await world.log.truncate(streamId('topic', 'a'), asRevision(3));
  t.deepEqual(await read(), ['a begins at 3, and no gap is told']);
});
