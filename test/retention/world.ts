import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { asRevision, streamId } from '../../domain/event.ts';
import { parseConfig } from '../../src/config.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Logger } from '../../src/logger.ts';
import type { Context, Message } from '../../src/nexus-core.ts';
import { quiet } from '../watch/world.ts';

export const context: Context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };

export type World = {
  readonly core: Core;
  readonly log: EventLog;
  /** The hub's clock is the machine's and this much more. */
  aheadMs: number;
  publish(topic: string, payload?: unknown, more?: object): Promise<string>;
  run(type: string, data: object): Promise<string>;
  /** Payloads of what the topic or pattern still has. */
  left(topic: string): Promise<readonly unknown[]>;
  close(): Promise<void>;
};

/** A core on the log at `url`, or on an embedded one in `folder`; closed and removed at the end of the test. */
export const openWorld = async (
  t: ExecutionContext,
  {
    url,
    folder,
    logger = quiet,
  }: { readonly url?: string; readonly folder?: string; readonly logger?: Logger } = {},
): Promise<World> => {
  const directory = folder ?? (await mkdtemp(join(tmpdir(), 'nexus-retention-')));
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = {
    ...parsed.config,
    dataDir: directory,
    stateFile: 'none',
    log: [url ?? `file:${directory}`],
  };
  const world = { aheadMs: 0 };
  const core = await openCore(config, {
    watchdogMs: 60_000,
    logger,
    clock: () => Date.now() + world.aheadMs,
  });
  t.teardown(async () => {
    await core.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const run = async (type: string, data: object): Promise<string> => {
    const done = await core.execute({ type, data }, context);
    if (!done.ok) throw new Error(done.problem.detail);
    return done.value.position;
  };
  return Object.assign(world, {
    core,
    log: core.parts.log,
    run,
    publish: (topic: string, payload: unknown = null, more: object = {}) =>
      run('PublishMessage', { topic, payload, ...more }),
    left: async (topic: string) => {
      const events: Message[] = [];
      for (let after = 'start', more = true; more; ) {
        const page = await core.messages({ topic, after, limit: 1_000 }, context);
        if (!page.ok) throw new Error(page.problem.detail);
        events.push(...page.value.events);
        ({ position: after, more } = page.value);
      }
      return events.map(({ payload }) => payload);
    },
    close: () => core.close(),
  });
};

/** One round of maintenance on all that was published before. */
export const maintain = async ({ core }: World): Promise<void> => {
  const { log, runner, maintenance } = core.parts;
  await runner.reached(await log.position(), 10_000);
  await maintenance.run();
};

/** Recorded events of how a topic was trimmed. */
export const trimsOf = ({ log }: World, topic: string) =>
  log.readStream(streamId('trim', topic), { from: asRevision(0), limit: 100 });
