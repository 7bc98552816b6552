import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import {
  differences,
  type LoggedEvent,
  pictureParts,
  readLog,
  replayedState,
  takePicture,
} from './history.ts';
import { createHubClient, type HubClient } from './hub-client.ts';
import { type Frame, follow } from './live.ts';
import { playPlugins, pluginSecrets } from './plugins.ts';
import { type Running, startHub, startService } from './processes.ts';

/**
 * One task done by six services through a hub that is killed and started again; then four plugins, enabled while it runs. Prints
 * what happens as it happens; ends with exit code 0 only when registry, state and history came through the crash as they
 * were, and the plugins did what they are for.
 */

const names = ['memory', 'analyser', 'pages', 'scraper', 'tools', 'agent'];
const startedAt = performance.now();

const print = (line: string): void => {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2).padStart(6);
  process.stdout.write(`${seconds}s  ${line}\n`);
};

let failures = 0;
const check = (claim: string, holds: boolean): void => {
  if (!holds) failures++;
  print(`${holds ? 'ok   ' : 'FAIL '} ${claim}`);
};

const invoked = z.object({
  result: z.json(),
  instance: z.string(),
  attempts: z.number(),
  durationMs: z.number(),
});
const serviceFrame = z.object({
  service: z.object({ id: z.string(), status: z.string() }),
  change: z.string(),
  position: z.string(),
});
const progress = z.object({
  messageId: z.string(),
  position: z.string(),
  payload: z.looseObject({ phase: z.string(), step: z.string().optional() }),
});
const done = z.object({
  stages: z.array(z.array(z.string())),
  invocations: z.number(),
  report: z.array(z.string()),
  result: z.object({ key: z.string(), version: z.number() }),
});
const recalled = z.object({ value: z.json() });
const notes = z.object({ value: z.array(z.json()) });

let invocations = 0;
const invoke = async (hub: HubClient, service: string, method: string, data: unknown) => {
  invocations++;
  const body = { method, data, timeoutMs: 20_000 };
  const answer = await hub.request('POST', `/services/${service}/invoke`, { body, timeoutMs: 21_000 });
  return invoked.parse(answer.body);
};

const describe = (frame: Frame): string | undefined => {
  const service = serviceFrame.safeParse(frame);
  if (service.success)
    return `service   ${service.data.service.id} ${service.data.change}: ${service.data.service.status}`;
  const message = progress.safeParse(frame);
  if (!message.success) return undefined;
  const { task: _task, phase, step, ...facts } = message.data.payload;
  return `agent     ${phase} ${step ?? ''} ${JSON.stringify(facts)}`;
};

const message = z.object({ payload: z.looseObject({ task: z.string() }) });

const describeEvent = ({ type, stream, revision, data, metadata }: LoggedEvent): string => {
  const published = message.safeParse(data);
  const { task: _task, ...payload } = published.data?.payload ?? { task: '' };
  const text = JSON.stringify(published.success ? payload : data);
  const short = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return `replay    ${metadata.recordedAt.slice(11, 23)} ${stream}@${revision} ${type} ${short}`;
};

const isHealthy = (name: string) => (frame: Frame) => {
  const parsed = serviceFrame.safeParse(frame);
  return (
    parsed.success && parsed.data.service.id === `demo-${name}` && parsed.data.service.status === 'healthy'
  );
};

const play = async (folder: string): Promise<void> => {
  let hubProcess = await startHub(folder, 0, pluginSecrets);
  print(hubProcess.ready);
  const hub = createHubClient(hubProcess.url);
  const task = `task-${randomUUID().slice(0, 8)}`;

  const seen: z.output<typeof progress>[] = [];
  const live = await follow(hubProcess.url, (frame) => {
    const line = describe(frame);
    if (line !== undefined) print(line);
    const message = progress.safeParse(frame);
    if (message.success) seen.push(message.data);
  });
  const services: Running[] = names.map((name) => startService(name, hubProcess.url));
  const frames = await Promise.all(names.map((name) => live.until(isHealthy(name))));
  // The push may be faster than the read model that the agent is going to ask.
  const newest =
    frames
      .map((frame) => serviceFrame.parse(frame).position)
      .sort()
      .at(-1) ?? '';
  await hub.request('GET', '/services', { headers: { 'x-nexus-min-position': newest } });
  print(`${names.length} services run in processes of their own and are healthy`);

  const within = hub.within(task);
  const given = { folder: 'src', key: `${task}/report` };
  const run = await invoke(within, 'agent', 'run', { task, goal: 'document', given });
  const outcome = done.parse(run.result);
  invocations += outcome.invocations;
  await live.until((frame) => progress.safeParse(frame).data?.payload.phase === 'done');
  print(
    `the agent's plan had ${outcome.stages.length} stages: ${outcome.stages.map((stage) => stage.join(' + ')).join(', then ')}`,
  );
  for (const line of outcome.report) print(`report    ${line}`);

  const writers = Array.from({ length: 8 }, (_, item) =>
    invoke(within, 'memory', 'append', { key: `${task}/together`, item }),
  );
  const tries = (await Promise.all(writers)).map(
    ({ result }) => z.object({ tries: z.number() }).parse(result).tries,
  );
  const together = notes.parse(
    (await invoke(within, 'memory', 'recall', { key: `${task}/together` })).result,
  );
  print(`8 writers of one document needed ${tries.reduce((sum, n) => sum + n, 0)} tries`);
  check(
    'optimistic locking lost none of 8 changes made at once',
    new Set(together.value.map(String)).size === 8,
  );

  const before = await takePicture(hub);
  print(`killing the hub (process ${hubProcess.pid}) with SIGKILL`);
  check('the hub was killed, it did not end by itself', (await hubProcess.end('SIGKILL')) === 'SIGKILL');
  live.close();
  hubProcess = await startHub(folder, Number(new URL(hubProcess.url).port), pluginSecrets);
  print(hubProcess.ready);

  const after = await takePicture(hub);
  const changed = differences(before, after);
  for (const part of pictureParts) {
    check(
      `${part}: ${before[part].length} items, the same after the crash as before`,
      !changed.includes(part) && before[part].length > 0,
    );
  }
  const again = await invoke(within, 'memory', 'recall', { key: given.key });
  print(`invoked   ${again.instance} through the new hub in ${again.durationMs} ms`);
  check(
    'the services go on, and the report is what it was',
    isDeepStrictEqual(recalled.parse(again.result).value, outcome.report),
  );

  const replayed = await readLog(hub, task);
  for (const event of replayed) print(describeEvent(event));
  const positions = replayed.map(({ position }) => position);
  check(
    'the replay is in order, each event once',
    isDeepStrictEqual(positions, [...new Set(positions)].sort()),
  );
  check(
    'the state folded from the replay is the state that the hub serves',
    replayedState(replayed, after, task),
  );
  const messages = replayed.filter(({ type }) => type === 'MessagePublished').map(({ position }) => position);
  check(
    'the replay has the messages that were seen live',
    isDeepStrictEqual(
      messages,
      seen.map(({ position }) => position),
    ),
  );

  await playPlugins(hub, { print, check });

  const codes = await Promise.all(services.map((service) => service.end('SIGTERM')));
  check(
    'every service ended in good order',
    codes.every((code) => code === 0),
  );
  const events = (await readLog(hub)).length;
  check('the hub drained and ended in good order', (await hubProcess.end('SIGTERM')) === 0);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  process.stdout.write(
    `demo: ${events} events, ${invocations} invocations, ${seconds} seconds, ${failures} failed checks\n`,
  );
};

const folder = mkdtempSync(join(tmpdir(), 'nexus-demo-'));
// Behind the handler that ends the children, so that nobody writes there any more.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
try {
  await play(folder);
} catch (error) {
  failures++;
  process.stderr.write(`demo: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}
process.exit(failures === 0 ? 0 : 1);
