import type { Strategy } from '../../../../domain/service/policy.ts';
import type { Choose } from '../turn.ts';
import { consistentHash } from './consistent-hash.ts';
import { latency } from './latency.ts';
import { leastLoaded } from './least-loaded.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';
import { sticky } from './sticky.ts';
import { weighted } from './weighted.ts';

export const strategies: { readonly [Name in Strategy]: Choose } = {
  'least-loaded': leastLoaded,
  'round-robin': roundRobin,
  weighted,
  random,
  'consistent-hash': consistentHash,
  latency,
  sticky,
};
