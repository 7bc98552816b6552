import { asRevision } from '../../../domain/event.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { type Ownership, soleOwnership } from '../../../src/bus/ownership.ts';
import type { AskNode, NodeCall } from '../../../src/bus/remote/protocol.ts';
import { fault, ok, problem } from '../../../src/errors.ts';
import { digestOf } from '../../../src/ids.ts';
import { openRegistry, type Registry } from '../../../src/registry/registry.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { createTestClock, quiet, serviceDocument } from '../support.ts';

export type Written = {
  readonly by: string;
  readonly id: string;
  readonly to: string;
  readonly cause: string;
  readonly reason: string;
};

/** Lets everything run that needs no clock and no socket. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** Registries of several nodes beside one log, on one clock that stands until it is moved. */
export const openWorld = (...names: readonly string[]) => {
  const clock = createTestClock();
  const written: Written[] = [];
  const asked: { readonly from: string; readonly to: string; readonly request: NodeCall }[] = [];
  const documents = new Map<string, ServiceDocument>();
  const registries = new Map<string, Registry>();
  const listeners = new Set<() => void>();
  const living = new Set(names);
  /** Nodes whose lease others may have released. */
  const late = new Set<string>();
  /** Nodes that hear no other, and are heard by none. */
  const cut = new Set<string>();

  const judgeOf = (id: string): string =>
    [...living].sort((a, b) => (digestOf(`${a}/${id}`) < digestOf(`${b}/${id}`) ? 1 : -1))[0] ?? '';

  const put = (changes: Partial<ServiceDocument>): void => {
    const before = documents.get(changes.id ?? 'one');
    const revision = asRevision((before?.revision ?? -1) + 1);
    const document = { ...(before ?? serviceDocument()), ...changes, revision };
    documents.set(document.id, document);
    // What one node writes because of a document comes to the others behind it.
    const isFirst = queue.push(document) === 1;
    if (!isFirst) return;
    for (const next of queue) for (const registry of registries.values()) registry.put(next);
    queue.length = 0;
  };
  const queue: ServiceDocument[] = [];

  const askFrom =
    (from: string): AskNode =>
    async (url, request, { onSent } = {}) => {
      const to = new URL(url).hostname;
      const registry = registries.get(to);
      if (registry === undefined || !living.has(to) || cut.has(to) || cut.has(from))
        return fault(problem('not_owner', 'it cannot be reached'));
      asked.push({ from, to, request });
      if (request.op === 'beats') {
        registry.fromNodes.beats(request.beats);
        return ok(null);
      }
      if (request.op === 'cancel') {
        calls.get(request.request)?.abort();
        return ok(null);
      }
      if (request.op !== 'call') throw new Error(`nothing here asks for ${request.op}`);
      const id = asked.length;
      const asking = new AbortController();
      calls.set(id, asking);
      onSent?.(id);
      return ok(await registry.fromNodes.call(request, asking.signal));
    };
  const calls = new Map<number, AbortController>();

  const ownershipOf = (name: string): Ownership => ({
    ...soleOwnership,
    get self() {
      return { node: name, epoch: '1' };
    },
    get valid() {
      return living.has(name) && !late.has(name);
    },
    isChosen: (id) => judgeOf(id) === name,
    get others() {
      return new Map(
        [...living].filter((other) => other !== name).map((other) => [other, `http://${other}`]),
      );
    },
    onChange: (listener) => void listeners.add(listener),
  });

  const open = (name: string): void => {
    const registry = openRegistry({
      logger: quiet,
      targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
      clock: clock.now,
      after: clock.after,
      random: () => 0.5,
      deregister: () => Promise.resolve(),
      async changeStatus(id, { status: to, reason, cause }) {
        written.push({ by: name, id, to, cause, reason });
        const statusSince = new Date(clock.now() + written.length).toISOString();
        put({ id, status: to, statusReason: reason, statusCause: cause, statusSince });
      },
      nodes: {
        node: name,
        ownership: ownershipOf(name),
        ask: askFrom(name),
        attach: async (id) => put({ id, servedBy: name }),
      },
    });
    registries.set(name, registry);
  };
  for (const name of names) open(name);

  const changed = async (): Promise<void> => {
    for (const listener of listeners) listener();
    await settle();
  };

  return {
    written,
    asked,
    clock,
    put,
    judgeOf,
    document: (id: string) => documents.get(id),
    at: (name: string): Registry => {
      const registry = registries.get(name);
      if (registry === undefined) throw new Error(`there is no node ${name}`);
      return registry;
    },
    async pass(ms: number): Promise<void> {
      // In steps, so that what one alarm brings about is there when the next one rings.
      for (let left = ms; left > 0; left -= 250) {
        clock.advance(Math.min(250, left));
        await settle();
      }
    },
    /** The node is gone, and the others know it. */
    async lose(name: string): Promise<void> {
      registries.delete(name);
      living.delete(name);
      await changed();
    },
    /** The others take the node to be gone, and it knows. */
    async release(name: string): Promise<void> {
      living.delete(name);
      await changed();
    },
    /** It has a lease again. */
    async take(name: string): Promise<void> {
      living.add(name);
      await changed();
    },
    /** The lease of the node is over, which nobody tells it. */
    makeLate: (name: string) => void late.add(name),
    async makeValid(name: string): Promise<void> {
      late.delete(name);
      await changed();
    },
    tellChange: changed,
    cut: (name: string) => void cut.add(name),
    async close(): Promise<void> {
      await Promise.all([...registries.values()].map((registry) => registry.close()));
    },
  };
};
