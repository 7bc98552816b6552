import test from 'ava';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { ServiceStatus } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import {
  afterBadProbe,
  afterExpiry,
  afterGoodProbe,
  afterHeartbeat,
  type Evidence,
  evidenceOf,
} from '../../../src/registry/health/liveness.ts';
import { baseFindingOf, verdictOf } from '../../../src/registry/health/verdict.ts';
import { serviceDocument } from '../support.ts';

type Step = 'good' | 'bad' | 'expiry' | 'beat' | 'beat healthy' | 'beat degraded' | 'beat unhealthy';

const thresholds = defaultPolicy.healthCheck;

const step = (evidence: Evidence, what: Step): Evidence => {
  switch (what) {
    case 'good':
      return afterGoodProbe(evidence, thresholds);
    case 'bad':
      return afterBadProbe(evidence, 'status 500', thresholds);
    case 'expiry':
      return afterExpiry(evidence);
    case 'beat':
      return afterHeartbeat(evidence, undefined);
    case 'beat healthy':
      return afterHeartbeat(evidence, 'healthy');
    case 'beat degraded':
      return afterHeartbeat(evidence, 'degraded');
    case 'beat unhealthy':
      return afterHeartbeat(evidence, 'unhealthy');
  }
};

const probed = { healthCheckUrl: 'http://127.0.0.1/health' };
const timed = { ttlSec: 10 };

const cases: readonly [claim: string, Partial<ServiceDocument>, readonly Step[], ServiceStatus][] = [
  ['without check and TTL an instance is healthy at once', { status: 'healthy' }, [], 'healthy'],
  [
    'an instance with a TTL starts until its first heartbeat',
    { ...timed, status: 'starting' },
    [],
    'starting',
  ],
  ['the first heartbeat makes it healthy', { ...timed, status: 'starting' }, ['beat'], 'healthy'],
  ['the first good probe makes it healthy', { ...probed, status: 'starting' }, ['good'], 'healthy'],
  ['two bad probes change nothing', { ...probed, status: 'starting' }, ['bad', 'bad'], 'starting'],
  [
    'three bad probes make a new instance unhealthy',
    { ...probed, status: 'starting' },
    ['bad', 'bad', 'bad'],
    'unhealthy',
  ],
  [
    'a good probe between bad ones starts the count again',
    { ...probed },
    ['bad', 'bad', 'good', 'bad', 'bad'],
    'healthy',
  ],
  ['three bad probes in a row are down', { ...probed }, ['bad', 'bad', 'bad'], 'unhealthy'],
  ['one good probe does not bring it up again', { ...probed }, ['bad', 'bad', 'bad', 'good'], 'unhealthy'],
  ['two good probes in a row do', { ...probed }, ['bad', 'bad', 'bad', 'good', 'good'], 'healthy'],
  [
    'good, bad, good is not in a row',
    { ...probed, status: 'unhealthy' },
    ['good', 'bad', 'good'],
    'unhealthy',
  ],
  ['a missing heartbeat is offline', { ...timed }, ['expiry'], 'offline'],
  ['a heartbeat brings it back', { ...timed }, ['expiry', 'beat'], 'healthy'],
  ['good probes do not replace heartbeats', { ...timed, ...probed }, ['expiry', 'good', 'good'], 'offline'],
  ['a service may say that it is degraded', { ...timed }, ['beat degraded'], 'degraded'],
  ['what it said stays until it says something else', { ...timed }, ['beat degraded', 'beat'], 'degraded'],
  ['and then that counts', { ...timed }, ['beat degraded', 'beat healthy'], 'healthy'],
  [
    'a service that calls itself healthy does not outvote its probes',
    { ...timed, ...probed },
    ['bad', 'bad', 'bad', 'beat healthy'],
    'unhealthy',
  ],
  ['draining stays through heartbeats', { ...timed, status: 'draining' }, ['beat healthy'], 'draining'],
  ['draining stays through expiry', { ...timed, status: 'draining' }, ['expiry'], 'draining'],
  [
    'maintenance stays through probes',
    { ...probed, status: 'maintenance' },
    ['bad', 'bad', 'bad', 'bad'],
    'maintenance',
  ],
  ['after a restart of the hub an offline instance stays so', { ...timed, status: 'offline' }, [], 'offline'],
  [
    'after a restart an unhealthy one still needs two good probes',
    { ...probed, status: 'unhealthy' },
    ['good'],
    'unhealthy',
  ],
  ['after a restart a degraded one stays so', { ...timed, status: 'degraded' }, ['beat'], 'degraded'],
  ['a TTL that was taken away expires no more', { ttlSec: null, status: 'offline' }, [], 'healthy'],
];

for (const [claim, document, steps, expected] of cases) {
  test(claim, (t) => {
    const subject = serviceDocument(document);
    t.is(verdictOf(subject, steps.reduce(step, evidenceOf(subject))).status, expected);
  });
}

const circuit = { reason: '5 calls in a row failed', since: 'then', until: 'later', openings: 1 };

test('an open circuit makes a fit instance unhealthy, for what calls have shown, and nothing worse better', (t) => {
  const up = evidenceOf(serviceDocument());
  const open = serviceDocument({ circuit });
  t.deepEqual(verdictOf(open, up), {
    status: 'unhealthy',
    reason: 'circuit open: 5 calls in a row failed',
    cause: 'invocations',
  });
  t.is(baseFindingOf(open, up).status, 'healthy');
  t.is(verdictOf(serviceDocument(), up).status, 'healthy');
  t.is(verdictOf(serviceDocument({ circuit, status: 'draining' }), up).status, 'draining');
  t.is(verdictOf(serviceDocument({ circuit, ttlSec: 5 }), afterExpiry(up)).cause, 'ttl');
  const restarted = serviceDocument({ circuit, status: 'unhealthy', statusCause: 'invocations' });
  t.is(baseFindingOf(restarted, evidenceOf(restarted)).status, 'healthy');
});
