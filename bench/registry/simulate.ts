import { strategies } from '../../domain/service/policy.ts';
import type { PartOptions } from '../bus/part.ts';
import { median, print } from '../support/measure.ts';
import { type Outcome, type Scenario, simulate } from './simulation.ts';

const loads: readonly Pick<Scenario, 'callsPerSec' | 'serviceTime'>[] = [
  { callsPerSec: 300, serviceTime: 'exponential' },
  { callsPerSec: 300, serviceTime: 'lognormal' },
  { callsPerSec: 1_500, serviceTime: 'exponential' },
];

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

/**
 * Ten instances in virtual time, one slow by ten times and one that fails fast, under each strategy with and without
 * circuit breakers: medians of `rounds` seeds. Nothing of it depends on the machine.
 */
export const benchSimulation = async ({ rounds, scale, ways }: PartOptions): Promise<void> => {
  const seconds = Math.round(60 * scale);
  const wanted = strategies.filter((strategy) => ways === undefined || ways.includes(strategy));
  for (const load of loads)
    for (const breakers of [false, true]) {
      print(
        `\nSimulation: ${load.callsPerSec} calls per second, ${load.serviceTime} service times of 20 ms in the mean, ` +
          `${seconds} s, ${breakers ? 'with' : 'without'} circuit breakers`,
      );
      for (const strategy of wanted) {
        const outcomes = Array.from({ length: rounds }, (_, seed) =>
          simulate({ ...load, strategy, breakers, seconds, seed }),
        );
        const middle = (of: (outcome: Outcome) => number): number => median(outcomes.map(of));
        print(
          `  ${strategy.padEnd(16)} p50 ${middle((one) => one.p50Ms).toFixed(1)} ms, ` +
            `p99 ${middle((one) => one.p99Ms).toFixed(0)} ms, errors ${percent(middle((one) => one.errorShare))}; ` +
            `after 5 s the failing one has ${percent(middle((one) => one.failingShare))} of the calls, ` +
            `the slow one ${percent(middle((one) => one.slowShare))}; ` +
            `${middle((one) => one.circuitEvents)} events`,
        );
      }
    }
};
