import { fault, ok, problem, type Result } from '../../errors.ts';
import type { ForwardRequest, Upgraded } from '../../nexus-proxy.ts';
import type { Picked } from '../balance/balancer.ts';
import type { Instance } from '../instance.ts';
import type { Schedule } from '../schedule.ts';
import type { CallAgent } from '../target/agent.ts';
import type { ConnectFailed } from '../target/connector.ts';
import { deadlineHeaders, defaultTimeoutMs, maxAttempts } from './deadline.ts';
import { answerFields, textOf } from './fields.ts';
import { unsentBecause } from './http.ts';
import { nobodyFor } from './nobody.ts';
import { originOf } from './origin.ts';
import { fieldsOf, nobodyDirect, type ProxyCall, type ProxyOptions, type ProxyParts } from './proxy.ts';

export type Upgrade = (
  name: string,
  request: ForwardRequest,
  options: ProxyOptions,
  call: ProxyCall,
) => Promise<Result<Upgraded>>;

type Opened =
  | Upgraded
  | { readonly type: 'unsent'; readonly failure: ConnectFailed }
  | { readonly type: 'broken'; readonly isLate: boolean; readonly why: string };

type Parts = Pick<ProxyParts, 'instances' | 'balancer' | 'clock' | 'timeOfDay'> & {
  readonly dispatcher: Pick<CallAgent, 'dispatch'>;
  readonly schedule: Schedule;
};

const maxDeclineBytes = 65_536;

const openAt = (
  { dispatcher, schedule, clock }: Parts,
  { instance, settle }: Picked,
  target: string,
  headers: string[],
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<Opened> =>
  new Promise((resolve) => {
    let cut: (() => void) | undefined;
    let ended: 'time' | 'caller' | undefined;
    let settled = false;
    let bytes = 0;
    let status = 0;
    let fields: string[] = [];
    const chunks: Buffer[] = [];
    const done = (opened: Opened): void => {
      if (settled) return;
      settled = true;
      alarm.cancel();
      signal?.removeEventListener('abort', onGone);
      switch (opened.type) {
        case 'open':
        case 'declined':
          settle(status >= 500 ? 'failed' : 'answered', `status ${status}`);
          break;
        default:
          if (ended === 'caller') settle('cancelled');
          else if (opened.type === 'unsent') settle('unreachable', opened.failure.message);
          else settle(opened.isLate ? 'timeout' : 'failed', opened.why);
      }
      resolve(opened);
    };
    const decline = (): void =>
      done({
        type: 'declined',
        head: { status, fields: answerFields(fields), instance: instance.id },
        body: Buffer.concat(chunks),
      });
    const stop = (why: 'time' | 'caller'): void => {
      ended ??= why;
      if (cut !== undefined) cut();
      else
        done({
          type: 'unsent',
          failure: unsentBecause(new Error(`no connection to ${instance.id} in time`)),
        });
    };
    const onGone = (): void => stop('caller');
    const alarm = schedule.alarm(clock.now() + limitMs, () => stop('time'));
    signal?.addEventListener('abort', onGone);
    if (signal?.aborted) return onGone();
    dispatcher.dispatch(
      { origin: originOf(instance), path: target, method: 'GET', headers, upgrade: 'websocket' },
      {
        onConnect(abort) {
          if (settled) abort();
          else cut = abort;
        },
        onUpgrade(code, raw, socket) {
          status = code;
          if (settled) socket.destroy();
          else done({ type: 'open', instance: instance.id, fields: answerFields(textOf(raw)), socket });
        },
        onHeaders(code, raw) {
          status = code;
          fields = textOf(raw);
          return true;
        },
        onData(chunk) {
          bytes += chunk.length;
          if (bytes <= maxDeclineBytes) chunks.push(chunk);
          else {
            decline();
            cut?.();
          }
          return true;
        },
        onComplete: decline,
        onError(error) {
          if (cut === undefined) done({ type: 'unsent', failure: unsentBecause(error) });
          else done({ type: 'broken', isLate: ended === 'time', why: error.message });
        },
      },
    );
  });

/** Opens a WebSocket at an instance: at another one only when no connection could be made. */
export const createUpgrade =
  (parts: Parts): Upgrade =>
  async (name, request, { strategy, key, capability, timeoutMs = defaultTimeoutMs }, call) => {
    const { instances, balancer, timeOfDay } = parts;
    if (balancer.rules(name) === undefined) return fault(nobodyFor(instances, name, undefined));
    const limitMs = Math.min(timeoutMs, call.leftMs ?? timeoutMs);
    const fields = fieldsOf(request, call);
    const tried = new Set<Instance>();
    let unsent: ConnectFailed | undefined;
    while (tried.size < maxAttempts && call.signal?.aborted !== true) {
      const picked = balancer.pick({ service: name, strategy, key, capability, tried, directOnly: true });
      if (picked === undefined) break;
      const { id } = picked.instance;
      tried.add(picked.instance);
      const said = { ...deadlineHeaders(limitMs, timeOfDay()), 'x-nexus-instance': id };
      const headers = [...fields, ...Object.entries(said).flat()];
      const opened = await openAt(parts, picked, request.target, headers, limitMs, call.signal);
      if (opened.type === 'open' || opened.type === 'declined') return ok(opened);
      if (opened.type === 'broken') {
        const facts = { service: name, instance: id, attempts: tried.size };
        return fault(
          opened.isLate
            ? problem('upstream_timeout', `${id} did not answer in time`, facts)
            : problem('upstream_failed', `the connection to ${id} broke: ${opened.why}`, facts),
        );
      }
      unsent = opened.failure;
    }
    if (unsent === undefined) return fault(nobodyDirect(instances, name, capability));
    const facts = { service: name, attempts: tried.size, instances: [...tried].map(({ id }) => id) };
    return fault(problem(unsent.refused ? 'target_refused' : 'upstream_failed', unsent.message, facts));
  };
