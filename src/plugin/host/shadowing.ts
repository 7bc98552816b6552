import { effectiveLimits, effectivePermissions } from '../../../domain/plugin/permissions.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import type { ShadowReport } from '../../nexus-plugins.ts';
import { createGrants, parseWish } from '../capabilities/grants.ts';
import { runShadow } from '../shadow/shadow.ts';
import type { HostParts } from './host-parts.ts';
import type { Instance } from './instance.ts';
import { programOf } from './starts.ts';

/** Shows what the folder holds what the running version was called for (docs/adr/0054-shadow-installs.md). */
export const shadowOf = async (
  name: string,
  minutes: number,
  running: Instance | undefined,
  parts: HostParts,
): Promise<Result<ShadowReport>> => {
  const grant = parts.document(name)?.grant;
  if (running === undefined || grant === undefined || grant === null) {
    return fault(
      problem('plugin_rejected', `${name} does not run on this node`, {
        plugin: name,
        reason: 'not_running',
      }),
    );
  }
  const found = await parts.candidates.inFolder(name);
  if (!found.ok) return found;
  const { manifest, hash } = found.value;
  const made = await programOf({ candidate: found.value, grant }, parts);
  if (!made.ok) return made;
  const permissions = effectivePermissions(manifest.permissions, grant.permissions);
  const grants = createGrants(name, permissions);
  const limits = effectiveLimits(manifest.limits, grant.limits);
  const reading = parts.capabilities({
    name,
    permissions,
    limits,
    call: async () => ({ ok: false, fault: 'gone', message: 'nothing is handed to a shadow' }),
    limited: () => {},
    refused: () => {},
  });
  try {
    const outcome = await runShadow({
      running: { version: running.program.version, hash: running.candidate.hash },
      hash,
      program: { ...made.value.program, alone: true },
      sandbox: parts.sandbox(),
      minutes,
      recorded: running.recorder.since(parts.clock.now() - minutes * 60_000),
      following: running.recorder.following(),
      granted(wish) {
        const request = parseWish(wish);
        return request.ok && grants.missing(request.value) === undefined;
      },
      read: (wish) => reading.wish(wish),
      now: parts.clock.now,
    });
    return outcome.ok
      ? ok(outcome.report)
      : fault(
          problem('plugin_rejected', `it does not start: ${outcome.reason}`, {
            plugin: name,
            reason: 'initialize',
          }),
        );
  } finally {
    await reading.stop();
  }
};
