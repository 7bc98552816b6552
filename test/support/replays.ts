import { type Group, makeGroup, payloadsOf, pullAll } from './groups.ts';
import { until } from './rest.ts';

export type Body = Readonly<Record<string, unknown>>;

export const replay = async (group: Group, body: object): Promise<Body> => {
  const answer = await group.call('POST', '/replay', body);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body;
};

/** The group's replays that are not over. */
export const openReplaysOf = async (group: Group): Promise<readonly Body[]> =>
  (await group.call('GET', '/replays')).body.replays as readonly Body[];

export const whenOver = async (group: Group): Promise<void> => {
  await until(
    () => group.call('GET', '/replays'),
    ({ body }) => (body.replays as readonly Body[]).length === 0,
  );
};

/** A group that has acknowledged these payloads. */
export const withHistory = async (url: string, payloads: readonly unknown[], settings: Body = {}) => {
  const group = await makeGroup(url, { backoffMs: [0], ...settings });
  const published = await group.publish(...payloads);
  await group.settle('ack', await pullAll(group, payloads.length));
  return { group, positions: published.map(({ position }) => position) };
};

/** Replays to the group, acknowledges what comes, and tells its payloads. */
export const replayed = async (group: Group, body: object, count: number): Promise<readonly unknown[]> => {
  await replay(group, body);
  const deliveries = await pullAll(group, count);
  await group.settle('ack', deliveries);
  await whenOver(group);
  return payloadsOf(deliveries);
};
