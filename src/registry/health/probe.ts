import { connect } from 'node:net';
import { type CallAgent, createAgent } from '../target/agent.ts';
import { connectChecked } from '../target/connector.ts';
import type { Targets } from '../target/targets.ts';

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export type ProbeOptions = {
  readonly timeoutMs: number;
  /** Ends the probe at once; what it then answers says nothing. */
  readonly signal: AbortSignal;
};

/** Checks the health of what stands at `url`: `http:`, `https:` or `tcp:`. Never rejects. */
export type Probe = (url: string, options: ProbeOptions) => Promise<ProbeResult>;

const maxBodyBytes = 65_536;
/** Many instances may have their check in one place, such as an agent of their host. */
const connectionsPerOrigin = 16;

/** One GET: any 2xx is good. A redirect is not followed and is bad; of the body at most 64 KiB are read. */
const probeHttp = async (
  url: string,
  agent: CallAgent,
  node: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ProbeResult> => {
  const { dispatcher, request } = await agent.dispatcher();
  const answer = await request(url, {
    dispatcher,
    signal,
    headers: { accept: '*/*', 'user-agent': 'nexus-health-check', ...node },
  });
  // The verdict stands with the status line; a body that is cut or too large changes nothing in it.
  await answer.body.dump({ limit: maxBodyBytes, signal }).catch(() => undefined);
  return answer.statusCode >= 200 && answer.statusCode < 300
    ? { ok: true }
    : { ok: false, reason: `status ${answer.statusCode}` };
};

const connectTcp = (host: string, port: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once('connect', () => {
      resolve();
      socket.destroy();
    });
    socket.once('error', reject);
  });

/** A connection that comes about is good; nothing is sent over it. */
const probeTcp = async (url: string, targets: Targets, signal: AbortSignal): Promise<ProbeResult> => {
  const { hostname, port } = new URL(url);
  const connected = connectChecked(targets, hostname, Number(port), (address) =>
    connectTcp(address, Number(port), signal),
  );
  // A look-up of a name cannot be broken off; nobody waits for it any more.
  await Promise.race([connected, rejectedBy(signal)]);
  return { ok: true };
};

const rejectedBy = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/**
 * Probes over connections that are checked as every other is, kept alive for as long as a server likes.
 *
 * @param node of several on one log: a header field tells whose probe it is.
 */
export const createProber = (
  targets: Targets,
  node?: string,
): { readonly probe: Probe; close(): Promise<void> } => {
  const ofNode = node === undefined ? {} : { 'x-nexus-node': node };
  const agent = createAgent(targets, connectionsPerOrigin);
  return {
    async probe(url, { timeoutMs, signal }) {
      const limit = AbortSignal.timeout(timeoutMs);
      const either = AbortSignal.any([limit, signal]);
      try {
        return await (url.startsWith('tcp:')
          ? probeTcp(url, targets, either)
          : probeHttp(url, agent, ofNode, either));
      } catch (error) {
        if (limit.aborted) return { ok: false, reason: `no answer within ${timeoutMs} ms` };
        return { ok: false, reason: error instanceof Error ? error.message : 'failed' };
      }
    },
    close: () => agent.destroy(),
  };
};
