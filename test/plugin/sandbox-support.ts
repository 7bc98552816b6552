import type { Json } from '../../domain/event.ts';
import { defaultLimits, type PluginLimits } from '../../domain/plugin/manifest.ts';
import { createLogger } from '../../src/logger.ts';
import { openSandboxProcess } from '../../src/plugin/sandbox/process/open.ts';
import type { SandboxProcess } from '../../src/plugin/sandbox/process.ts';
import type { Program, Wish, WishAnswer } from '../../src/plugin/sandbox/sandbox.ts';

/** What the hub answers with, by operation. */
export const answers: Readonly<Record<string, Json>> = {
  publish: { messageId: 'm1', position: '01' },
  'state.get': { key: 'k', value: 1, version: 1, updatedAt: 't', updatedBy: 's', position: '01' },
  'state.set': { version: 2, position: '02' },
  'state.list': [],
  'services.list': [{ name: 'billing' }],
  'services.invoke': { result: { paid: true }, instance: 'i1', attempts: 1 },
  fetch: { status: 200, ok: true, headers: {}, body: 'hello' },
};

export const createHost = () => {
  const wishes: Wish[] = [];
  const lines: { level: string; message: string; fields: Json }[] = [];
  const limits: { limit: string; detail: string }[] = [];
  return {
    wishes,
    lines,
    limits,
    async wish(wish: Wish): Promise<WishAnswer> {
      wishes.push(wish);
      const { data } = wish;
      if (JSON.stringify(data).includes('forbidden'))
        return { ok: false, code: 'not_granted', message: 'it is not granted' };
      return { ok: true, value: answers[wish.operation] ?? null };
    },
    log: (level: string, message: string, fields: Json) => void lines.push({ level, message, fields }),
    limited: (limit: string, detail: string) => void limits.push({ limit, detail }),
  };
};

export const program = (
  name: string,
  code: string,
  limits: Partial<PluginLimits> = {},
  config: Json = {},
): Program => ({
  name,
  version: '1.2.3',
  code,
  config,
  limits: { ...defaultLimits, cpuMsPerCall: 5_000, timeoutMs: 10_000, ...limits },
  trust: 'normal',
  alone: false,
});

export const logger = createLogger('silent');
export const open = (jitless = false): Promise<SandboxProcess> =>
  openSandboxProcess({ isolation: 'auto', jitless, logger });
