import { type Family, type Sample, samplesOf } from './exposition.ts';
import type { Meters } from './meters.ts';

function* answersOf({ routes }: Meters['http']): Iterable<Sample> {
  for (const [route, methods] of routes)
    for (const [method, { byClass }] of methods)
      for (const [digit, value] of byClass.entries())
        if (value > 0) yield { labels: { method, route, status: `${digit}xx` }, value };
}

function* durationsOf({ routes }: Meters['http']) {
  for (const [route, methods] of routes)
    for (const [method, { duration }] of methods) yield { labels: { method, route }, of: duration };
}

function* openSocketsOf({ opened, closed }: Meters['sockets']): Iterable<Sample> {
  const gone = new Map(closed.entries());
  for (const [protocol, count] of opened.entries())
    yield { labels: { protocol }, value: count - (gone.get(protocol) ?? 0) };
}

/** What the protocols count. */
export const hostFamilies = (meters: Meters): readonly Family[] => [
  {
    name: 'nexus_http_requests_total',
    help: 'HTTP requests that were answered, by method, route template and class of the status.',
    type: 'counter',
    labels: ['method', 'route', 'status'],
    samples: () => answersOf(meters.http),
  },
  {
    name: 'nexus_http_request_duration_seconds',
    help: 'Time from the head of a request until its answer was handed over, streamed bodies apart.',
    type: 'histogram',
    labels: ['method', 'route'],
    series: () => durationsOf(meters.http),
  },
  {
    name: 'nexus_http_problems_total',
    help: 'HTTP requests and upgrades that were answered with a problem, by its code.',
    type: 'counter',
    labels: ['code'],
    samples: () => samplesOf('code', meters.http.problems),
  },
  {
    name: 'nexus_http_open_tails',
    help: 'Live tails by server-sent events that are open.',
    type: 'gauge',
    samples: () => [{ value: meters.http.openTails }],
  },
  {
    name: 'nexus_operation_problems_total',
    help: 'Operations of the hub that were refused or failed, whatever protocol they came by.',
    type: 'counter',
    labels: ['code'],
    samples: () => samplesOf('code', meters.refusals),
  },
  {
    name: 'nexus_websocket_connections',
    help: 'WebSockets that are open, by subprotocol.',
    type: 'gauge',
    labels: ['protocol'],
    samples: () => openSocketsOf(meters.sockets),
  },
  {
    name: 'nexus_websocket_connections_opened_total',
    help: 'WebSockets that were opened, by subprotocol.',
    type: 'counter',
    labels: ['protocol'],
    samples: () => samplesOf('protocol', meters.sockets.opened),
  },
  {
    name: 'nexus_websocket_frames_received_total',
    help: 'Frames that clients sent on /ws, by type.',
    type: 'counter',
    labels: ['type'],
    samples: () => samplesOf('type', meters.sockets.frames),
  },
  {
    name: 'nexus_graphql_operations_total',
    help: 'GraphQL operations over HTTP and WebSocket, by type; invalid when the document was refused.',
    type: 'counter',
    labels: ['type'],
    samples: () => samplesOf('type', meters.graphql),
  },
  {
    name: 'nexus_zeromq_frames_received_total',
    help: 'Frames that came on the command socket of ZeroMQ, by type.',
    type: 'counter',
    labels: ['type'],
    samples: () => samplesOf('type', meters.zeromq.received),
  },
  {
    name: 'nexus_zeromq_frames_sent_total',
    help: 'Frames that were handed to publish sockets of ZeroMQ, by what they are.',
    type: 'counter',
    labels: ['type'],
    samples: () => samplesOf('type', meters.zeromq.sent),
  },
  {
    name: 'nexus_access_denied_total',
    help: 'Refusals that the audit has counted, by code.',
    type: 'counter',
    labels: ['code'],
    samples: () => samplesOf('code', meters.denied),
  },
  {
    name: 'nexus_access_audited_total',
    help: 'Refusals that were written to the log, or dropped as it was away for too long.',
    type: 'counter',
    labels: ['outcome'],
    samples: () => samplesOf('outcome', meters.audited),
  },
];
