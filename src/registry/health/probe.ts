import { type Dispatcher, request } from 'undici';

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const maxBodyBytes = 65_536;

/**
 * One GET of a health check: any 2xx within `timeoutMs` is good. A redirect is not followed and is bad; of the body at
 * most 64 KiB is read. Never rejects.
 */
export const probe = async (
  url: string,
  options: { readonly dispatcher: Dispatcher; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ProbeResult> => {
  const limit = AbortSignal.timeout(options.timeoutMs);
  try {
    const answer = await request(url, {
      dispatcher: options.dispatcher,
      signal: AbortSignal.any([limit, options.signal]),
      headers: { accept: '*/*', 'user-agent': 'nexus-health-check' },
    });
    // The verdict stands with the status line; a body that is cut or too large changes nothing in it.
    await answer.body.dump({ limit: maxBodyBytes, signal: limit }).catch(() => undefined);
    return answer.statusCode >= 200 && answer.statusCode < 300
      ? { ok: true }
      : { ok: false, reason: `status ${answer.statusCode}` };
  } catch (error) {
    if (limit.aborted) return { ok: false, reason: `no answer within ${options.timeoutMs} ms` };
    return { ok: false, reason: error instanceof Error ? error.message : 'failed' };
  }
};
