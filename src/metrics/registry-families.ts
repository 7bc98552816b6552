import type { ServiceDocument } from '../../projections/documents.ts';
import { type Family, type Labels, type Sample, samplesOf } from './exposition.ts';
import type { Measured } from './families.ts';
import { callKinds, type Meters } from './meters.ts';

function* outcomesOf(calls: Meters['calls']): Iterable<Sample> {
  for (const kind of callKinds)
    for (const { labels, value } of samplesOf('outcome', calls[kind].outcomes))
      yield { labels: { kind, ...labels }, value };
}

type CircuitState = 'closed' | 'open' | 'half_open';

const circuitOf = ({ circuit }: ServiceDocument, nowMs: number): CircuitState =>
  circuit === null ? 'closed' : Date.parse(circuit.until) > nowMs ? 'open' : 'half_open';

/** Services, their circuits, and calls of them. */
export const registryFamilies = ({ parts, meters: { calls } }: Measured): readonly Family[] => {
  const { registry, clock } = parts;
  const counted = (label: string, of: (document: ServiceDocument) => string): readonly Sample[] => {
    const counts = new Map<string, number>();
    for (const document of registry.documents()) {
      const value = of(document);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    return Array.from(counts, ([value, count]) => ({ labels: { [label]: value }, value: count }));
  };

  return [
    {
      name: 'nexus_services',
      help: 'Instances that are registered, by status.',
      type: 'gauge',
      labels: ['status'],
      samples: () => counted('status', ({ status }) => status),
    },
    {
      name: 'nexus_service_circuits',
      help: 'Circuits of instances: calls go to closed ones, and to half-open ones one at a time.',
      type: 'gauge',
      labels: ['state'],
      samples: () => counted('state', (document) => circuitOf(document, clock())),
    },
    {
      name: 'nexus_service_calls_in_flight',
      help: 'Calls that instances have not answered yet.',
      type: 'gauge',
      samples: () => {
        let value = 0;
        for (const { id } of registry.documents()) value += registry.live(id)?.inFlight ?? 0;
        return [{ value }];
      },
    },
    {
      name: 'nexus_service_calls_total',
      help: 'Calls of services by kind and outcome: ok, or the code of the problem.',
      type: 'counter',
      labels: ['kind', 'outcome'],
      samples: () => outcomesOf(calls),
    },
    {
      name: 'nexus_service_call_duration_seconds',
      help: 'Time that a call of a service took, retries included.',
      type: 'histogram',
      labels: ['kind'],
      series: () =>
        callKinds.map((kind) => ({ labels: { kind } satisfies Labels, of: calls[kind].duration })),
    },
  ];
};
