import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type Answer, readWholeLog, request, whenReady } from '../support/rest.ts';
import { type Acknowledged, faultsOf, statesOf } from './acknowledged.ts';

/** Keys, and topics, that the writers write to. */
const places = 50;

/** No request may take longer, whatever happens to the hub. */
const giveUpMs = 10_000;

/** Numbers from 0 to below 1, the same ones for the same seed. */
export const random = (own: number) => {
  let state = Math.imul(own + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** What writers were told. */
export type Told = {
  readonly acknowledged: Acknowledged[];
  /** Answers that were no success: `mark: 507 log_full`. */
  readonly refused: string[];
  /** Requests of which the connection ended before the answer. */
  readonly broken: string[];
  /** Requests that nobody answered and no connection's end settled. */
  readonly pending: string[];
  /** When the last request was acknowledged, and when the last was settled in any way, by performance.now(). */
  acknowledgedAtMs: number;
  settledAtMs: number;
};

export const nothingTold = (): Told => ({
  acknowledged: [],
  refused: [],
  broken: [],
  pending: [],
  acknowledgedAtMs: 0,
  settledAtMs: 0,
});

/** Writes one request after the other, until one is refused or the hub is gone; `pad` makes each larger. */
const write = async (hub: HubProcess, told: Told, writer: string, next: () => number, pad: string) => {
  for (let index = 0; ; index++) {
    const mark = `${writer}-${index}${pad}`;
    const place = Math.floor(next() * places);
    const [method, path, stream, body] =
      next() < 0.5
        ? ['PUT', `/state/key-${place}`, `state-key-${place}`, { value: mark }]
        : ['POST', `/events/topic-${place}`, `topic-topic-${place}`, { payload: mark }];
    let answer: Answer;
    try {
      answer = await request(hub.url, method, path, { body, signal: AbortSignal.timeout(giveUpMs) });
    } catch (error) {
      const gaveUp = error instanceof DOMException && error.name === 'TimeoutError';
      (gaveUp ? told.pending : told.broken).push(`${writer}-${index}: ${String(error)}`);
      return;
    } finally {
      told.settledAtMs = performance.now();
    }
    if (answer.status !== 200 && answer.status !== 201) {
      told.refused.push(`${writer}-${index}: ${answer.status} ${String(answer.body.code)}`);
      return;
    }
    told.acknowledgedAtMs = performance.now();
    told.acknowledged.push({ writer, stream, position: String(answer.body.position), mark });
  }
};

/** Lets `writers` write to `hub`; resolves when all have been refused or cut off. `name` is theirs alone. */
export const writeAll = async (
  hub: HubProcess,
  told: Told,
  { writers, name, seed, pad = '' }: { writers: number; name: string; seed: number; pad?: string },
): Promise<void> => {
  const all = Array.from({ length: writers }, (_, index) =>
    write(hub, told, `${name}-${index}`, random(seed * writers + index), pad),
  );
  await Promise.all(all);
};

/** Position of the log as a number; the embedded log counts events. */
export const headOf = async (hub: HubProcess): Promise<number> => {
  const { body } = await request(hub.url, 'GET', '/health');
  return Number.parseInt((body.log as { readonly position: string }).position, 16);
};

/** All that the read models show at `position`, and what each key's stream holds. */
const shown = async (hub: HubProcess, position: string): Promise<unknown> => {
  await whenReady(hub.url);
  const headers = { 'x-nexus-min-position': position };
  const answers: unknown[] = [];
  const paths = Array.from({ length: places }, (_, place) => [
    `/state/key-${place}/history?limit=1000`,
    `/streams/state-key-${place}?limit=1000`,
  ]);
  for (const path of ['/state?limit=1000', '/services', ...paths.flat()]) {
    const { status, body } = await request(hub.url, 'GET', path, { headers });
    const { position: _, ...rest } = body;
    answers.push({ path, status, ...rest });
  }
  return answers;
};

/** Starts a hub on `folder` again and holds its log to what was acknowledged; the hub is the caller's. */
export const startSound = async (
  t: ExecutionContext,
  folder: string,
  acknowledged: readonly Acknowledged[],
): Promise<HubProcess> => {
  const hub = await startHubProcess(folder);
  t.deepEqual(faultsOf(acknowledged, await readWholeLog(hub.url)).slice(0, 5), []);
  return hub;
};

/**
 * Starts a hub on `folder` again: all that was acknowledged is in its log, once and in order; its read models show the log's
 * newest values, and they and the streams are the same when both, and the log's index, were built anew. Answers the number
 * of events.
 */
export const checkSound = async (
  t: ExecutionContext,
  folder: string,
  acknowledged: readonly Acknowledged[],
): Promise<number> => {
  let hub = await startSound(t, folder, acknowledged);
  try {
    const events = await readWholeLog(hub.url);
    const position = String(events.at(-1)?.position);
    const live = await shown(hub, position);
    const { body } = await request(hub.url, 'GET', '/state?limit=1000');
    const entries = body.entries as readonly { key: string; value: unknown; version: number }[];
    t.deepEqual(
      Object.fromEntries(entries.map(({ key, value, version }) => [key, { value, version }])),
      Object.fromEntries(statesOf(events)),
    );
    await hub.kill('SIGTERM');
    await rm(join(folder, 'nexus-data/read-models'), { recursive: true });
    await rm(join(folder, 'nexus-data/log/index'), { recursive: true });
    hub = await startHubProcess(folder);
    t.deepEqual(await shown(hub, position), live, 'the read models and the index equal those of a rebuild');
    return events.length;
  } finally {
    await hub.kill('SIGKILL');
  }
};
