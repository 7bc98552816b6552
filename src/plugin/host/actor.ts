import type { Json } from '../../../domain/event.ts';
import { sameJson } from '../../../domain/json.ts';
import type { HookName } from '../../../domain/plugin/manifest.ts';
import { effectivePermissions } from '../../../domain/plugin/permissions.ts';
import type { PluginFailure } from '../../../domain/plugin/plugin.ts';
import type { PluginDocument } from '../../../projections/documents.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { PluginStatus } from '../../nexus-plugins.ts';
import type { PreparedVersion, RuntimeFacts } from '../runtime.ts';
import type { CallAnswer, Death } from '../sandbox/sandbox.ts';
import { type Candidate, offerOf } from './candidates.ts';
import { createChanges } from './changes.ts';
import { entriesOf, guardsOf } from './entries.ts';
import type { HostParts } from './host-parts.ts';
import type { Instance } from './instance.ts';
import { createProbation, type Probation } from './probation.ts';
import { createReports } from './reports.ts';
import { createStarts, type Startable } from './starts.ts';
import { createStats } from './stats.ts';
import { createTurns } from './turns.ts';

/** One plugin on this node: does what the log says of it, one step after the other. */
export type Actor = {
  /** Looks at what the log says, and does it; resolves when that is done. @param again also what failed before. */
  reconcile(again?: boolean): Promise<void>;
  /** Position of the document that was acted on last. */
  readonly actedOn: string;
  /** Its document has changed, or those that it needs. */
  notify(): void;
  prepare(): Promise<Result<PreparedVersion>>;
  facts(): RuntimeFacts | undefined;
  /** Of the version that runs, or is being started. */
  dependencies(): Readonly<Record<string, string>>;
  readonly running: Instance | undefined;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
  /** Ends what runs; nothing is started any more. */
  close(graceMs: number): Promise<void>;
};

/** A prepared version is taken within this, or it ends. */
const maxPreparedMs = 60_000;
/** For the fold of what was written to come. */
const foldedMs = 3_000;
const maxGraceMs = 10_000;

type Running = {
  readonly instance: Instance;
  readonly startable: Startable;
  /** `installedAt` of the document that it runs by; null until that is known. */
  installedAt: string | null;
};

const rejected = (name: string, reason: string, detail: string): Problem =>
  problem('plugin_rejected', detail, { plugin: name, reason });

export const createActor = (name: string, parts: HostParts): Actor => {
  const { candidates, hooks, clock, logger, node } = parts;
  const turns = createTurns();
  const stats = createStats(clock.now);
  const reports = createReports(name, node, parts.record, clock.now, logger);
  const { notify, until } = createChanges(clock);
  let running: Running | undefined;
  let before: Startable | undefined;
  let probation: Probation | undefined;
  let status: PluginStatus = 'starting';
  let statusReason = '';
  let lastError: RuntimeFacts['lastError'];
  /** What was tried last, and did not work: it is not tried again by itself. */
  let attempted: string | undefined;
  let actedOn = '';
  /** Documents up to this revision are older than what this node has done itself. */
  let ownRevision = -1;
  let needs: Readonly<Record<string, string>> = {};
  let closed = false;

  const documentNow = (): PluginDocument | undefined => parts.document(name);

  const become = (to: PluginStatus, reason: string): void => {
    if (to === 'failed' || to === 'quarantined' || to === 'missing') {
      lastError = { at: new Date(clock.now()).toISOString(), reason };
    }
    const wasRunning = status === 'enabled';
    [status, statusReason] = [to, reason];
    notify();
    if (wasRunning !== (to === 'enabled')) parts.statusChanged(name);
  };

  const hooksOf = (instance: Instance) =>
    entriesOf(instance, (hook, reason) => {
      stats.unusable();
      probation?.unusable();
      reports.unusable(hook, reason);
    });

  const callWhenThere = async (hook: HookName, input: Json, timeoutMs: number): Promise<CallAnswer> => {
    const startedMs = performance.now();
    await until(() => running !== undefined || status !== 'starting', timeoutMs);
    const leftMs = Math.floor(timeoutMs - (performance.now() - startedMs));
    return running === undefined || leftMs <= 0
      ? { ok: false, fault: 'gone', message: statusReason }
      : running.instance.call(`hook:${hook}`, input, leftMs);
  };

  const stand = (document: PluginDocument): void => {
    if (running === undefined) hooks.set(name, guardsOf(document, callWhenThere));
  };

  const graceOf = (instance: Instance): number =>
    Math.min(
      maxGraceMs,
      Math.max(
        instance.program.limits.timeoutMs,
        ...Object.values(instance.permissions.hooks).map(({ timeoutMs }) => timeoutMs),
      ),
    );

  const retire = (instance: Instance): void => parts.later(instance.retire(graceOf(instance)));

  /** The version is the one from here on: in one turn of the event loop. */
  const switchTo = (instance: Instance, { grant }: Startable, installedAt: string | null): void => {
    const startable: Startable = { candidate: instance.candidate, grant };
    const old = running;
    probation?.end();
    probation = undefined;
    before = undefined;
    running = { instance, startable, installedAt };
    needs = startable.candidate.manifest.dependencies;
    hooks.set(name, hooksOf(instance));
    parts.resolvers.set(name, instance.registered().resolvers, (resolver, input, timeoutMs) =>
      instance.call(`resolver:${resolver}`, input, timeoutMs),
    );
    instance.activate();
    if (old !== undefined && old.startable.candidate.hash !== startable.candidate.hash) {
      before = old.startable;
      const { calls, failures } = stats.recent();
      probation = createProbation(
        clock,
        calls === 0 ? 0 : failures / calls,
        () => {
          before = undefined;
        },
        (reason) => void turns.take(() => rollBack(instance, reason)),
      );
    }
    if (old !== undefined) retire(old.instance);
    attempted = undefined;
    become('enabled', 'runs');
  };

  const dropped = (): void => {
    const old = running?.instance;
    running = undefined;
    probation?.end();
    probation = undefined;
    parts.resolvers.remove(name);
    if (old !== undefined) retire(old);
  };

  const rollBack = async (worse: Instance, reason: string): Promise<void> => {
    const target = before;
    const document = documentNow();
    if (running?.instance !== worse || target === undefined || document?.before === null || closed) return;
    const { version } = worse.program;
    const started = await starts.start(target, stats);
    if (!started.ok) {
      before = undefined;
      await reports.failed(
        'rollback',
        `${reason}; and the version before did not start: ${started.reason}`,
        version,
      );
      return;
    }
    ownRevision = document?.revision ?? ownRevision;
    switchTo(started.instance, target, null);
    probation?.end();
    before = undefined;
    lastError = { at: new Date(clock.now()).toISOString(), reason };
    statusReason = `version ${version} was taken back: ${reason}`;
    if (document?.before != null) {
      await reports.record({ type: 'PluginInstalled', data: { ...document.before, cause: 'rollback' } });
    }
    await reports.failed('rollback', reason, version);
    await until(() => documentNow()?.installed?.hash === target.candidate.hash, foldedMs);
  };

  const starts = createStarts(name, parts, {
    answered: (answer) => probation?.answered(answer),
    limited: (limit, detail, version) => reports.limited(limit, detail, version),
    down(instance, death) {
      if (running?.instance !== instance) return;
      become(death.culprit ? 'quarantined' : 'starting', death.reason);
      if (!death.culprit) return;
      void turns.take(async () => {
        await reports.struck(death, instance.program.version);
        if (probation !== undefined) await rollBack(instance, death.reason);
      });
    },
    back(instance) {
      if (running?.instance !== instance) return;
      hooks.set(name, hooksOf(instance));
      become('enabled', 'runs again');
    },
    ended: (instance, death) => void turns.take(() => givenUp(instance, death)),
  });

  const givenUp = async (instance: Instance, death: Death): Promise<void> => {
    if (running?.instance !== instance || closed) return;
    const { version } = instance.program;
    await reports.struck(death, version);
    if (probation !== undefined && before !== undefined) {
      await rollBack(instance, death.reason);
      if (running?.instance !== instance) return;
    }
    dropped();
    const document = documentNow();
    const reason = `it was given up: ${death.reason}`;
    if (document !== undefined) {
      attempted = attemptOf(document);
      stand(document);
    }
    become('failed', reason);
    const guards = document === undefined ? [] : guardsOf(document, callWhenThere);
    // A guard that was brought down must not open the gate.
    if (guards.length === 0)
      await reports.record({ type: 'PluginDisabled', data: { reason: reason.slice(0, 512) } });
  };

  const attemptOf = ({ installed, installedAt, changedAt }: PluginDocument): string =>
    `${installed?.hash} ${installedAt} ${changedAt}`;

  const failed = async (cause: PluginFailure, reason: string, version: string): Promise<void> => {
    if (running === undefined) become('failed', reason);
    else {
      statusReason = `runs version ${running.instance.program.version}, as the newer one failed: ${reason}`;
      lastError = { at: new Date(clock.now()).toISOString(), reason };
    }
    await reports.failed(cause, reason, version);
  };

  const isMet = (document: PluginDocument): boolean => {
    if (running === undefined || document.grant === null || document.installed === null) return false;
    const { startable } = running;
    if (startable.candidate.hash !== document.installed.hash) return document.revision <= ownRevision;
    if (!sameJson(startable.grant, document.grant)) return false;
    running.installedAt ??= document.installedAt;
    return running.installedAt === document.installedAt || document.revision <= ownRevision;
  };

  const step = async (again: boolean): Promise<void> => {
    const document = documentNow();
    actedOn = document?.position ?? actedOn;
    if (closed || document === undefined) return;
    const { enabled, grant, installed } = document;
    if (!enabled || grant === null || installed === null) {
      hooks.remove(name);
      dropped();
      attempted = undefined;
      needs = {};
      become('disabled', document.reason ?? 'not enabled');
      return;
    }
    if (isMet(document)) return;
    const attempt = attemptOf(document);
    if (attempt === attempted && !again) return;
    attempted = attempt;
    if (running === undefined) become('starting', 'is being started');
    stand(document);
    const chosen = await starts.choose(document);
    if (!chosen.ok) {
      if (chosen.missing && running === undefined) return become('missing', chosen.reason);
      return failed(chosen.cause, chosen.reason, installed.version);
    }
    const { startable, isNews } = chosen;
    const { candidate } = startable;
    if (running === undefined) needs = candidate.manifest.dependencies;
    const isRunning = running !== undefined;
    if (isNews && isRunning) {
      // Another node has this version, and not what runs here: were each to tell of its own, the log would fill with it.
      statusReason = `runs version ${candidate.manifest.version}: this node has not ${installed.version}, which the log names`;
      if (running?.startable.candidate.hash === candidate.hash && sameJson(running.startable.grant, grant))
        return;
    }
    const unmet = await parts.dependencyFault(name, candidate.manifest.dependencies);
    if (unmet !== undefined) return failed('dependency', unmet, candidate.manifest.version);
    const started = await starts.start(startable, stats);
    if (!started.ok) return failed(started.cause, started.reason, candidate.manifest.version);
    if (closed) return started.instance.retire(0);
    switchTo(started.instance, startable, isNews ? null : document.installedAt);
    if (isNews && !isRunning) {
      const { version, permissions, limits } = candidate.manifest;
      const data = { version, permissions, limits, hash: candidate.hash, cause: 'reload' } as const;
      ownRevision = document.revision;
      await reports.record({ type: 'PluginInstalled', data });
      await until(() => documentNow()?.installed?.hash === candidate.hash, foldedMs);
    }
  };

  const prepareNow = async (release: () => void): Promise<Result<PreparedVersion>> => {
    const document = documentNow();
    const grant = document?.grant;
    if (document?.enabled !== true || grant === undefined || grant === null || closed) {
      return fault(rejected(name, 'disabled', `${name} is not enabled`));
    }
    const found = await candidates.inFolder(name);
    if (!found.ok) return found;
    const candidate: Candidate = found.value;
    const refused =
      starts.integrityFault(candidate, grant.hash) ??
      parts.rangeFault(name, candidate.manifest.version) ??
      (await parts.dependencyFault(name, candidate.manifest.dependencies));
    if (refused !== undefined) return fault(rejected(name, 'integrity', refused));
    const startable: Startable = { candidate, grant };
    const started = await starts.start(startable, stats);
    if (!started.ok) return fault(rejected(name, started.cause, `${name} did not start: ${started.reason}`));
    const { instance } = started;
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      cancel();
      return true;
    };
    const discard = async (): Promise<void> => {
      if (!settle()) return;
      release();
      await instance.retire(0);
    };
    const cancel = clock.after(maxPreparedMs, () => void discard());
    return ok({
      offer: offerOf(candidate),
      discard,
      async commit() {
        if (!settle()) return;
        ownRevision = document.revision;
        // One that has died meanwhile is started again, as the log has it now.
        if (!closed && instance.death === undefined) switchTo(instance, startable, null);
        await until(() => (documentNow()?.revision ?? -1) > document.revision, foldedMs);
        release();
      },
    });
  };

  return {
    reconcile: (again = false) => turns.take(() => step(again)),
    get actedOn() {
      return actedOn;
    },
    notify,
    async prepare() {
      const release = await turns.hold();
      let prepared: Result<PreparedVersion> | undefined;
      try {
        prepared = await prepareNow(release);
        return prepared;
      } finally {
        if (prepared?.ok !== true) release();
      }
    },
    facts() {
      const document = documentNow();
      if (document?.enabled !== true || document.installed === null || document.grant === null)
        return undefined;
      const { installed, grant } = document;
      return {
        status,
        statusReason,
        version: running?.instance.program.version ?? installed.version,
        hash: running?.startable.candidate.hash ?? installed.hash,
        trust: parts.trustOf(name),
        permissions:
          running?.instance.permissions ?? effectivePermissions(installed.permissions, grant.permissions),
        metrics: stats.metrics(running?.instance.guest.metrics()),
        ...(lastError === undefined ? {} : { lastError }),
      };
    },
    dependencies: () => needs,
    get running() {
      return running?.instance;
    },
    idle: () => turns.idle(),
    async close(graceMs) {
      closed = true;
      hooks.remove(name);
      probation?.end();
      await running?.instance.retire(graceMs);
    },
  };
};
