import test from 'ava';
import { type Scenario, simulate } from '../../../bench/registry/simulation.ts';

const scenario = (changes: Partial<Scenario>): Scenario => ({
  strategy: 'least-loaded',
  breakers: true,
  callsPerSec: 300,
  seconds: 30,
  serviceTime: 'exponential',
  seed: 1,
  ...changes,
});

for (const serviceTime of ['exponential', 'lognormal'] as const)
  for (const breakers of [true, false]) {
    const how = `${serviceTime} service times, ${breakers ? 'with' : 'without'} circuit breakers`;

    test(`${how}: least-loaded has at most half the p99 of round-robin`, (t) => {
      const least = simulate(scenario({ serviceTime, breakers }));
      const round = simulate(scenario({ serviceTime, breakers, strategy: 'round-robin' }));
      t.true(least.p99Ms <= round.p99Ms / 2, `${least.p99Ms} and ${round.p99Ms}`);
      t.true(least.p50Ms <= round.p50Ms, `${least.p50Ms} and ${round.p50Ms}`);
    });

    for (const callsPerSec of [300, 1_500])
      test(`${how}: of ${callsPerSec} calls per second least-loaded sends the failing instance under 2 % after 5 s`, (t) => {
        const { failingShare } = simulate(scenario({ serviceTime, breakers, callsPerSec }));
        t.true(failingShare < 0.02, `${failingShare}`);
      });
  }

for (const strategy of ['round-robin', 'weighted', 'random', 'latency', 'consistent-hash', 'sticky'] as const)
  test(`${strategy}: with circuit breakers under 1 % of the calls fail, where one instance in ten always does`, (t) => {
    const { errorShare, circuitEvents } = simulate(scenario({ strategy }));
    t.true(errorShare < 0.01, `${errorShare}`);
    t.true(circuitEvents <= 6, `${circuitEvents}`);
  });

test('the same seed gives the same answer', (t) => {
  t.deepEqual(simulate(scenario({ seconds: 10 })), simulate(scenario({ seconds: 10 })));
});
