import { effectiveLimits, effectivePermissions } from '../../../domain/plugin/permissions.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import type { ShadowReport } from '../../nexus-plugins.ts';
import { createGrants, parseWish } from '../capabilities/grants.ts';
import { runShadow } from '../shadow/shadow.ts';
import type { HostParts } from './host-parts.ts';
import type { Instance } from './instance.ts';
import { programOf } from './starts.ts';

/** Each has a process of its own. */
const maxAtATime = 4;

const refuse = (plugin: string, reason: string, detail: string): Result<never> =>
  fault(problem('plugin_rejected', detail, { plugin, reason }));

/** Shows what the folder holds what the running version was called for (docs/adr/0054-shadow-installs.md). */
const shadow = async (
  name: string,
  minutes: number,
  running: Instance | undefined,
  parts: HostParts,
): Promise<Result<ShadowReport>> => {
  const found = await parts.candidates.inFolder(name);
  if (!found.ok) return found;
  const grant = parts.document(name)?.grant;
  if (running === undefined || grant === undefined || grant === null) {
    return refuse(name, 'not_running', `${name} does not run on this node`);
  }
  if (parts.integrity === 'signature' && found.value.signedBy === null) {
    return refuse(name, 'integrity', 'it has no signature by a key that this hub knows (pluginIntegrity)');
  }
  const { manifest, hash } = found.value;
  const made = await programOf({ candidate: found.value, grant }, parts);
  if (!made.ok) return made;
  const { program } = made.value;
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
      program: { ...program, alone: true, trust: program.trust === 'trusted' ? 'normal' : program.trust },
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
      : refuse(name, 'initialize', `it does not start: ${outcome.reason}`);
  } finally {
    await reading.stop();
  }
};

/** One at a time of each plugin, and four in all: what is tried is never in the hub's own process, whatever its trust. */
export const createShadowing = (parts: HostParts) => {
  const trying = new Set<string>();
  return async (
    name: string,
    minutes: number,
    running: Instance | undefined,
  ): Promise<Result<ShadowReport>> => {
    if (trying.has(name) || trying.size >= maxAtATime) {
      return refuse(name, 'shadow_running', 'a version is being tried already; try again when that is done');
    }
    trying.add(name);
    try {
      return await shadow(name, minutes, running, parts);
    } finally {
      trying.delete(name);
    }
  };
};
