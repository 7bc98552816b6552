import { type Position, parsePosition } from '../../../domain/event.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Logger } from '../../logger.ts';
import type { Gap } from '../../nexus-core.ts';
import type { Delivery, Settled } from '../../nexus-subscriptions.ts';
import type { Live } from '../subscription/local.ts';
import type { Member, SubscriptionServer } from '../subscription/server.ts';
import { isDeliveries, type NodeLink, openLink } from './link.ts';
import type { AskNode, NodeCall } from './protocol.ts';

/** Other nodes of the log, as what serves the subscriptions that they own (docs/adr/0015-ownership.md). */
export type Peers = {
  server(url: string, name: string): SubscriptionServer;
  /** Asks another node for something else. */
  readonly ask: AskNode;
  close(): void;
};

export type PeersOptions = {
  /** A token that every node of the log accepts; undefined without authentication. */
  readonly token: () => string | undefined;
  readonly logger: Logger;
};

const odd = () => fault(problem('internal', 'the node that serves this answered with something else'));

const placeIn = (value: unknown): Position | undefined =>
  typeof value === 'string' ? parsePosition(value) : undefined;

const gapIn = (value: unknown): Gap | null => {
  if (typeof value !== 'object' || value === null || !('from' in value) || !('to' in value)) return null;
  const [from, to] = [placeIn(value.from), placeIn(value.to)];
  return from === undefined || to === undefined ? null : { from, to };
};

const liveIn = (value: unknown): Live | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('position' in value) || !('lagEvents' in value) || !('inFlight' in value)) return undefined;
  const { position, lagEvents, inFlight } = value;
  const place = placeIn(position);
  return place !== undefined && typeof lagEvents === 'number' && typeof inFlight === 'number'
    ? { position: place, lagEvents, inFlight, gap: 'gap' in value ? gapIn(value.gap) : null }
    : undefined;
};

const isSettled = (value: unknown): value is Settled =>
  typeof value === 'object' &&
  value !== null &&
  'done' in value &&
  typeof value.done === 'number' &&
  'durable' in value &&
  typeof value.durable === 'boolean' &&
  'refused' in value &&
  Array.isArray(value.refused);

export const createPeers = ({ token, logger }: PeersOptions): Peers => {
  const links = new Map<string, NodeLink>();
  let lastMember = 0;
  let closed = false;

  const linkTo = (url: string): NodeLink => {
    const known = links.get(url);
    if (known?.open === true) return known;
    const made = openLink({
      url,
      token,
      onClosed: (why, wasOpen) => {
        // What its members held there is delivered again.
        if (wasOpen && !closed) logger.warn({ url, why }, 'the connection to another node has ended');
        if (links.get(url) === made) links.delete(url);
      },
    });
    links.set(url, made);
    if (closed) made.close();
    return made;
  };

  /** Deliveries that have come and are not asked for yet: as many at most as the member may hold. */
  const createMember = (link: NodeLink, member: number): Member => {
    const ready: Delivery[] = [];
    let asking: PromiseWithResolvers<readonly Delivery[] | undefined> | undefined;
    let ended = false;
    const answer = (): void => {
      if (asking === undefined || (ready.length === 0 && !ended)) return;
      const batch = ready.splice(0);
      const { resolve } = asking;
      asking = undefined;
      resolve(batch.length > 0 ? batch : undefined);
    };
    link.attend(member, {
      deliveries: (batch) => {
        ready.push(...batch);
        answer();
      },
      ended: () => {
        ended = true;
        answer();
      },
    });
    return {
      next() {
        asking ??= Promise.withResolvers();
        const { promise } = asking;
        answer();
        return promise;
      },
      leave(blameless) {
        if (ended) return;
        ended = true;
        ready.length = 0;
        answer();
        link.forget(member);
        void link.call({ op: 'leave', member, blameless });
      },
    };
  };

  const server = (url: string, name: string): SubscriptionServer => ({
    async position() {
      const answered = await linkTo(url).call({ op: 'position', name });
      return answered.ok ? placeIn(answered.value) : undefined;
    },
    async live() {
      const answered = await linkTo(url).call({ op: 'live', name });
      return answered.ok ? liveIn(answered.value) : undefined;
    },
    async pull(max, waitMs, signal) {
      const link = linkTo(url);
      let cancel = (): void => {};
      const answered = await link
        .call({ op: 'pull', name, max, waitMs }, (request) => {
          cancel = () => void link.call({ op: 'cancel', request });
          if (signal.aborted) cancel();
          else signal.addEventListener('abort', cancel, { once: true });
        })
        .finally(() => signal.removeEventListener('abort', cancel));
      if (!answered.ok) return answered;
      return isDeliveries(answered.value) ? ok(answered.value) : odd();
    },
    async settle(how, deliveries, { durable, delayMs, reason }): Promise<Result<Settled>> {
      const request: NodeCall = { op: 'settle', name, how, deliveries: [...deliveries], durable };
      const answered = await linkTo(url).call({ ...request, ...given({ delayMs, reason }) });
      if (!answered.ok) return answered;
      return isSettled(answered.value) ? ok(answered.value) : odd();
    },
    async giveBack(deliveries) {
      if (deliveries.length > 0)
        await linkTo(url).call({ op: 'giveBack', name, deliveries: [...deliveries] });
    },
    async join(max) {
      const link = linkTo(url);
      const member = ++lastMember;
      const made = createMember(link, member);
      const joined = await link.call({ op: 'join', name, max, member });
      if (joined.ok) return ok(made);
      link.forget(member);
      return joined;
    },
  });

  return {
    server,
    ask: (url, request, { onSent, answerMs } = {}) => linkTo(url).call(request, onSent, answerMs),
    close() {
      closed = true;
      for (const link of [...links.values()]) link.close();
    },
  };
};
