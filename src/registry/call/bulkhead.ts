import { type Problem, problem } from '../../errors.ts';

/** Keeps calls of one service from taking what the calls of all others need (Nygard, "Release It!": bulkheads). */
export type Bulkhead = {
  /** `overloaded` when there is no room; otherwise the call is counted until `leave`. @param max of this service. */
  enter(service: string, max: number): Problem | undefined;
  leave(service: string): void;
};

/** Calls of all services that run at one time. */
const maxCalls = 8_192;

export const createBulkhead = (): Bulkhead => {
  const running = new Map<string, number>();
  let all = 0;
  return {
    enter(service, max) {
      const here = running.get(service) ?? 0;
      if (here >= max) {
        return problem('overloaded', `${max} calls of ${service} are running already`, {
          service,
          maxInFlight: max,
        });
      }
      if (all >= maxCalls) return problem('overloaded', `${maxCalls} calls are running already`, { service });
      all++;
      running.set(service, here + 1);
      return undefined;
    },
    leave(service) {
      all--;
      const left = (running.get(service) ?? 1) - 1;
      if (left === 0) running.delete(service);
      else running.set(service, left);
    },
  };
};
