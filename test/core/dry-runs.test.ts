import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createHandler } from '../../src/command/handle.ts';
import { parseConfig } from '../../src/config.ts';
import { createCommands } from '../../src/core/commands.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import { createDryRuns, type DryRunLimits, dryRunLimits } from '../../src/core/dry-runs.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { Context } from '../../src/nexus-core.ts';
import type { DryRun, DryRunReport } from '../../src/nexus-replays.ts';
import { quiet } from '../registry/support.ts';

// biome-ignore-start lint/suspicious/noThenProperty: numbers, by the name that they have on the wire

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };
const signal = new AbortController().signal;

let core: Core;
let folder: string;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nexus-dry-'));
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  core = await openCore({ ...parsed.config, log: [`file:${folder}`] }, { logger: quiet });
});
test.after.always(async () => {
  await core.close();
  await rm(folder, { recursive: true });
});

const publish = async (topic: string, payload: string, causationId?: string): Promise<string> => {
  const done = await core.execute(
    { type: 'PublishMessage', data: { topic, payload } },
    causationId === undefined ? context : { ...context, causationId },
  );
  if (!done.ok) throw new Error(done.problem.detail);
  return (done.value.result as { readonly messageId: string }).messageId;
};

/** A dry run of all messages of `topic` on the real hub, with these limits. */
const open = async (topic: string, limits: Partial<DryRunLimits>): Promise<DryRun> => {
  const { parts } = core;
  const { check } = createCommands(parts, createHandler(parts.log), createDeciders(parts.runner));
  const { dryRun } = createDryRuns({
    parts,
    replay: core.replay,
    check,
    limits: { ...dryRunLimits, ...limits },
  });
  const opened = await dryRun({ topic, from: 'start' }, undefined, signal, context);
  if (!opened.ok) throw new Error(opened.problem.detail);
  return opened.value;
};

/** Writes one message because of each, and tells the report. */
const echo = async (run: DryRun, payload = 'now'): Promise<DryRunReport> => {
  for await (const step of run.replay.steps) {
    if (step.type !== 'items') continue;
    for (const { messageId } of step.items) {
      const input = { type: 'PublishMessage', data: { topic: 'echo', payload } };
      const done = await run.execute(input, { ...context, causationId: messageId });
      if (!done.ok) throw new Error(done.problem.detail);
    }
  }
  return run.finish(signal, context);
};

const withHistory = async (topic: string, count = 3): Promise<void> => {
  for (let made = 0; made < count; made++) await publish('echo', 'then', await publish(topic, String(made)));
};

test('each bound › is said in the report, which tells what there was up to it', async (t) => {
  await withHistory('bound.a');
  const whole = await echo(await open('bound.a', {}));
  t.is(whole.truncated, undefined);
  t.is(whole.differences.length, 3);
  for (const [limits, cut, facts] of [
    [{ maxMessages: 2 }, ['messages'], { messages: 2, captured: 2 }],
    [{ maxEffects: 1 }, ['captured', 'then'], { messages: 3, captured: 3, then: 1 }],
    [{ maxEffectBytes: 100 }, ['captured', 'then'], { messages: 3, captured: 3, then: 1 }],
    [{ maxScanned: 1 }, ['scan'], { messages: 3, captured: 3 }],
    [{ maxScanMs: -1 }, ['scan'], { then: 0 }],
    [{ maxReportBytes: 100 }, ['report'], { messages: 3, captured: 3 }],
  ] as const) {
    const report = await echo(await open('bound.a', limits));
    t.deepEqual([...(report.truncated ?? [])].toSorted(), [...cut], JSON.stringify(limits));
    t.like(report, facts, JSON.stringify(limits));
  }
});

test('as many messages as may be replayed, and no more › are not cut', async (t) => {
  await withHistory('exact.a');
  const report = await echo(await open('exact.a', { maxMessages: 3 }), 'then');
  t.deepEqual(report, await echo(await open('exact.a', {}), 'then'));
  t.like(report, { messages: 3, differences: [] });
});

test('what comes before the first message › is caused by none', async (t) => {
  await withHistory('early.a', 1);
  const run = await open('early.a', {});
  await run.execute({ type: 'SetState', data: { key: 'early', value: 1 } }, context);
  const { differences } = await run.finish(signal, context);
  t.deepEqual(differences, [
    { cause: null, onlyThen: [], onlyNow: [{ type: 'state', key: 'early', value: 1 }], changed: [] },
  ]);
});

// biome-ignore-end lint/suspicious/noThenProperty: see above
